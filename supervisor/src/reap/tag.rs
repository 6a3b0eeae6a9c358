//! Numbers that processes cannot take off: each run of a service bears one in its limit on file locks.
//!
//! The kernel has not looked at that limit (`RLIMIT_LOCKS`) since Linux 2.4, hands it on by fork and exec, lets nobody
//! raise it again without a privilege, and shows it to everybody in `/proc/PID/limits`; other than an environment, which
//! may be cleared and which root without `SYS_PTRACE` (docker's default) cannot read in processes of other users.
//!
//! `01 | data directory, 32 bits | run, 24 bits`: so large that it would be no limit to anything, and a later supervisor
//! of the same data directory knows what an earlier one left behind.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::fstat;

/// Marks a limit as one of ours.
const FORM: u64 = 0x4100_0000_0000_0000;
const FORM_MASK: u64 = 0xff00_0000_0000_0000;
/// Bits that count the runs.
const RUN_BITS: u32 = 24;
const RUN_MASK: u32 = (1 << RUN_BITS) - 1;

/// The line of `/proc/PID/limits`.
const LINE: &str = "Max file locks";

/// Gives each run a number of its own.
#[derive(Debug)]
pub struct Tags {
    /// Without the run; `None` when no tags can be given.
    holder: Option<u64>,
    last: AtomicU32,
}

impl Tags {
    /// Tags of the data directory `directory`. None are given where our own limit is not unlimited: then we may be a
    /// service of another supervisor, whose tag must not be lost.
    pub fn of(directory: impl AsFd) -> Self {
        Self { holder: holder(directory), last: AtomicU32::new(0) }
    }

    /// The next one.
    pub fn next(&self) -> Option<u64> {
        let run = loop {
            match self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & RUN_MASK {
                0 => {}
                run => break run,
            }
        };
        Some(self.holder? | u64::from(run))
    }
}

/// What all tags of a data directory have in common: where it is, in few bits.
pub fn holder(directory: impl AsFd) -> Option<u64> {
    let is_free = getrlimit(Resource::RLIMIT_LOCKS).is_ok_and(|(_, hard)| hard == RLIM_INFINITY);
    let place = fstat(directory).ok().filter(|_| is_free)?;
    // Spread as by splitmix64, so that neighbours differ everywhere.
    let mut mixed = place.st_ino ^ place.st_dev.rotate_left(32);
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    Some(FORM | ((mixed >> 32) << RUN_BITS))
}

/// The tag a process bears.
pub(super) fn tag_of(pid: i32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

/// The data directory whose tag a process bears, as by [`holder`].
pub fn holder_of(pid: i32) -> Option<u64> {
    tag_of(pid).map(holder_of_tag)
}

/// The data directory in a tag.
pub(super) fn holder_of_tag(tag: u64) -> u64 {
    tag & !u64::from(RUN_MASK)
}

fn parse(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(LINE))?;
    let tag: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    (tag & FORM_MASK == FORM).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_other_limits() {
        let line = |hard: &str| {
            format!("Max cpu time  unlimited unlimited seconds\nMax file locks   {hard}   {hard}   locks\n")
        };
        assert_eq!(parse(&line("4683743612465315840")), Some(0x4100_0000_0000_0000));
        for other in ["unlimited", "0", "1024", "9223372036854775807"] {
            assert_eq!(parse(&line(other)), None, "{other}");
        }
    }

    #[test]
    fn a_directory_keeps_its_tags_and_shares_them_with_no_other() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |folder: &tempfile::TempDir| std::fs::File::open(folder.path()).unwrap();
        let tags = Tags::of(open(&one));
        let (first, second) = (tags.next().unwrap(), tags.next().unwrap());
        assert_ne!(first, second);
        assert_eq!(first & !u64::from(RUN_MASK), holder(open(&one)).unwrap());
        assert_ne!(holder(open(&one)), holder(open(&two)));
        assert!(first < RLIM_INFINITY / 2);
    }
}
