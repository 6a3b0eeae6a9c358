//! What is remembered of schedules over a restart of the supervisor: a file of `run/`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Frozen, LastRun, Moment};
use crate::files;

/// The file.
pub(super) const FILE: &str = "schedules.json";

/// Most bytes of that file that are read.
const LONGEST: u64 = 4 * 1024 * 1024;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// A random number of this appliance's own, from which its jitter comes.
    pub(super) seed: u64,
    /// Nothing is done by the clock meanwhile.
    pub(super) frozen: Option<Frozen>,
    /// By the name of the schedule.
    pub(super) schedules: BTreeMap<String, Remembered>,
}

/// What is remembered of one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The line and the zone all this is about.
    pub(super) rule: String,
    /// Since when that is kept. What was due before was nobody's business.
    pub(super) since: DateTime<Utc>,
    /// What has come up, the latest last.
    pub(super) done: Vec<Moment>,
    /// What became of it the last time.
    pub(super) last: Option<LastRun>,
}

impl Memory {
    /// Of an appliance that has none yet.
    pub(super) fn fresh() -> Self {
        Self { seed: rand::random(), ..Self::default() }
    }

    /// As it was left; `None` when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or is not understood.
    pub(super) fn recall(run: &OwnedFd) -> io::Result<Option<Self>> {
        match files::read(run, FILE, LONGEST)? {
            Some(text) => Ok(Some(serde_json::from_slice(&text)?)),
            None => Ok(None),
        }
    }

    /// Puts it on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, run: &OwnedFd) -> io::Result<()> {
        files::write(run, FILE, &serde_json::to_vec(self)?, 0o600, None)
    }

    /// By how much a schedule of that name is late on this appliance: always the same, between nothing and `most_s` seconds.
    pub(super) fn jitter(&self, name: &str, most_s: u32) -> TimeDelta {
        // FNV-1a, and a last stir: neighbouring seeds must not be neighbours in time.
        let bytes = self.seed.to_le_bytes().into_iter().chain(name.bytes());
        let mut hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        TimeDelta::seconds(i64::try_from(hash % (u64::from(most_s) + 1)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_up_is_read_back_and_a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        assert_eq!(Memory::recall(&run).unwrap(), None);
        let at = "2026-03-29T01:00:00Z".parse().unwrap();
        let moment = Moment { wall: "2026-03-29T03:01:00".parse().unwrap(), at };
        let remembered = Remembered {
            rule: "1 3 * * * UTC".to_owned(),
            since: at,
            done: vec![moment],
            last: Some(LastRun::skipped(at, at, "the disk is full".to_owned())),
        };
        let frozen = Frozen { since: at, until: None, reason: Some("moving".to_owned()) };
        let schedules = BTreeMap::from([("restart".to_owned(), remembered)]);
        let memory = Memory { seed: u64::MAX, frozen: Some(frozen), schedules };
        memory.write(&run).unwrap();
        assert_eq!(Memory::recall(&run).unwrap(), Some(memory));
        files::write(&run, FILE, b"{", 0o600, None).unwrap();
        Memory::recall(&run).unwrap_err();
    }

    #[test]
    fn jitter_is_stable_and_spreads_appliances_and_schedules() {
        let jitter = |seed, name: &str, most| Memory { seed, ..Memory::default() }.jitter(name, most).num_seconds();
        assert_eq!(jitter(7, "restart", 0), 0);
        assert_eq!(jitter(7, "restart", 300), jitter(7, "restart", 300));
        let mut fifths = [0; 5];
        for seed in 0..1_000 {
            let found = jitter(seed, "restart", 299);
            assert!((0..300).contains(&found));
            fifths[usize::try_from(found / 60).unwrap()] += 1;
        }
        assert!(fifths.iter().all(|count| (140..260).contains(count)), "{fifths:?}");
        assert!((0..50).any(|seed| jitter(seed, "restart", 300) != jitter(seed, "backup", 300)));
    }
}
