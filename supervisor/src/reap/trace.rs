//! Which processes belong to a run. The rule is in the module above.

use std::collections::HashSet;
use std::sync::Arc;

use nix::unistd::Pid;

use super::table::{Process, Table, mark_of, user_of};
use super::tag::{holder_of_tag, tag_of};
use super::{BATCH, collect};
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
    /// Processes that have ended: others may have come out of them meanwhile.
    Dead,
    /// Living ones.
    Living(Vec<Pid>),
}

/// What is known of our children while looks follow each other so closely that no process id is given out twice. What
/// re-forks lives for a millisecond or less: no look may spend its time on what an earlier one has dealt with.
#[derive(Debug, Default)]
pub struct Burst {
    /// These forked no more once they were killed, and whatever they had forked was killed too.
    killed: HashSet<i32>,
    /// These bear the tags of other runs.
    others: HashSet<i32>,
    is_idle: bool,
}

impl Burst {
    /// The last look has found nothing that was not killed before: there is only the end of that to be waited for.
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }
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

    /// Kills what the run has left behind, each process as soon as it is seen. `live` are all other runs that have not
    /// ended: theirs is left alone.
    pub fn kill_left(&self, live: &[&Self], burst: &mut Burst) -> Left {
        burst.is_idle = true;
        let had_any = self.group.as_ref().is_some_and(|group| group.kill());
        match self.end(live, burst) {
            // What was in its group has still to end.
            Left::Nothing if had_any => Left::Dead,
            left => left,
        }
    }

    fn end(&self, live: &[&Self], burst: &mut Burst) -> Left {
        let table = Table::read();
        let mut living = Vec::new();
        let mut dead = 0;
        // The latest first: what lives is among those. Many dead ones below must not keep us from those that come now.
        for top in table.children(std::process::id().cast_signed()).into_iter().rev() {
            if dead == BATCH {
                break;
            }
            if burst.others.contains(&top) || live.iter().any(|run| run.main.as_raw() == top) {
                continue;
            }
            let is_known = burst.killed.contains(&top);
            if !is_known && !self.owns(top, &table, live, burst) {
                continue;
            }
            if collect(Pid::from_raw(top)) {
                dead += 1;
                burst.is_idle = false;
                burst.killed.remove(&top);
            } else if is_known {
                living.push(Pid::from_raw(top));
            } else {
                burst.is_idle = false;
                let family = table.kill_family(top);
                living.extend(family.iter().copied().map(Pid::from_raw));
                burst.killed.extend(family);
            }
        }
        match (living.is_empty(), dead > 0) {
            (false, _) => Left::Living(living),
            (true, true) => Left::Dead,
            (true, false) => Left::Nothing,
        }
    }

    /// Whether this child of ours is the run's, alive or dead.
    fn owns(&self, top: i32, table: &Table, live: &[&Self], burst: &mut Burst) -> bool {
        if let Some(is_ours) = self.bears_tag(top) {
            if !is_ours {
                burst.others.insert(top);
            }
            return is_ours;
        }
        Process::read(top).is_some_and(|process| {
            self.resembles(&process, live)
                || (!process.is_dead
                    && tag_of(top).is_none()
                    && table.family(top).into_iter().filter_map(Process::read).any(|one| self.is_ours(&one, live)))
        })
    }

    fn is_ours(&self, process: &Process, live: &[&Self]) -> bool {
        self.bears_tag(process.pid).unwrap_or_else(|| self.resembles(process, live))
    }

    /// Whether the tag of a process is this run's; `None` where tags decide nothing.
    fn bears_tag(&self, pid: i32) -> Option<bool> {
        let own = self.tag?;
        let tag = tag_of(pid)?;
        (holder_of_tag(tag) == holder_of_tag(own)).then_some(tag == own)
    }

    /// Whether a process is this run's by all but its tag.
    fn resembles(&self, process: &Process, live: &[&Self]) -> bool {
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
