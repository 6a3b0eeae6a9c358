//! A cluster made beforehand: unpacking it takes a fifth of the time that making one takes.
//!
//! The image carries one at [`place`], made while it was built by `supervisor template`. It has everything a new cluster
//! has (checksums, roles, the application's database), but for the passwords: its only one is [`PASSWORD`], which is no
//! secret. It is replaced before the cluster is put in its place, and the server never runs with it where anybody
//! could reach it.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::cluster::Request;
use super::find;
use crate::error::{Fault, exit};
use crate::files::{self, Owner};
use crate::settings::Secret;
use crate::users;

/// The superuser's password in a template.
pub(super) const PASSWORD: &str = "template";
/// Smallest file there is: it is made once and unpacked for years.
const LEVEL: i32 = 19;

/// The template for PostgreSQL `major`, if there is one.
pub(super) fn find_for(major: u32) -> Option<PathBuf> {
    Some(place(major)).filter(|path| path.is_file())
}

fn place(major: u32) -> PathBuf {
    PathBuf::from(format!("/usr/share/glitchbox/postgres-{major}.tar.zst"))
}

/// Unpacks the template `path` into the empty folder `folder`, for `owner`. Synced to disk by the caller.
pub(super) fn unpack(path: &Path, folder: &OwnedFd, owner: Option<Owner>) -> io::Result<()> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(File::open(path)?)?);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(false);
    archive.unpack(files::proc_path(folder))?;
    if let Some(owner) = owner {
        files::hand_over(folder, owner)?;
    }
    Ok(())
}

/// `supervisor template`: makes a template for the newest PostgreSQL installed here and writes it to `to`, or to where
/// it is looked for.
///
/// # Errors
/// Exit code 15 without a PostgreSQL or its user, 10 when a step fails.
pub fn create(to: Option<PathBuf>) -> Result<(), Fault> {
    let failed = |message: String| Fault::new(exit::SERVICE, format!("The template cannot be made: {message}"));
    let told = |error: io::Error| failed(error.to_string());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let server = find(None, Path::new(""), &folders)?;
    let to = to.unwrap_or_else(|| place(server.major));
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(told)?;

    let user = if geteuid().is_root() { Some(users::find("postgres")?) } else { None };
    let work = parent.join(".template");
    std::fs::create_dir(&work).map_err(told)?;
    let done = File::open(&work).map_err(told).and_then(|directory| {
        let directory = OwnedFd::from(directory);
        let request = Request::for_template(server, user.map(|user| (user.uid, user.gid)), &Secret::new(PASSWORD));
        let folder = request.make(&directory).map_err(failed)?;
        pack(&folder, &to).map_err(told)
    });
    std::fs::remove_dir_all(&work).map_err(told)?;
    done
}

fn pack(folder: &OwnedFd, to: &Path) -> io::Result<()> {
    let file = File::create(to)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    let mut archive = tar::Builder::new(zstd::Encoder::new(file, LEVEL)?);
    archive.follow_symlinks(false);
    archive.append_dir_all(".", files::proc_path(folder))?;
    archive.into_inner()?.finish()?.sync_all()
}
