//! What a backup holds beside the database: uploaded files, and the secrets that sessions, tokens and signatures need.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::archive::Writer;
use crate::files;
use crate::secrets::Role;

/// Uploaded files: in the data directory and in a backup.
pub(super) const UPLOADS: &str = "uploads";
/// Secrets: in the data directory and in a backup.
pub(super) const SECRETS: &str = "secrets";
/// Longest secret, in bytes.
pub(super) const LONGEST_SECRET: u64 = 64 * 1024;

/// Whether a file in `secrets/` is the installation's own: passwords of its bundled servers.
pub(super) fn is_of_installation(name: &str) -> bool {
    name == "redis-password" || Role::ALL.iter().any(|role| role.file() == name)
}

/// Adds every uploaded file. One that is deleted meanwhile is left out.
pub(super) fn add_uploads(directory: impl AsFd, archive: &mut Writer) -> io::Result<()> {
    match files::open_folder(directory, UPLOADS) {
        Ok(folder) => add_folder(&folder, UPLOADS, archive),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn add_folder(folder: &OwnedFd, path: &str, archive: &mut Writer) -> io::Result<()> {
    let mut entries = files::entries(folder)?;
    entries.sort();
    for (name, is_folder) in entries {
        let path = format!("{path}/{name}");
        // What begins with a dot is not finished, or not ours.
        if name.starts_with('.') {
            continue;
        }
        if is_folder {
            match files::open_folder(folder, &name) {
                Ok(below) => add_folder(&below, &path, archive)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        } else if let Some(file) = open(folder, &name)? {
            archive.append(&path, file)?;
        }
    }
    Ok(())
}

/// An ordinary file; `None` for anything else, and for what is gone.
fn open(folder: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            Ok(file.metadata()?.is_file().then_some(file))
        }
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes of all uploaded files.
pub(super) fn uploads_bytes(directory: impl AsFd) -> u64 {
    fn below(folder: &OwnedFd) -> u64 {
        let entries = files::entries(folder).unwrap_or_default();
        let sizes = entries.into_iter().map(|(name, is_folder)| {
            if is_folder {
                files::open_folder(folder, &name).map_or(0, |folder| below(&folder))
            } else {
                let stat = files::look(folder, &name).ok().flatten();
                stat.and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
            }
        });
        sizes.sum()
    }
    files::open_folder(directory, UPLOADS).map_or(0, |folder| below(&folder))
}

/// Adds every secret but the installation's own.
pub(super) fn add_secrets(directory: impl AsFd, archive: &mut Writer) -> io::Result<()> {
    let folder = files::open_folder(directory, SECRETS)?;
    let mut entries = files::entries(&folder)?;
    entries.sort();
    for (name, is_folder) in entries {
        if is_folder || name.starts_with('.') || is_of_installation(&name) {
            continue;
        }
        if let Some(content) = files::read(&folder, &name, LONGEST_SECRET)? {
            archive.append(&format!("{SECRETS}/{name}"), content.as_slice())?;
        }
    }
    Ok(())
}

/// Puts an uploaded file in its place, below the folder `uploads`; folders on the way are made as they are needed.
pub(super) fn put_upload(
    uploads: &OwnedFd,
    path: &str,
    content: &mut dyn Read,
    owner: Option<files::Owner>,
) -> io::Result<()> {
    let mut folder = uploads.try_clone()?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    for step in folders.split('/').filter(|step| !step.is_empty()) {
        folder = files::make_folder(&folder, step, 0o700, owner)?;
    }
    files::write_from(&folder, name, content, 0o600, owner)
}
