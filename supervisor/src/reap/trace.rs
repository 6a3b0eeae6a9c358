//! Which processes belong to a run. The rule is in the module above.

use std::sync::Arc;

use nix::unistd::Pid;

use super::kill_all;
use super::table::{Process, Table, mark_of, user_of};
use super::tag::{holder_of_tag, tag_of};
use crate::cgroup::Group;

/// What tells the processes of one run from all others.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The main process, leader of the run's session and process group.
    pub main: Pid,
    /// The value of [`super::MARK`].
    pub mark: String,
    /// The tag its processes bear; `None` where there are none.
    tag: Option<u64>,
    /// The name of the main process, as the kernel knows it.
    name: String,
    /// The user it runs as.
    user: Option<u32>,
    /// Its control group, where there are any.
    group: Option<Arc<Group>>,
}

/// What a run has left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nothing, for certain.
    Nothing,
    /// Processes that have ended and must be reaped: others may have come out of them meanwhile.
    Dead,
    /// Living ones.
    Living(Vec<Pid>),
}

impl Trace {
    /// Looks at a main process that runs, started with this mark and tag.
    pub fn of(main: Pid, mark: String, tag: Option<u64>) -> Self {
        let name = Process::read(main.as_raw()).map_or_else(String::new, |process| process.name);
        Self {
            main,
            mark,
            tag: tag.filter(|tag| tag_of(main.as_raw()) == Some(*tag)),
            name,
            user: user_of(main.as_raw()),
            group: None,
        }
    }

    /// The same with the control group it was started in.
    #[must_use]
    pub fn with_group(self, group: Option<Group>) -> Self {
        Self { group: group.map(Arc::new), ..self }
    }

    /// Kills what the run has left behind. `live` are all other runs that have not ended: theirs is left alone.
    pub fn kill_left(&self, live: &[&Self]) -> Left {
        let had_any = self.group.as_ref().is_some_and(|group| group.kill());
        match self.left(live) {
            Left::Living(processes) => {
                kill_all(&processes);
                Left::Living(processes)
            }
            // What was in its group has still to end.
            Left::Nothing if had_any => Left::Dead,
            left => left,
        }
    }

    fn left(&self, live: &[&Self]) -> Left {
        let table = Table::read();
        let mut living = Vec::new();
        let mut is_any_dead = false;
        for top in table.children(std::process::id().cast_signed()) {
            if live.iter().any(|run| run.main.as_raw() == top) {
                continue;
            }
            let Some(process) = Process::read(top) else { continue };
            if process.is_dead {
                is_any_dead |= self.is_ours(&process, live);
                continue;
            }
            let family = table.family(top);
            let is_ours = self.is_ours(&process, live)
                || (tag_of(top).is_none()
                    && family.iter().filter_map(|pid| Process::read(*pid)).any(|one| self.is_ours(&one, live)));
            if is_ours {
                living.extend(family.into_iter().map(Pid::from_raw));
            }
        }
        match (living.is_empty(), is_any_dead) {
            (false, _) => Left::Living(living),
            (true, true) => Left::Dead,
            (true, false) => Left::Nothing,
        }
    }

    fn is_ours(&self, process: &Process, live: &[&Self]) -> bool {
        if let (Some(tag), Some(own)) = (tag_of(process.pid), self.tag)
            && holder_of_tag(tag) == holder_of_tag(own)
        {
            return tag == own;
        }
        if process.session == self.main.as_raw() || process.group == self.main.as_raw() {
            return true;
        }
        match mark_of(process.pid) {
            Some(mark) => mark == self.mark,
            None => self.tag.is_none() && self.looks_alike(process) && !live.iter().any(|run| run.looks_alike(process)),
        }
    }

    fn looks_alike(&self, process: &Process) -> bool {
        !self.name.is_empty() && process.name == self.name && user_of(process.pid) == self.user
    }
}
