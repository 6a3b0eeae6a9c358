//! Killing what ended runs have left behind.

use std::time::{Duration, Instant};

use super::World;
use crate::reap::{Burst, Left, Trace};
use crate::state::{Event, Id, Level};

/// Pauses between two looks for processes that are being killed, when none of them is seen to end: first and longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// What re-forks while it is killed is killed again and again for so long before anything else is seen to.
const AT_ONCE: Duration = Duration::from_millis(20);

/// A process that cannot be killed for so long is stuck in the kernel; we go on without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One run or task whose processes are being killed.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The run, which waits for it; none for a task or a check.
    id: Option<Id>,
    trace: Trace,
    since: Instant,
    next: Instant,
    pause: Duration,
    /// The log has been told.
    told: bool,
}

impl Sweep {
    fn of(id: Option<Id>, trace: Trace) -> Self {
        let now = Instant::now();
        Self { id, trace, since: now, next: now, pause: PAUSE.0, told: false }
    }
}

impl World {
    /// When to look again for processes that are being killed, or after the ballast.
    pub fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.iter().map(|sweep| sweep.next).chain(self.tasks.deadline()).chain(self.ballast.due()).min()
    }

    /// Nothing of this run is to be left.
    pub(super) fn begin_sweep(&mut self, id: Id) {
        match self.runs.get(&id) {
            Some(run) => self.sweeps.push(Sweep::of(Some(id), run.trace.clone())),
            None => self.pending.push_back(Event::Swept { id }),
        }
    }

    /// Nor of this task or check.
    pub(super) fn sweep_up_after(&mut self, task: Trace) {
        self.sweeps.push(Sweep::of(None, task));
    }

    /// One that we have killed, perhaps: what came out of it shows now.
    pub(super) fn orphan_ended(&mut self) {
        let now = Instant::now();
        for sweep in &mut self.sweeps {
            sweep.next = sweep.next.min(now);
        }
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
        let mut waiting = Vec::new();
        for mut sweep in std::mem::take(&mut self.sweeps) {
            if sweep.next > now || !self.press(&mut sweep) {
                waiting.push(sweep);
            } else if let Some(id) = sweep.id {
                self.runs.remove(&id);
                self.pending.push_back(Event::Swept { id });
            }
        }
        self.sweeps = waiting;
    }

    /// Kills for a little while; true once the sweep is over.
    fn press(&self, sweep: &mut Sweep) -> bool {
        let services = self.runs.values().filter(|run| run.alive).map(|run| &run.trace);
        let checks = self.checks.traces();
        let live: Vec<&Trace> = services.chain(self.tasks.traces()).chain(&checks).collect();
        let began = Instant::now();
        let mut burst = Burst::default();
        loop {
            let left = sweep.trace.kill_left(&live, &mut burst);
            let name = || sweep.id.map_or(sweep.trace.mark.as_str(), |id| self.name(id));
            match &left {
                Left::Nothing => return true,
                Left::Living(found) if !sweep.told => {
                    let text = format!("{}: killing {} processes it left behind", name(), found.len());
                    self.say(Level::Info, text);
                    sweep.told = true;
                }
                Left::Living(_) | Left::Dead => {}
            }
            if sweep.since.elapsed() >= PATIENCE {
                self.say(Level::Error, format!("{}: processes cannot be killed: {left:?}", name()));
                return true;
            }
            if burst.is_idle() || began.elapsed() >= AT_ONCE {
                sweep.next = Instant::now() + sweep.pause;
                sweep.pause = (sweep.pause * 2).min(PAUSE.1);
                return false;
            }
        }
    }
}
