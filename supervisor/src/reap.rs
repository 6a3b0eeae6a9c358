//! The only `waitpid`, and the list of what a service leaves behind.
//!
//! As PID 1 or as a sub-reaper we inherit every orphan. A run of a service is gone only when all its processes are: those
//! of its session, those that carry its mark in their environment, and those that have lost it (PostgreSQL writes its
//! process titles over it) but still have the name and the user of its main process.

use std::collections::HashMap;
use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::state::Exit;

/// The environment variable every service is marked with: `NAME#GENERATION`.
pub const MARK: &str = "GLITCHBOX_SERVICE";

/// Makes us inherit orphans, also when we are not PID 1.
///
/// # Errors
/// On a kernel without sub-reapers.
pub fn become_subreaper() -> io::Result<()> {
    prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Collects every child that has ended.
pub fn reap() -> Vec<(Pid, Exit)> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push((pid, Exit::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => ended.push((pid, Exit::Signal(signal))),
            Ok(WaitStatus::StillAlive) => return ended,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return ended,
        }
    }
}

/// Waits for one child, for as long as it takes: only before the loop begins.
pub fn wait(pid: Pid) -> Exit {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => return Exit::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Exit::Signal(signal),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Exit::Code(127),
        }
    }
}

/// What tells the processes of one run from all others.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The main process, leader of the run's session and process group.
    pub main: Pid,
    /// The value of [`MARK`].
    pub mark: String,
    /// The name of the main process, as the kernel knows it.
    pub name: String,
    /// The user it runs as.
    pub uid: u32,
}

impl Trace {
    /// Looks at a main process that runs.
    pub fn of(main: Pid, mark: String) -> Self {
        let process = Process::read(main.as_raw());
        let (name, uid) = process.map_or_else(|| (String::new(), u32::MAX), |process| (process.name, process.uid));
        Self { main, mark, name, uid }
    }
}

/// The live processes that a run has left behind. `live` are the main processes of all other runs; what descends from
/// them is theirs.
pub fn remnants(trace: &Trace, live: &[Pid]) -> Vec<Pid> {
    let table = Table::read();
    let ours = |process: &Process| {
        process.session == trace.main.as_raw()
            || process.group == trace.main.as_raw()
            || match mark_of(process.pid) {
                Some(mark) => mark == trace.mark,
                None => process.name == trace.name && process.uid == trace.uid,
            }
    };
    let inherited = table.children_of_ours().filter(|process| !live.contains(&Pid::from_raw(process.pid)));
    let mut found: Vec<Pid> = Vec::new();
    for top in inherited {
        let family = table.family(top.pid);
        if family.iter().any(|process| ours(process)) {
            found.extend(family.iter().map(|process| Pid::from_raw(process.pid)));
        }
    }
    found
}

/// Every live process below us.
pub fn descendants() -> Vec<Pid> {
    let table = Table::read();
    let tops: Vec<i32> = table.children_of_ours().map(|process| process.pid).collect();
    tops.into_iter().flat_map(|top| table.family(top)).map(|process| Pid::from_raw(process.pid)).collect()
}

/// Kills these processes. One that is gone already is fine.
pub fn kill_all(processes: &[Pid]) {
    for pid in processes {
        let _ = kill(*pid, Signal::SIGKILL);
    }
}

/// Sends a signal to a main process (KILL: to its whole process group) and wakes it, should it be stopped.
pub fn signal(main: Pid, signal: Signal) {
    if signal == Signal::SIGKILL {
        let _ = killpg(main, signal);
    }
    let _ = kill(main, signal);
    let _ = kill(main, Signal::SIGCONT);
}

/// The mark in a process's environment, if it can be read and is still there.
fn mark_of(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

#[derive(Debug)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    uid: u32,
    name: String,
}

impl Process {
    /// `None` when it is gone or only its exit code is left.
    fn read(pid: i32) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
        Self::parse(pid, uid, &stat)
    }

    /// `PID (NAME) STATE PARENT GROUP SESSION ...`; the name may hold anything, so the last parenthesis ends it.
    fn parse(pid: i32, uid: u32, stat: &str) -> Option<Self> {
        let (head, rest) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut words = rest.split_ascii_whitespace();
        if matches!(words.next()?, "Z" | "X" | "x") {
            return None;
        }
        let mut number = || words.next()?.parse::<i32>().ok();
        Some(Self { pid, parent: number()?, group: number()?, session: number()?, uid, name })
    }
}

struct Table {
    processes: HashMap<i32, Process>,
}

impl Table {
    fn read() -> Self {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Self { processes: pids.filter_map(|pid| Some((pid, Process::read(pid)?))).collect() }
    }

    fn children_of_ours(&self) -> impl Iterator<Item = &Process> {
        let us = std::process::id().cast_signed();
        self.processes.values().filter(move |process| process.parent == us)
    }

    /// A process and all that descend from it.
    fn family(&self, top: i32) -> Vec<&Process> {
        let mut family: Vec<&Process> = self.processes.get(&top).into_iter().collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).map(|process| process.pid) {
            family.extend(self.processes.values().filter(|process| process.parent == parent && process.pid != parent));
            next += 1;
        }
        family
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read_right() {
        let process = Process::parse(7, 0, "7 (a) b (c) S 1 5 6 0 -1").unwrap();
        assert_eq!((process.name.as_str(), process.parent, process.group, process.session), ("a) b (c", 1, 5, 6));
        assert!(Process::parse(7, 0, "7 (gone) Z 1 5 6").is_none());
    }

    #[test]
    fn a_process_knows_itself() {
        let us = std::process::id().cast_signed();
        assert_eq!(Process::read(us).unwrap().parent, nix::unistd::getppid().as_raw());
        assert!(mark_of(us).is_none());
    }
}
