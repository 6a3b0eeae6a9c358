//! The data directory: looked at without touching it, then laid out.
//!
//! ```text
//! DATA_DIR/            0711 root           postgres/  0700 postgres   the cluster itself (PGDATA)
//!   format             layout version      redis/     0700 redis      append-only files
//!   backups/ logs/     0700 root           spool/ uploads/ secrets/   0700 glitchbox
//!   run/               0771 root:postgres  run/redis/ 0711 redis      run/notify/  0711 root
//!                                          run/status/ 0711 glitchbox
//! ```
//!
//! For an ordinary user everything is that user's, and `DATA_DIR` is 0700; unless it is a volume of somebody else that
//! this user may write.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{AccessFlags, eaccess, fchown, geteuid};

use crate::error::Fault;
use crate::files::{self, Owner};
use crate::settings::Settings;
use crate::spawn::Credentials;
use crate::users::Users;

/// The layout this program writes and the newest it reads.
const FORMAT: u32 = 1;
/// The file that says which layout it is, and that the directory is ours at all.
const FORMAT_FILE: &str = "format";
/// How long a lock is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// Folders somebody may have made, or mounted, before the first start.
const MAY_BE_THERE: &[&str] = &["lost+found", "secrets", "backups", "logs", "uploads"];

/// A data directory that can be used, before anything in it is changed. Holds the lock if the directory exists.
#[derive(Debug)]
pub struct Examined {
    path: PathBuf,
    /// The locked directory; none if it has yet to be made.
    directory: Option<OwnedFd>,
    is_ours: bool,
    /// The major version of the PostgreSQL cluster in it.
    cluster: Option<u32>,
}

/// The laid-out data directory. The lock lasts as long as `dir` is open.
#[derive(Debug, Clone)]
pub struct DataDir {
    /// Its absolute path, for showing to people; may lead through folders closed to the services.
    pub path: PathBuf,
    /// The directory itself; its descriptor holds the lock and is never handed to a child.
    pub dir: Arc<OwnedFd>,
    /// `logs/`.
    pub logs: Arc<OwnedFd>,
    /// `redis/`.
    pub redis: Arc<OwnedFd>,
    /// `run/`: PostgreSQL's socket, `redis/redis.sock`, `notify/`, `status/`, the control socket.
    pub run: Arc<OwnedFd>,
    /// `secrets/`.
    pub secrets: Arc<OwnedFd>,
}

impl Examined {
    /// Looks at the data directory and locks it, changing nothing on disk. A fault has exit code 13.
    pub fn examine(settings: &Settings) -> Result<Self, Fault> {
        let path = settings.data_dir.clone();
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => examine_directory(path, metadata.uid(), settings),
            Ok(_) => Err(fault(&path, "is not a directory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.is_symlink() {
                    return Err(fault(&path, "is a symbolic link to something that does not exist"));
                }
                check_can_create(&path)?;
                Ok(Self { path, directory: None, is_ours: false, cluster: None })
            }
            Err(error) => Err(fault(&path, &format!("cannot be reached: {error}"))),
        }
    }

    /// The major version of the PostgreSQL cluster that is there already.
    pub fn cluster(&self) -> Option<u32> {
        self.cluster
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The locked directory, if it exists already.
    pub fn directory(&self) -> Option<&OwnedFd> {
        self.directory.as_ref()
    }

    /// Looks at the cluster again, after it has been exchanged.
    pub fn again(mut self, settings: &Settings) -> Result<Self, Fault> {
        if let Some(directory) = self.directory.as_ref().filter(|_| settings.bundled_postgres) {
            self.cluster = examine_cluster(&self.path, directory)?;
        }
        Ok(self)
    }

    /// Creates what is missing and sees to modes and owners. From here on the directory is ours.
    pub fn layout(self, users: &Users) -> Result<DataDir, Fault> {
        let path = self.path;
        let directory = match self.directory {
            Some(directory) => directory,
            None => create(&path)?,
        };
        let explain = |error: io::Error| unwritable(&path, "cannot be prepared", &error);
        if !self.is_ours {
            files::write(&directory, FORMAT_FILE, format!("{FORMAT}\n").as_bytes(), 0o644, None).map_err(explain)?;
        }
        let is_root = geteuid().is_root();
        let us: Option<Owner> = is_root.then_some((0, 0));
        take(&directory, us, if is_root { 0o711 } else { 0o700 }).map_err(explain)?;

        let make = |parent: &OwnedFd, name: &str, mode: u32, owner: Option<Owner>| {
            files::make_folder(parent, name, mode, owner)
                .map(Arc::new)
                .map_err(|error| unwritable(&path, &format!("cannot be prepared: folder {name}"), &error))
        };
        let app = owner(users.app.as_ref());
        make(&directory, "backups", 0o700, us)?;
        let logs = make(&directory, "logs", 0o700, us)?;
        for name in ["uploads", "spool"] {
            make(&directory, name, 0o700, app)?;
        }
        let secrets = make(&directory, "secrets", 0o700, app)?;
        let redis = make(&directory, "redis", 0o700, owner(users.redis.as_ref()))?;
        let run_owner = users.postgres.as_ref().map(|postgres| (0, postgres.gid)).or(us);
        let run = make_run(&directory, run_owner).map(Arc::new).map_err(explain)?;
        make(&run, "redis", 0o711, owner(users.redis.as_ref()))?;
        make(&run, "notify", 0o711, us)?;
        make(&run, "status", 0o711, app)?;
        Ok(DataDir { path, dir: Arc::new(directory), logs, redis, run, secrets })
    }
}

impl DataDir {
    /// The absolute path of something in it, for showing to people.
    pub fn shown(&self, relative: &str) -> String {
        self.path.join(relative).display().to_string()
    }
}

/// The owner a service's folders get.
pub fn owner(credentials: Option<&Credentials>) -> Option<Owner> {
    credentials.map(|credentials| (credentials.uid, credentials.gid))
}

/// `run/` holds sockets of several owners, so its owner is set without handing over what is in it.
fn make_run(directory: &OwnedFd, owner: Option<Owner>) -> io::Result<OwnedFd> {
    let run = files::make_folder(directory, "run", 0o700, None)?;
    take(&run, owner, if owner.is_some() { 0o771 } else { 0o700 })?;
    Ok(run)
}

/// Sets owner and mode of `folder` alone, where they are not right already. One that was only opened to us stays as it is.
fn take(folder: &OwnedFd, owner: Option<Owner>, mode: u32) -> io::Result<()> {
    let stat = fstat(folder)?;
    if let Some((uid, gid)) = owner
        && (uid, gid) != (stat.st_uid, stat.st_gid)
    {
        fchown(folder, Some(uid.into()), Some(gid.into()))?;
    }
    let mode = Mode::from_bits_truncate(mode);
    let us = geteuid();
    let is_ours = us.is_root() || stat.st_uid == us.as_raw();
    if is_ours && Mode::from_bits_truncate(stat.st_mode) != mode {
        fchmod(folder, mode)?;
    }
    Ok(())
}

fn examine_directory(path: PathBuf, owner: u32, settings: &Settings) -> Result<Examined, Fault> {
    let us = geteuid();
    let is_anothers = !us.is_root() && owner != us.as_raw();
    let belongs = || format!("belongs to user id {owner}, and this is user id {us}: start as its owner or as root");
    if is_anothers && eaccess(&path, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Err(fault(&path, &belongs()));
    }
    if let Err(error) = eaccess(&path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
        return Err(unwritable(&path, "cannot be written", &error.into()));
    }
    let directory = File::open(&path).map_err(|error| fault(&path, &format!("cannot be opened: {error}")))?;
    let directory = lock(&path, directory)?;
    let unreadable = |what: &str, error: &io::Error| fault(&path, &format!("cannot be read: {what}: {error}"));
    let format = files::read(&directory, FORMAT_FILE, 100).map_err(|error| unreadable(FORMAT_FILE, &error))?;
    // A volume that its owner has opened to us will do if we filled it, or if it is empty.
    if is_anothers
        && let Some(filled) = files::look(&directory, FORMAT_FILE).map_err(|error| unreadable(FORMAT_FILE, &error))?
        && filled.st_uid != us.as_raw()
    {
        let filler = filled.st_uid;
        return Err(fault(
            &path,
            &format!("was filled by user id {filler}, and this is user id {us}: start as user id {filler} or as root"),
        ));
    }
    let Some(format) = format else {
        refuse_foreign(&path, &directory)?;
        return Ok(Examined { path, directory: Some(directory), is_ours: false, cluster: None });
    };
    check_format(&path, &format)?;
    let cluster = if settings.bundled_postgres { examine_cluster(&path, &directory)? } else { None };
    Ok(Examined { path, directory: Some(directory), is_ours: true, cluster })
}

/// One that was killed a moment ago may not be gone quite yet.
fn lock(path: &Path, directory: File) -> Result<OwnedFd, Fault> {
    let begun = Instant::now();
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(directory.into()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(fault(path, "is in use by another running glitchbox")),
            Err(TryLockError::Error(error)) => return Err(fault(path, &format!("cannot be locked: {error}"))),
        }
    }
}

fn refuse_foreign(path: &Path, directory: &OwnedFd) -> Result<(), Fault> {
    let entries = std::fs::read_dir(files::proc_path(directory))
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| fault(path, &format!("cannot be read: {error}")))?;
    let foreign = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| !name.starts_with('.') && !MAY_BE_THERE.contains(&name.as_str()));
    match foreign {
        None => Ok(()),
        Some(name) => Err(fault(
            path,
            &format!("is not empty and not glitchbox's: it holds {name:?} but no file {FORMAT_FILE:?}"),
        )),
    }
}

fn check_format(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(content);
    match text.trim().parse::<u32>() {
        Ok(version) if (1..=FORMAT).contains(&version) => Ok(()),
        Ok(version) => Err(fault(
            path,
            &format!(
                "was written by a newer glitchbox: its format is {version}, and this version knows up to {FORMAT}"
            ),
        )),
        Err(_) => Err(fault(path, &format!("has a file {FORMAT_FILE:?} that is not a version number"))),
    }
}

/// The major version of the cluster under `postgres/`, if there is one.
fn examine_cluster(path: &Path, directory: &OwnedFd) -> Result<Option<u32>, Fault> {
    let explain = |error: io::Error| fault(path, &format!("cannot be read: postgres: {error}"));
    let Some(stat) = files::look(directory, "postgres").map_err(explain)? else { return Ok(None) };
    let us = geteuid();
    if !us.is_root() && stat.st_uid != us.as_raw() {
        let owner = stat.st_uid;
        return Err(fault(
            path,
            &format!("was filled by root: its folder postgres belongs to user id {owner}, and this is user id {us}"),
        ));
    }
    let cluster = files::open_folder(directory, "postgres").map_err(explain)?;
    let version = files::read(&cluster, "PG_VERSION", 100).map_err(explain)?;
    let Some(version) = version else {
        let is_empty = files::entries(&cluster).map_err(explain)?.is_empty();
        return if is_empty {
            Ok(None)
        } else {
            Err(fault(path, "has a folder postgres that is not empty and holds no PostgreSQL cluster"))
        };
    };
    let version = String::from_utf8_lossy(&version);
    match version.trim().parse() {
        Ok(major) => Ok(Some(major)),
        Err(_) => Err(fault(path, &format!("holds a PostgreSQL cluster of unknown version {:?}", version.trim()))),
    }
}

/// True would be too much to promise; this finds what is plainly in the way of creating `path`.
fn check_can_create(path: &Path) -> Result<(), Fault> {
    let Some((ancestor, metadata)) =
        path.ancestors().skip(1).find_map(|ancestor| Some((ancestor, std::fs::metadata(ancestor).ok()?)))
    else {
        return Err(fault(path, "cannot be created: none of its parents can be reached"));
    };
    if !metadata.is_dir() {
        return Err(fault(path, &format!("cannot be created: {} is not a directory", ancestor.display())));
    }
    eaccess(ancestor, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| {
        unwritable(path, &format!("cannot be created: {} cannot be written", ancestor.display()), &errno.into())
    })
}

fn create(path: &Path) -> Result<OwnedFd, Fault> {
    let explain = |error: io::Error| unwritable(path, "cannot be created", &error);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(explain)?;
    }
    DirBuilder::new().mode(0o700).create(path).map_err(explain)?;
    let directory = lock(path, File::open(path).map_err(explain)?)?;
    if let Some(parent) = path.parent()
        && let Ok(parent) = File::open(parent)
    {
        files::sync_folder(parent.as_fd()).map_err(explain)?;
    }
    Ok(directory)
}

fn fault(path: &Path, what: &str) -> Fault {
    Fault::data_directory(format!("The data directory {} {what}.", path.display()))
}

fn unwritable(path: &Path, what: &str, error: &io::Error) -> Fault {
    Fault::writing(format!("The data directory {} {what}: {error}.", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    fn settings(path: &Path) -> Settings {
        let overrides = Overrides { data_dir: Some(path.to_path_buf()), port: None };
        Settings::from_env([], &overrides).unwrap()
    }

    fn refusal(path: &Path) -> String {
        let fault = Examined::examine(&settings(path)).unwrap_err();
        assert_eq!(fault.exit, 13);
        fault.message
    }

    fn listing(path: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn looking_creates_nothing_and_layout_creates_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/data");
        let examined = Examined::examine(&settings(&path)).unwrap();
        assert!(listing(folder.path()).is_empty());
        let data = examined.layout(&Users::default()).unwrap();
        assert_eq!(listing(&path), ["backups", "format", "logs", "redis", "run", "secrets", "spool", "uploads"]);
        assert_eq!(std::fs::read_to_string(path.join("format")).unwrap(), "1\n");
        assert!(refusal(&path).contains("in use by another running glitchbox"));
        drop(data);
        let again = Examined::examine(&settings(&path)).unwrap();
        assert_eq!(again.cluster(), None);
        again.layout(&Users::default()).unwrap();
    }

    #[test]
    fn foreign_content_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.doc"), "x").unwrap();
        assert!(refusal(folder.path()).contains("thesis.doc"));
        assert_eq!(listing(folder.path()), ["thesis.doc"]);
    }

    #[test]
    fn what_a_volume_or_a_person_made_before_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["lost+found", "secrets", "backups", ".snapshot"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Examined::examine(&settings(folder.path())).unwrap();
    }

    #[test]
    fn newer_and_unreadable_formats_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), "2\n").unwrap();
        assert!(refusal(folder.path()).contains("newer glitchbox"));
        std::fs::write(folder.path().join("format"), "x").unwrap();
        assert!(refusal(folder.path()).contains("not a version number"));
    }

    #[test]
    fn odd_paths_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(refusal(&file).contains("is not a directory"));
        refusal(&file.join("below"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(refusal(&link).contains("symbolic link"));
    }

    #[test]
    fn a_folder_that_only_looks_like_a_cluster_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), "1").unwrap();
        let cluster = folder.path().join("postgres");
        std::fs::create_dir(&cluster).unwrap();
        assert_eq!(Examined::examine(&settings(folder.path())).unwrap().cluster(), None);
        std::fs::write(cluster.join("base"), "").unwrap();
        assert!(refusal(folder.path()).contains("holds no PostgreSQL cluster"));
        std::fs::write(cluster.join("PG_VERSION"), "16\n").unwrap();
        assert_eq!(Examined::examine(&settings(folder.path())).unwrap().cluster(), Some(16));
        std::fs::write(cluster.join("PG_VERSION"), "9.6\n").unwrap();
        assert!(refusal(folder.path()).contains("9.6"));
    }
}
