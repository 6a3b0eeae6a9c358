//! A file that only takes room: given up when PostgreSQL or Redis cannot start for lack of it, so that they can recover,
//! and made again once there is plenty.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate, openat};
use nix::sys::stat::Mode;

use super::Room;
use crate::files;

/// Its name in the data directory.
pub(super) const FILE: &str = "ballast";

/// The share of the disk it takes, within these bounds: PostgreSQL's recovery needs 16 MB and a little.
const SHARE: u64 = 100;
const SMALLEST: u64 = 24 << 20;
const LARGEST: u64 = 64 << 20;
/// But never more than this part of a small disk.
const LARGEST_PART: u64 = 10;

/// It is made only where so many times its size are free.
const PLENTY: u64 = 4;

/// Between two looks whether there is room for it.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// What becomes of the ballast while the supervisor runs.
#[derive(Debug)]
pub struct Ballast {
    data: Arc<OwnedFd>,
    /// When to see to it again; `None` while it is there, or cannot be made here.
    next: Option<Instant>,
    /// Lack of room has been told.
    told: bool,
}

/// What came of seeing to it.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    /// It was there.
    Kept,
    /// Made, of this size.
    New(u64),
    /// The disk is too full.
    NoRoom,
}

impl Ballast {
    /// Nothing is looked at before [`Ballast::begin`].
    pub fn new(data: Arc<OwnedFd>) -> Self {
        Self { data, next: None, told: false }
    }

    /// See to it from now on.
    pub fn begin(&mut self) {
        self.next = Some(Instant::now());
    }

    /// When to [`Ballast::see_to_it`] next.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Makes it if it is time to and there is room: what there is to say.
    pub fn see_to_it(&mut self) -> Option<String> {
        let now = Instant::now();
        self.next.filter(|next| *next <= now)?;
        self.next = None;
        match make(&self.data) {
            Ok(Made::Kept) => None,
            Ok(Made::New(size)) => {
                self.told = false;
                Some(format!("{} MB of the data disk are kept in reserve (file {FILE})", size >> 20))
            }
            Ok(Made::NoRoom) => {
                self.next = Some(now + LOOK_EVERY);
                let is_new = !std::mem::replace(&mut self.told, true);
                is_new.then(|| "the data disk has no room for a reserve".to_owned())
            }
            Err(error) => Some(format!("nothing of the data disk can be kept in reserve: {error}")),
        }
    }

    /// Gives it up: what there is to say, if it was there.
    pub fn give_up(&mut self) -> Option<String> {
        let removed = remove(&self.data)?;
        self.next = Some(Instant::now() + LOOK_EVERY);
        self.told = true;
        Some(format!("the data disk is full: the {} MB kept in reserve are given up", removed >> 20))
    }
}

/// Removes the ballast of the data directory `data`; its size, if it was there.
pub(super) fn remove(data: impl AsFd) -> Option<u64> {
    let stat = files::look(&data, FILE).ok().flatten()?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    files::remove(&data, FILE).ok().filter(|removed| *removed).map(|_| size)
}

/// The size that suits a disk of `size` bytes.
fn size_for(size: u64) -> u64 {
    (size / SHARE).clamp(SMALLEST, LARGEST).min(size / LARGEST_PART)
}

/// Sees to it that the ballast is there and takes the room it is to keep.
fn make(data: &OwnedFd) -> io::Result<Made> {
    let Some(room) = Room::of(data) else { return Ok(Made::NoRoom) };
    let wanted = size_for(room.size);
    if let Some(stat) = files::look(data, FILE)? {
        // A copy of the data directory may have turned it into a hole.
        let taken = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        if taken >= wanted {
            return Ok(Made::Kept);
        }
        files::remove(data, FILE)?;
    }
    if room.free < wanted.saturating_mul(PLENTY) {
        return Ok(Made::NoRoom);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(openat(data, FILE, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let length = i64::try_from(wanted).unwrap_or(i64::MAX);
    // Takes the room at once, without writing it: milliseconds.
    let reserved = fallocate(&file, FallocateFlags::empty(), 0, length);
    if reserved.is_err() {
        files::remove(data, FILE)?;
    }
    match reserved {
        Ok(()) => Ok(Made::New(wanted)),
        // Somebody was faster, or a child has just ended: later, then.
        Err(Errno::ENOSPC | Errno::EINTR) => Ok(Made::NoRoom),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn its_size_suits_the_disk() {
        let mb = |size: u64| size_for(size << 20) >> 20;
        assert_eq!([mb(100), mb(256), mb(2_000), mb(4_000), mb(1_000_000)], [10, 24, 24, 40, 64]);
    }

    #[test]
    fn it_takes_its_room_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(OwnedFd::from(File::open(folder.path()).unwrap()));
        if Room::of(&*data).is_none_or(|room| room.free < PLENTY * LARGEST) {
            eprintln!("SKIPPED: the folder for temporary files has too little room");
            return;
        }
        let mut ballast = Ballast::new(Arc::clone(&data));
        assert_eq!((ballast.see_to_it(), ballast.give_up()), (None, None));
        ballast.begin();
        assert!(ballast.see_to_it().unwrap().contains("in reserve"));
        let found = std::fs::metadata(folder.path().join(FILE)).unwrap();
        assert!(found.blocks() * 512 >= found.len() && found.len() >= SMALLEST);
        ballast.begin();
        assert_eq!((ballast.see_to_it(), ballast.due()), (None, None), "it is kept");
        // As a copy that leaves out zeros does it.
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        File::create(folder.path().join(FILE)).unwrap().set_len(found.len()).unwrap();
        assert_eq!(make(&data).unwrap(), Made::New(found.len()));
        assert!(ballast.give_up().unwrap().contains("given up"));
        assert!(!folder.path().join(FILE).exists());
        assert!(ballast.due().is_some(), "it is made again later");
    }
}
