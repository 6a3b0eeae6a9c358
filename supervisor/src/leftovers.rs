//! Processes that a killed supervisor left behind.
//!
//! They are known by where they work: PostgreSQL inside its cluster, Redis inside its folder, the application inside
//! the data directory; programs that make a cluster have its folder open under the number we gave it. All others, such
//! as what users' own services started, are known by their tags, which name the data directory (`reap`). Whoever holds
//! the directory's lock may end them, and must, before a second server touches the same files.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{files, reap};

/// How long a server gets to end by itself: PostgreSQL writes its checkpoint, Redis its last commands.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long all others get.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
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
    /// Whatever else a service has started.
    Other,
}

impl Kind {
    /// What a process of this name is that is known by its tag only.
    fn of_tagged(name: &str) -> Self {
        match name {
            "postgres" => Self::Postgres,
            "redis-server" => Self::Redis,
            _ => Self::Other,
        }
    }

    /// How it is asked to end. To a backend of PostgreSQL INT means "cancel", to the first process "shut down fast". The
    /// application and tasks lose nothing by KILL: what is unfinished is still in the queue.
    fn request(self) -> Signal {
        match self {
            Self::Postgres => Signal::SIGINT,
            Self::Redis | Self::Other => Signal::SIGTERM,
            Self::App | Self::Task | Self::Unfinished => Signal::SIGKILL,
        }
    }

    fn patience(self) -> Duration {
        if self == Self::Other { SHORT_PATIENCE } else { PATIENCE }
    }
}

/// Ends every process of the data directory `directory` and waits until they are gone: first by asking, then by force.
///
/// # Errors
/// When processes cannot be listed, or one survives.
pub fn end(directory: impl AsFd) -> io::Result<()> {
    end_at(&Sought {
        places: places(&directory, &[SERVICES.as_slice(), SCRATCH.as_slice()].concat()),
        holder: reap::holder(directory),
        servers: true,
    })
}

/// As [`end`], for all but the servers: what may hold the listening socket, and tasks of the supervisor.
///
/// # Errors
/// As [`end`].
pub fn end_quick(directory: impl AsFd) -> io::Result<()> {
    end_at(&Sought { places: places(&directory, &QUICK), holder: reap::holder(directory), servers: false })
}

/// As [`end`], for the servers of backups that are restored aside: whoever makes one is sure that there is no other.
///
/// # Errors
/// As [`end`].
pub fn end_scratch(directory: impl AsFd) -> io::Result<()> {
    end_at(&Sought { places: places(directory, &SCRATCH), holder: None, servers: true })
}

fn end_at(sought: &Sought) -> io::Result<()> {
    let start = Instant::now();
    let mut asked = HashSet::new();
    while start.elapsed() < 2 * PATIENCE {
        let left = find(sought)?;
        if left.is_empty() {
            return Ok(());
        }
        let mut waits = false;
        for (pid, kind) in left {
            // Those that have come later get no more time than the first.
            if asked.insert(pid) {
                send(pid, kind.request())?;
                // One that is stopped would not hear.
                send(pid, Signal::SIGCONT)?;
            }
            // A process held by a debugger, or backends whose first process is dead, do not hear us.
            let is_late = start.elapsed() > kind.patience();
            if is_late {
                send(pid, Signal::SIGKILL)?;
            }
            waits |= !is_late;
        }
        // What forks as fast as it is killed is not given the time to.
        std::thread::sleep(if waits { INTERVAL } else { Duration::ZERO });
    }
    Err(io::Error::other("they do not end"))
}

fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(io::Error::other(format!("process {pid}: {errno}"))),
    }
}

/// What is looked for.
struct Sought {
    places: Vec<Place>,
    /// The data directory, as tags name it; `None` goes by the places only.
    holder: Option<u64>,
    /// Whether PostgreSQL and Redis count that are known by their tags.
    servers: bool,
}

impl Sought {
    fn is_tagged(&self, pid: i32) -> bool {
        self.holder.is_some() && reap::holder_of(pid) == self.holder
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

fn find(sought: &Sought) -> io::Result<Vec<(Pid, Kind)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let place_of = |link: &str| {
            // Gone meanwhile, or not ours to see: not one of these.
            let metadata = std::fs::metadata(entry.path().join(link)).ok()?;
            let place = (metadata.dev(), metadata.ino());
            let kinds = sought.places.iter().filter(|(known, _)| *known == place).map(|(_, kind)| *kind);
            Some(kinds.collect::<Vec<_>>()).filter(|kinds| !kinds.is_empty())
        };
        let at_work = || {
            let mut kinds = place_of(DATA_LINK)?;
            kinds.retain(|kind| matches!(kind, Kind::Postgres | Kind::Unfinished));
            Some(kinds)
        };
        let kinds = place_of("cwd").or_else(at_work).unwrap_or_default();
        let is_tagged = sought.is_tagged(pid);
        if kinds.is_empty() && !is_tagged {
            continue;
        }
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let is_alive = stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']));
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let kind = kinds.into_iter().find(|kind| is_service(*kind, name.trim(), &command_line));
        let tagged =
            Some(Kind::of_tagged(name.trim())).filter(|kind| is_tagged && (sought.servers || *kind == Kind::Other));
        found.extend(kind.or(tagged).filter(|_| is_alive).map(|kind| (Pid::from_raw(pid), kind)));
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
        // No place makes it one.
        Kind::Other => false,
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
