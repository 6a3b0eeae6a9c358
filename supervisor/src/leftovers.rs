//! Processes that a killed supervisor left behind.
//!
//! They are known by where they work: PostgreSQL inside its cluster, Redis inside its folder, the application inside
//! the data directory; programs that make a cluster have its folder open under the number we gave it. Whoever holds
//! the directory's lock may end them, and must, before a second server touches the same files.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::files;

/// How long a server gets to end by itself: PostgreSQL writes its checkpoint, Redis its last commands.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look whether they are gone.
const INTERVAL: Duration = Duration::from_millis(10);

/// The descriptor under which PostgreSQL's programs get their data directory, in `/proc/PID`.
const DATA_LINK: &str = "fd/3";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    /// Anything at work on a cluster that is not finished.
    Unfinished,
    Redis,
    App,
    /// A one-shot child of the supervisor.
    Task,
}

/// Ends every process of the data directory `directory` and waits until they are gone: first by asking, then by force.
///
/// # Errors
/// When processes cannot be listed, or one survives.
pub fn end(directory: impl AsFd) -> io::Result<()> {
    end_at(&places(directory, &[SERVICES.as_slice(), SCRATCH.as_slice()].concat()))
}

/// As [`end`], for what is ended without asking and at once: roles of the application, which hold the listening socket,
/// and tasks of the supervisor.
///
/// # Errors
/// As [`end`].
pub fn end_quick(directory: impl AsFd) -> io::Result<()> {
    end_at(&places(directory, &QUICK))
}

/// As [`end`], for the servers of backups that are restored aside: whoever makes one is sure that there is no other.
///
/// # Errors
/// As [`end`].
pub fn end_scratch(directory: impl AsFd) -> io::Result<()> {
    end_at(&places(directory, &SCRATCH))
}

fn end_at(places: &[Place]) -> io::Result<()> {
    let found = find(places)?;
    if found.is_empty() {
        return Ok(());
    }
    for (pid, kind) in &found {
        let signal = match kind {
            // To a backend it means "cancel", to the first process "shut down fast".
            Kind::Postgres => Signal::SIGINT,
            Kind::Redis => Signal::SIGTERM,
            // Nothing is lost: what the application had not finished is still in the queue.
            Kind::App | Kind::Task | Kind::Unfinished => Signal::SIGKILL,
        };
        send(*pid, signal)?;
        // One that is stopped would not hear.
        send(*pid, Signal::SIGCONT)?;
    }
    let start = Instant::now();
    while start.elapsed() < 2 * PATIENCE {
        let left = find(places)?;
        if left.is_empty() {
            return Ok(());
        }
        // A process held by a debugger, or backends whose first process is dead, do not hear us.
        if start.elapsed() > PATIENCE {
            for (pid, _) in &left {
                send(*pid, Signal::SIGKILL)?;
            }
        }
        std::thread::sleep(INTERVAL);
    }
    Err(io::Error::other("they do not end"))
}

fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(io::Error::other(format!("process {pid}: {errno}"))),
    }
}

/// A folder's identity, and what works in it.
type Place = ((u64, u64), Kind);

/// Where services work, in the data directory.
const SERVICES: [(&str, Kind); 4] =
    [("postgres", Kind::Postgres), ("postgres.tmp", Kind::Unfinished), ("redis", Kind::Redis), (".", Kind::App)];

/// Where those work that need no time to end.
const QUICK: [(&str, Kind); 2] = [(".", Kind::App), (".", Kind::Task)];

/// Where backups are restored aside.
const SCRATCH: [(&str, Kind); 4] = [
    ("restore.tmp/postgres", Kind::Postgres),
    ("restore.tmp/postgres.tmp", Kind::Unfinished),
    ("verify.tmp/postgres", Kind::Postgres),
    ("verify.tmp/postgres.tmp", Kind::Unfinished),
];

fn places(directory: impl AsFd, names: &[(&str, Kind)]) -> Vec<Place> {
    let root = files::proc_path(directory);
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    names.iter().filter_map(|(name, kind)| Some((identity(&root.join(name))?, *kind))).collect()
}

fn find(places: &[Place]) -> io::Result<Vec<(Pid, Kind)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let place_of = |link: &str| {
            // Gone meanwhile, or not ours to see: not one of these.
            let metadata = std::fs::metadata(entry.path().join(link)).ok()?;
            let place = (metadata.dev(), metadata.ino());
            let kinds = places.iter().filter(|(known, _)| *known == place).map(|(_, kind)| *kind);
            Some(kinds.collect::<Vec<_>>()).filter(|kinds| !kinds.is_empty())
        };
        let at_work = || {
            let mut kinds = place_of(DATA_LINK)?;
            kinds.retain(|kind| matches!(kind, Kind::Postgres | Kind::Unfinished));
            Some(kinds)
        };
        let Some(kinds) = place_of("cwd").or_else(at_work) else { continue };
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let kind = kinds.into_iter().find(|kind| is_service(*kind, name.trim(), &command_line));
        found.extend(kind.map(|kind| (Pid::from_raw(pid), kind)));
    }
    Ok(found)
}

/// A person's shell may well stand in one of the folders; it is not a service.
fn is_service(kind: Kind, name: &str, command_line: &[u8]) -> bool {
    let mut words = command_line.split(|byte| *byte == 0);
    match kind {
        Kind::Postgres => name == "postgres",
        // initdb starts its servers through a shell.
        Kind::Unfinished => matches!(name, "postgres" | "initdb" | "sh"),
        Kind::Redis => name == "redis-server",
        Kind::App => {
            words.next() == Some(b"glitchbox".as_slice())
                && matches!(words.next(), Some(b"web" | b"worker" | b"migrate" | b"banner"))
        }
        Kind::Task => {
            words.next() == Some(b"supervisor".as_slice()) && matches!(words.next(), Some(b"task" | b"prepare"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_are_taken_for_services() {
        assert!(is_service(Kind::App, "5", b"glitchbox\0worker\0"));
        assert!(!is_service(Kind::App, "glitchbox", b"glitchbox\0user\0create\0"));
        assert!(!is_service(Kind::App, "bash", b"-bash\0"));
        assert!(is_service(Kind::Task, "5", b"supervisor\0task\0"));
        assert!(!is_service(Kind::Task, "supervisor", b"supervisor\0logs\0"));
        assert!(is_service(Kind::Postgres, "postgres", b"postgres: checkpointer \0"));
        assert!(is_service(Kind::Unfinished, "sh", b"sh\0-c\0"));
        assert!(!is_service(Kind::Postgres, "sh", b"sh\0"));
        assert!(!is_service(Kind::Redis, "vim", b"vim\0appendonly.aof\0"));
    }

    #[test]
    fn nothing_to_end_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        end(std::fs::File::open(folder.path()).unwrap()).unwrap();
    }
}
