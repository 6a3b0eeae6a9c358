//! How much room there is on the disk, so that the edge stops before PostgreSQL and Redis run into its end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

/// The least that is left free: PostgreSQL's log of changes and Redis's file grow by 16 MiB at a time, and what was
/// accepted still has to be stored.
const LEAST_FREE: u64 = 64 * MIB;

/// No more than this is left free on its own account, however large the disk.
const MOST_FREE: u64 = 1024 * MIB;

/// Of the whole disk, one part in so many is left free.
const SHARE: u64 = 50;

/// How long a look holds.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const MIB: u64 = 1024 * 1024;

/// The disk that the spool lies on.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    begun: Instant,
    /// Milliseconds since `begun` at which somebody looks again.
    look_at: AtomicU64,
    is_full: AtomicBool,
}

impl Space {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, begun: Instant::now(), look_at: AtomicU64::new(0), is_full: AtomicBool::new(false) }
    }

    /// True when nothing more is to be taken in; `spooled` bytes wait to be stored.
    pub(super) fn is_full(&self, spooled: u64) -> bool {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.look_at.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(LOOK_EVERY.as_millis()).unwrap_or(u64::MAX));
        if now >= due && self.look_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.look(spooled);
        }
        self.is_full.load(Ordering::Relaxed)
    }

    /// A write has failed for want of room.
    pub(super) fn ran_full(&self) {
        self.note(true, "the disk is full: events are answered 429 until there is room again");
    }

    fn look(&self, spooled: u64) {
        // A disk that does not answer is no reason to refuse what may well be written.
        let Ok(disk) = statvfs(&self.directory) else { return };
        let free = disk.blocks_available() * disk.fragment_size();
        let least = least_free(disk.blocks() * disk.fragment_size(), spooled);
        // Some room more before it is believed: else each event would change its mind.
        let was_full = self.is_full.load(Ordering::Relaxed);
        let is_full = free < if was_full { least + least / 8 } else { least };
        self.note(is_full, "the disk is nearly full: events are answered 429 until there is room again");
    }

    fn note(&self, is_full: bool, words: &str) {
        if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
            if is_full {
                tracing::error!("{words}");
            } else {
                tracing::info!("there is room on the disk again: events are taken in");
            }
        }
    }
}

/// What must stay free on a disk of `total` bytes while `spooled` bytes wait to be stored: in the database, compressed,
/// with its log of changes, they take about half of that again.
fn least_free(total: u64, spooled: u64) -> u64 {
    // A very small disk would never be used at all.
    (total / SHARE).clamp(LEAST_FREE, MOST_FREE).min(total / 4).saturating_add(spooled / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_grows_with_the_disk_and_with_what_waits() {
        assert_eq!(least_free(100 * MIB, 0), 25 * MIB);
        assert_eq!(least_free(256 * MIB, 0), 64 * MIB);
        assert_eq!(least_free(10 * 1024 * MIB, 0), 10 * 1024 * MIB / 50);
        assert_eq!(least_free(4096 * 1024 * MIB, 0), 1024 * MIB);
        assert_eq!(least_free(256 * MIB, 100 * MIB), 114 * MIB);
    }

    #[test]
    fn a_failed_write_counts_until_the_next_look() {
        let space = Space::new(std::env::temp_dir());
        space.look_at.store(u64::MAX, Ordering::Relaxed);
        assert!(!space.is_full(0));
        space.ran_full();
        assert!(space.is_full(0));
        space.look_at.store(0, Ordering::Relaxed);
        // Nobody's temporary folder has so much room.
        assert!(space.is_full(u64::MAX / 4));
        space.look(0);
    }
}
