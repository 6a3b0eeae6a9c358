//! A start on a disk that is full, or nearly.

use std::fs::File;
use std::os::fd::AsFd;

use super::Room;
use super::ballast::{self, FILE};
use crate::datadir::Examined;
use crate::error::{Fault, exit};
use crate::files;

/// Free bytes without which making a cluster would fail half-way: it takes about 64 MB.
const ROOM_FOR_NEW: u64 = 100 << 20;
/// Free bytes without which an existing cluster would not start.
const ROOM_TO_START: u64 = 4 << 20;

/// Whether the disk has room for the bundled PostgreSQL, the ballast counted as free. With `waits`, an existing one may
/// be without: it waits for room while web already serves.
///
/// # Errors
/// Exit code 14.
pub fn check(examined: &Examined, waits: bool) -> Result<(), Fault> {
    let (needed, wish) = match examined.cluster() {
        None => (ROOM_FOR_NEW, "to make a new database"),
        Some(_) if waits => return Ok(()),
        Some(_) => (ROOM_TO_START, "to start"),
    };
    let exists = examined.path().ancestors().find_map(|ancestor| File::open(ancestor).ok());
    let Some(room) = exists.and_then(Room::of) else { return Ok(()) };
    let reserve = examined.directory().and_then(|data| files::look(data, FILE).ok().flatten());
    let reserve = reserve.map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
    if room.free.saturating_add(reserve) >= needed {
        return Ok(());
    }
    let (path, needed, free) = (examined.path().display(), needed >> 20, room.free >> 20);
    Err(Fault::new(
        exit::DISK,
        format!("The disk of the data directory {path} has {free} MB free; PostgreSQL needs {needed} MB {wish}."),
    ))
}

/// Gives the ballast up if nothing could be written else: what there is to say then.
pub fn make_room(data: impl AsFd) -> Option<String> {
    Room::of(&data).filter(|room| room.free < ROOM_TO_START)?;
    let removed = ballast::remove(&data)?;
    Some(format!("the data disk is full: the {} MB kept in reserve are given up", removed >> 20))
}
