//! Small files and folders beside a directory descriptor.
//!
//! Everything is named relative to an open directory and never follows a symbolic link: some of these folders belong
//! to the services' users, and root must not be led astray by what one of them put there.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, unlinkat};

/// User and group id of a file's owner.
pub type Owner = (u32, u32);

/// A path that leads to `directory` whatever became of its name and parents.
pub fn proc_path(directory: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()))
}

/// Opens the folder `name` in `parent`.
pub fn open_folder(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// The content of `name`, or `None` when there is no such file. Refuses more than `limit` bytes.
pub fn read(parent: impl AsFd, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = match openat(parent, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::other("the file is too large"));
    }
    Ok(Some(content))
}

/// Writes `name` whole or not at all, durably, with `mode` and, when given, `owner`.
pub fn write(parent: impl AsFd, name: &str, content: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
    write_from(parent, name, &mut &*content, mode, owner)
}

/// As [`write`], for content too long to be held in memory.
pub fn write_from(
    parent: impl AsFd,
    name: &str,
    content: &mut dyn Read,
    mode: u32,
    owner: Option<Owner>,
) -> io::Result<()> {
    let temporary = format!(".{name}.tmp");
    match unlinkat(&parent, temporary.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(&parent, temporary.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    io::copy(content, &mut file)?;
    own(&file, owner)?;
    fchmod(&file, Mode::from_bits_truncate(mode))?;
    file.sync_all()?;
    renameat(&parent, temporary.as_str(), &parent, name)?;
    sync_folder(&parent)
}

/// Makes what was created in or renamed within `folder` durable.
pub fn sync_folder(folder: impl AsFd) -> io::Result<()> {
    // A directory opened for reading can be synced; some network file systems refuse, and cannot do better.
    match nix::unistd::fsync(folder) {
        Ok(()) | Err(Errno::EINVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the folder `name` in `parent` unless it is there, and sees to its mode and owner.
///
/// When a folder that is already there has another owner, all it holds is handed over too.
pub fn make_folder(parent: impl AsFd, name: &str, mode: u32, owner: Option<Owner>) -> io::Result<OwnedFd> {
    match mkdirat(&parent, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = open_folder(&parent, name)?;
    let stat = fstat(&folder)?;
    if let Some(owner) = owner
        && owner != owner_of(&stat)
    {
        hand_over(&folder, owner)?;
    }
    let mode = Mode::from_bits_truncate(mode);
    if Mode::from_bits_truncate(stat.st_mode) != mode || owner.is_some_and(|owner| owner != owner_of(&stat)) {
        fchmod(&folder, mode)?;
    }
    Ok(folder)
}

/// Gives `folder` and everything in it to `owner`: the content first and the folder itself last, so that an
/// interrupted run is seen and done again.
pub fn hand_over(folder: impl AsFd, owner: Owner) -> io::Result<()> {
    for (name, is_folder) in entries(&folder)? {
        if is_folder {
            hand_over(open_folder(&folder, &name)?, owner)?;
        } else {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            fchownat(&folder, name.as_str(), Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
    }
    own(folder, Some(owner))
}

/// Deletes the folder `name` of `parent` with everything in it; a missing one is fine.
pub fn remove_folder(parent: impl AsFd, name: &str) -> io::Result<()> {
    let folder = match open_folder(&parent, name) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for (entry, is_folder) in entries(&folder)? {
        if is_folder {
            remove_folder(&folder, &entry)?;
        } else {
            unlinkat(&folder, entry.as_str(), UnlinkatFlags::NoRemoveDir)?;
        }
    }
    Ok(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)?)
}

/// Deletes the file `name`; true when there was one.
pub fn remove(parent: impl AsFd, name: &str) -> io::Result<bool> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The names in `folder`, each with whether it is a folder itself.
pub fn entries(folder: impl AsFd) -> io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(proc_path(&folder))? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("the name {} is not valid UTF-8", name.display())))?;
        found.push((name, entry.file_type()?.is_dir()));
    }
    Ok(found)
}

/// What `name` in `parent` is, without following a symbolic link; `None` when there is nothing.
pub fn look(parent: impl AsFd, name: &str) -> io::Result<Option<FileStat>> {
    match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn own(file: impl AsFd, owner: Option<Owner>) -> io::Result<()> {
    if let Some((uid, gid)) = owner {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

fn owner_of(stat: &FileStat) -> Owner {
    (stat.st_uid, stat.st_gid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_written_whole_with_their_mode() {
        let folder = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(File::open(folder.path()).unwrap());
        write(&directory, "a", b"one", 0o600, None).unwrap();
        write(&directory, "a", b"two", 0o640, None).unwrap();
        assert_eq!(read(&directory, "a", 10).unwrap().unwrap(), b"two");
        assert_eq!(std::fs::metadata(folder.path().join("a")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(read(&directory, "absent", 10).unwrap(), None);
        assert!(read(&directory, "a", 2).is_err());
        assert_eq!(entries(&directory).unwrap(), [("a".to_owned(), false)]);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(File::open(folder.path()).unwrap());
        std::fs::write(folder.path().join("target"), "secret").unwrap();
        std::os::unix::fs::symlink("target", folder.path().join("link")).unwrap();
        assert!(read(&directory, "link", 10).is_err());
        write(&directory, "link", b"new", 0o600, None).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("target")).unwrap(), "secret");
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        assert!(open_folder(&directory, "root").is_err());
    }

    #[test]
    fn folders_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(File::open(folder.path()).unwrap());
        make_folder(&directory, "a", 0o711, None).unwrap();
        let a = make_folder(&directory, "a", 0o700, None).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("a")).unwrap().permissions().mode() & 0o7777, 0o700);
        make_folder(&a, "b", 0o700, None).unwrap();
        write(&a, "file", b"", 0o600, None).unwrap();
        remove_folder(&directory, "a").unwrap();
        remove_folder(&directory, "a").unwrap();
        assert!(entries(&directory).unwrap().is_empty());
        assert!(!remove(&directory, "file").unwrap());
    }
}
