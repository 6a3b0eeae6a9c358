//! A segment: one file of frames, locked by the process that it belongs to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use uuid::Uuid;

use super::frame::{self, Frames, HEADER, MAX_BODY, Marker};

/// What a segment's name ends with.
const SUFFIX: &str = "seg";

/// ... and that of one which is not locked yet.
const UNFINISHED: &str = "new";

/// What a bad sector costs at least.
const PIECE: usize = 4096;

/// Bytes read at once.
const CHUNK: u64 = 1024 * 1024;

/// A segment's file, and the lock on it as long as this lives.
#[derive(Debug)]
pub(super) struct Segment {
    id: Uuid,
    path: PathBuf,
    file: File,
}

impl Segment {
    /// A new, empty one in `directory`. Nobody sees it before it is locked.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let id = Uuid::now_v7();
        let path = directory.join(id.to_string()).with_extension(SUFFIX);
        let unfinished = path.with_extension(UNFINISHED);
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.lock()?;
        fs::rename(&unfinished, &path)?;
        Ok(Self { id, path, file })
    }

    /// Takes a segment over that its process has left behind; none if somebody has it.
    pub(super) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let Some(id) = id_of(path) else { return Ok(None) };
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it may have finished with it just now.
        if file.metadata()?.nlink() == 0 {
            return Ok(None);
        }
        Ok(Some(Self { id, path: path.to_owned(), file }))
    }

    /// To read only, without a lock; for those who only look.
    pub(super) fn look_at(path: &Path) -> io::Result<Option<Self>> {
        let Some(id) = id_of(path) else { return Ok(None) };
        match File::open(path) {
            Ok(file) => Ok(Some(Self { id, path: path.to_owned(), file })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn marker(&self) -> Marker {
        Marker::of(self.id)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The file's name, for the log.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Takes the file away. The lock lasts until this is dropped.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The next frames from `from` on, at most `max`, out of what lies before `to`, where a frame ends or the file does.
    /// Gets on unless there is nothing. With `salvage`, pieces that the disk does not give count as damaged.
    pub(super) fn read(&self, from: u64, to: u64, max: usize, salvage: bool) -> io::Result<Frames> {
        let longest = (2 * MAX_BODY + 2 * HEADER) as u64;
        let mut wanted = CHUNK;
        loop {
            let length = wanted.min(to.saturating_sub(from));
            let mut bytes = BytesMut::zeroed(usize::try_from(length).unwrap_or(usize::MAX));
            let read = read_fully(&self.file, &mut bytes, from, salvage)?;
            bytes.truncate(read);
            // A file that is shorter than it was is cut off where it ends.
            let reaches_end = from + length >= to || (read as u64) < length;
            let frames = frame::read(self.marker(), bytes, from, max, reaches_end);
            if frames.end > from || reaches_end || wanted > longest {
                return Ok(frames);
            }
            wanted *= 2;
        }
    }
}

fn read_fully(file: &File, buffer: &mut [u8], from: u64, salvage: bool) -> io::Result<usize> {
    let piece = if salvage { PIECE } else { usize::MAX };
    let mut done: usize = 0;
    loop {
        let end = done.saturating_add(piece).min(buffer.len());
        let Some(rest) = buffer.get_mut(done..end).filter(|rest| !rest.is_empty()) else { break };
        match file.read_at(rest, from + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It stays zero, which is no frame.
            Err(_) if salvage => done = end,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The id in a segment's name; none for other files.
pub(super) fn id_of(path: &Path) -> Option<Uuid> {
    if path.extension()? != SUFFIX {
        return None;
    }
    Uuid::try_parse(path.file_stem()?.to_str()?).ok()
}

/// The segments in `directory`, the oldest first, with their lengths; whatever else is there is none of ours. What a
/// process has left unfinished, which holds nothing, is removed.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            remove_unfinished(&path);
        } else if id_of(&path).is_some()
            && let Ok(data) = fs::symlink_metadata(&path)
            && data.is_file()
        {
            found.push((path, data.len()));
        }
    }
    // The names begin with the time they were made.
    found.sort_unstable();
    Ok(found)
}

fn remove_unfinished(path: &Path) {
    let is_ours = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| Uuid::try_parse(stem).is_ok());
    let is_left = || File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    // One that is just being made has no lock for a moment: leave it to a later look.
    let is_old = || {
        let made = fs::metadata(path).and_then(|data| data.modified());
        made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() > 60))
    };
    if is_ours && is_old() && is_left() {
        drop(fs::remove_file(path));
    }
}
