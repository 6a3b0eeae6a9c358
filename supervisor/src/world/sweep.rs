//! Killing what ended runs have left behind.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::World;
use crate::reap;
use crate::state::{Event, Level};

/// Pauses between two looks for processes that are being killed: first and longest.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// A process that cannot be killed for so long is stuck in the kernel; we go on without it.
const PATIENCE: Duration = Duration::from_secs(5);

impl World {
    /// When to look again for processes that are being killed, or after the ballast.
    pub fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.iter().map(|sweep| sweep.next).chain(self.tasks.deadline()).chain(self.ballast.due()).min()
    }

    /// The main processes of all runs of services.
    pub(super) fn live_runs(&self) -> Vec<Pid> {
        self.runs.values().filter(|run| run.alive).map(|run| run.trace.main).collect()
    }

    /// Kills what ended runs have left behind, and tasks that do not end, as far as it is time to.
    pub fn sweep(&mut self) {
        let now = Instant::now();
        if self.next_sweep().is_none_or(|next| next > now) {
            return;
        }
        if let Some(text) = self.ballast.see_to_it() {
            self.say(Level::Info, text);
        }
        if self.tasks.press() {
            self.pending.push_back(Event::Tasks { running: false });
        }
        while self.pumps.try_join_next().is_some() {}
        let live: Vec<Pid> = self.live_runs().into_iter().chain(self.tasks.processes()).collect();
        let mut left = Vec::new();
        for mut sweep in std::mem::take(&mut self.sweeps) {
            if sweep.next > now {
                left.push(sweep);
                continue;
            }
            let found = self.runs.get(&sweep.id).map_or_else(Vec::new, |run| reap::remnants(&run.trace, &live));
            let patient = sweep.since.elapsed() < PATIENCE;
            if found.is_empty() || !patient {
                if !patient {
                    let text = format!("{}: processes cannot be killed: {found:?}", self.name(sweep.id));
                    self.say(Level::Error, text);
                }
                self.runs.remove(&sweep.id);
                self.pending.push_back(Event::Swept { id: sweep.id });
                continue;
            }
            if sweep.pause == PAUSE.0 {
                let text = format!("{}: killing {} processes it left behind", self.name(sweep.id), found.len());
                self.say(Level::Info, text);
            }
            reap::kill_all(&found);
            sweep.next = now + sweep.pause;
            sweep.pause = (sweep.pause * 2).min(PAUSE.1);
            left.push(sweep);
        }
        self.sweeps.append(&mut left);
    }
}
