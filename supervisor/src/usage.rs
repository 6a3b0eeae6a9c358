//! What services take of the machine, read from `/proc` when somebody asks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Ticks of the kernel's accounting in a second, for every program on Linux.
const TICKS: u64 = 100;

/// What a process, or a process and all that belongs to it, takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processes.
    pub processes: u32,
    /// Threads of them.
    pub threads: u32,
    /// Memory in bytes: shared pages in shares where the kernel tells us (that takes the same user, or root's right to
    /// trace), else the private pages of all and the shared ones of that process which has most of them.
    pub memory: u64,
    /// Resident memory in bytes, added up: what several share counts several times.
    pub resident: u64,
    /// Processor time, that of children that have ended included.
    pub cpu: Duration,
}

/// All processes at one moment.
#[derive(Debug)]
pub struct Processes {
    root: PathBuf,
    known: HashMap<i32, Process>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    session: i32,
    ticks: u64,
    threads: u32,
}

impl Processes {
    /// Looks at all processes of this machine or container.
    pub fn look() -> Self {
        Self::look_in(Path::new("/proc"))
    }

    fn look_in(root: &Path) -> Self {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let read = |pid: i32| {
            let stat = std::fs::read_to_string(root.join(pid.to_string()).join("stat")).ok()?;
            Some((pid, Process::parse(&stat)?))
        };
        Self { known: pids.filter_map(read).collect(), root: root.to_owned() }
    }

    /// A service's main process, its session, and all that descends from them. `None` when it has gone.
    pub fn of_service(&self, main: i32) -> Option<Usage> {
        self.known.get(&main)?;
        let in_session = self.known.iter().filter(|(pid, process)| **pid == main || process.session == main);
        let mut members: Vec<i32> = in_session.map(|(pid, _)| *pid).collect();
        let mut next = 0;
        while let Some(parent) = members.get(next).copied() {
            let children = self.known.iter().filter(|(_, process)| process.parent == parent);
            let children: Vec<i32> = children.map(|(pid, _)| *pid).filter(|pid| !members.contains(pid)).collect();
            members.extend(children);
            next += 1;
        }
        Some(self.sum(&members))
    }

    /// One process alone. `None` when it has gone.
    pub fn of_one(&self, pid: i32) -> Option<Usage> {
        self.known.contains_key(&pid).then(|| self.sum(&[pid]))
    }

    fn sum(&self, members: &[i32]) -> Usage {
        let mut sum = Usage::default();
        let (mut private, mut most_shared, mut shares) = (0, 0, Some(0));
        for pid in members {
            let Some(process) = self.known.get(pid) else { continue };
            sum.processes += 1;
            sum.threads += process.threads;
            sum.cpu += Duration::from_millis(process.ticks * (1_000 / TICKS));
            let folder = self.root.join(pid.to_string());
            let Some([resident, anonymous]) = sizes(&folder.join("status"), ["VmRSS:", "RssAnon:"]) else { continue };
            sum.resident += resident;
            private += anonymous;
            most_shared = resident.saturating_sub(anonymous).max(most_shared);
            let share = sizes(&folder.join("smaps_rollup"), ["Pss:"]);
            shares = shares.zip(share).map(|(sum, [share])| sum + share);
        }
        sum.memory = shares.unwrap_or(private + most_shared);
        sum
    }
}

impl Process {
    /// `PID (NAME) STATE PARENT GROUP SESSION ...`; the name may hold anything, so the last parenthesis ends it.
    fn parse(stat: &str) -> Option<Self> {
        let words: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        if matches!(*words.first()?, "Z" | "X" | "x") {
            return None;
        }
        // Numbers as proc(5) counts them, of which the first two are gone.
        let field = |number: usize| words.get(number - 3).copied();
        let ticks = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            parent: field(4)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            ticks: ticks(14)? + ticks(15)? + ticks(16)? + ticks(17)?,
            threads: field(20)?.parse().ok()?,
        })
    }
}

/// Some sizes of a file of `/proc` that gives them in kB, in bytes. `None` unless all are there.
fn sizes<const N: usize>(path: &Path, names: [&str; N]) -> Option<[u64; N]> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut found = [0; N];
    for (size, name) in found.iter_mut().zip(names) {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        *size = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_its_session_and_all_that_descends_from_it() {
        let root = tempfile::tempdir().unwrap();
        // pid, parent, session, anonymous and all resident kB
        for (pid, parent, session, anonymous, resident) in
            [(10, 1, 10, 100, 300), (11, 10, 10, 50, 250), (12, 11, 12, 10, 10), (13, 1, 10, 5, 5), (20, 1, 20, 9, 9)]
        {
            let folder = root.path().join(pid.to_string());
            std::fs::create_dir(&folder).unwrap();
            let stat = format!("{pid} (a) b) S {parent} {pid} {session} 0 -1 0 0 0 0 0 100 50 20 30 20 0 2 0 7 0 75");
            std::fs::write(folder.join("stat"), stat).unwrap();
            let status = format!("Name:\ta\nVmRSS:\t{resident} kB\nRssAnon:\t{anonymous} kB\n");
            std::fs::write(folder.join("status"), status).unwrap();
        }
        let processes = Processes::look_in(root.path());
        let usage = processes.of_service(10).unwrap();
        assert_eq!((usage.processes, usage.threads, usage.cpu), (4, 8, Duration::from_secs(8)));
        assert_eq!((usage.memory, usage.resident), ((165 + 200) * 1024, 565 * 1024));
        assert_eq!(processes.of_one(20).unwrap().processes, 1);
        assert!(processes.of_service(99).is_none());
        for (pid, kilobytes) in [(10, 120), (11, 60), (12, 10), (13, 5)] {
            let path = root.path().join(pid.to_string()).join("smaps_rollup");
            std::fs::write(path, format!("Rss: 1 kB\nPss:   {kilobytes} kB\n")).unwrap();
        }
        assert_eq!(processes.of_service(10).unwrap().memory, 195 * 1024, "shares where they can be read");
    }

    #[test]
    fn this_process_uses_something() {
        let own = std::process::id().cast_signed();
        let usage = Processes::look().of_one(own).unwrap();
        assert!(usage.memory > 100_000 && usage.resident >= usage.memory && usage.threads > 0, "{usage:?}");
    }
}
