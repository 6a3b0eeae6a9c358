//! The disk of the data directory: how much room it has, and the ballast that is given up when there is none.

mod ballast;
mod start;

use std::os::fd::AsFd;

use nix::sys::statvfs::fstatvfs;

pub use ballast::Ballast;
pub use start::{check, make_room};

/// With less than this, PostgreSQL cannot make the next segment of its log (16 MB), which ends it and keeps it from
/// recovering.
const NEEDED: u64 = 20 << 20;
/// And with fewer free entries, no file can be made.
const NEEDED_FILES: u64 = 16;

/// The room of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub size: u64,
    /// Bytes that an ordinary user can still write.
    pub free: u64,
    /// Files that an ordinary user can still make; `None` where there is no such limit.
    pub files: Option<u64>,
}

impl Room {
    /// The room around `folder`; `None` where the file system does not tell.
    pub fn of(folder: impl AsFd) -> Option<Self> {
        let disk = fstatvfs(folder).ok().filter(|disk| disk.blocks() > 0)?;
        let unit = disk.fragment_size();
        Some(Self {
            size: disk.blocks().saturating_mul(unit),
            free: disk.blocks_available().saturating_mul(unit),
            files: (disk.files() > 0).then(|| disk.files_available()),
        })
    }

    /// What is lacking for the services to work, for a person; `None` is enough.
    pub fn lack(&self) -> Option<String> {
        if self.free < NEEDED {
            return Some(format!("the data disk has {} MB free", self.free >> 20));
        }
        let files = self.files.filter(|files| *files < NEEDED_FILES)?;
        Some(format!("the data disk can hold {files} more files"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_and_few_files_are_both_too_little() {
        let room = Room { size: 1 << 30, free: 1 << 29, files: Some(1000) };
        assert_eq!(room.lack(), None);
        assert_eq!(Room { files: None, ..room }.lack(), None);
        assert_eq!(Room { free: (3 << 20) + 5, ..room }.lack().unwrap(), "the data disk has 3 MB free");
        assert_eq!(Room { files: Some(2), ..room }.lack().unwrap(), "the data disk can hold 2 more files");
        assert!(Room::of(std::fs::File::open("/").unwrap()).is_some());
    }
}
