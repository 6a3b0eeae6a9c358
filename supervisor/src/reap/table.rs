//! What `/proc` tells about processes.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Pid;

use super::{MARK, kill_all};

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Only its exit code is left, and has not been collected.
    pub(super) is_dead: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// As the kernel knows it: at most 15 bytes.
    pub(super) name: String,
}

impl Process {
    /// `None` when there is none.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat))
    }

    /// `PID (NAME) STATE PARENT GROUP SESSION ...`; the name may hold anything, so the last parenthesis ends it.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (head, rest) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut words = rest.split_ascii_whitespace();
        let is_dead = matches!(words.next()?, "Z" | "X" | "x");
        let mut number = || words.next()?.parse::<i32>().ok();
        Some(Self { pid, is_dead, parent: number()?, group: number()?, session: number()?, name })
    }
}

/// The user a process runs as.
pub(super) fn user_of(pid: i32) -> Option<u32> {
    Some(std::fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// The mark in a process's environment, if it can be read and is still there.
pub(super) fn mark_of(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

/// Who is whose child: asked of the kernel for each where it answers that, else read once for all.
#[derive(Debug)]
pub(super) enum Table {
    /// The kernel lists the children of every thread. Complete for us, since nobody but us takes any off that list.
    Lists,
    /// All processes of the machine, by parent.
    Whole(HashMap<i32, Vec<i32>>),
}

impl Table {
    pub(super) fn read() -> Self {
        if Path::new("/proc/thread-self/children").exists() { Self::Lists } else { Self::whole() }
    }

    fn whole() -> Self {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for process in pids.filter_map(Process::read) {
            children.entry(process.parent).or_default().push(process.pid);
        }
        Self::Whole(children)
    }

    /// The children of a process; dead ones too.
    pub(super) fn children(&self, parent: i32) -> Vec<i32> {
        match self {
            Self::Whole(children) => children.get(&parent).cloned().unwrap_or_default(),
            Self::Lists => {
                let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
                let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
                lists
                    .flat_map(|list| {
                        list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
                    })
                    .collect()
            }
        }
    }

    /// The living among a process and all that descend from it.
    pub(super) fn family(&self, top: i32) -> Vec<i32> {
        let mut family = vec![top];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(self.children(parent));
            next += 1;
        }
        family.retain(|pid| Process::read(*pid).is_some_and(|process| !process.is_dead));
        family
    }

    /// Kills a process and all that descend from it, and returns them. Each is killed before its children are looked up:
    /// from then on it has no more of them.
    pub(super) fn kill_family(&self, top: i32) -> Vec<i32> {
        let mut family = vec![top];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            kill_all(&[Pid::from_raw(parent)]);
            family.extend(self.children(parent));
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
        let process = Process::parse(7, "7 (a) b (c) S 1 5 6 0 -1").unwrap();
        assert_eq!((process.name.as_str(), process.parent, process.group, process.session), ("a) b (c", 1, 5, 6));
        assert!(!process.is_dead && Process::parse(7, "7 (gone) Z 1 5 6").unwrap().is_dead);
    }

    #[test]
    fn a_process_knows_itself_and_its_children() {
        let us = std::process::id().cast_signed();
        assert_eq!(Process::read(us).unwrap().parent, nix::unistd::getppid().as_raw());
        assert!(mark_of(us).is_none());
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = child.id().cast_signed();
        for table in [Table::read(), Table::whole()] {
            assert!(table.children(us).contains(&pid), "{table:?}");
            assert_eq!(table.family(pid), [pid]);
        }
        child.kill().unwrap();
        // Dead, and not collected: still a child, but not alive.
        while !Process::read(pid).unwrap().is_dead {
            std::thread::yield_now();
        }
        assert!(Table::whole().children(us).contains(&pid) && Table::whole().family(pid).is_empty());
        child.wait().unwrap();
        assert!(!Table::whole().children(us).contains(&pid));
    }
}
