//! A world of chance for the machine: processes that start, get ready, fall ill, end and refuse to end at random, while
//! operators ask for anything. After every step it looks whether the machine has kept its promises.

mod promises;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::plan::{self, Plan};
use crate::state::types::{Phase, Stage};
use crate::state::*;

/// One process and what is left of it, as the world sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    /// Its main process has ended; the rest is being killed.
    Remains,
}

pub(super) struct Weather {
    state: Option<State>,
    pub(super) now: Millis,
    chance: u64,
    lives: BTreeMap<Id, Life>,
    /// Those that have been signalled: only they must end.
    asked_to_end: BTreeSet<Id>,
    /// When each was sent KILL.
    killed: BTreeMap<Id, Millis>,
    /// Has been ready, or done, once.
    been_ready: BTreeSet<usize>,
    last_generation: BTreeMap<usize, u64>,
    unanswered: BTreeMap<u64, usize>,
    reloads: BTreeSet<u64>,
    /// Plans that may be gone over to.
    plans: Vec<Arc<Plan>>,
    last_token: u64,
    tasks: bool,
    full: bool,
    finished: Option<u8>,
    /// What happened, for whoever has to find out why a promise was broken.
    story: Vec<String>,
}

impl Weather {
    pub(super) fn new(text: &str, seed: u64) -> Self {
        let plan = Arc::new(plan::parse(text).unwrap());
        Self {
            state: Some(State::new(plan, seed)),
            now: 0,
            chance: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            lives: BTreeMap::new(),
            asked_to_end: BTreeSet::new(),
            killed: BTreeMap::new(),
            been_ready: BTreeSet::new(),
            last_generation: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            reloads: BTreeSet::new(),
            plans: Vec::new(),
            last_token: 0,
            tasks: false,
            full: false,
            finished: None,
            story: Vec::new(),
        }
    }

    /// From now on a reload may come at any time, to one of these plans.
    pub(super) fn may_change_to(&mut self, texts: &[&str]) {
        self.plans = texts.iter().map(|text| Arc::new(plan::parse(text).unwrap())).collect();
    }

    fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    /// A number below `bound`.
    pub(super) fn roll(&mut self, bound: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::try_from(self.roll(from.len().max(1) as u64)).unwrap();
        from.get(index).copied()
    }

    #[track_caller]
    fn check(&self, holds: bool, promise: &str) {
        assert!(holds, "{promise}\n{}", self.story.join("\n"));
    }

    /// Something happens, somewhere.
    pub(super) fn step(&mut self) {
        let services: Vec<usize> = (0..self.state().plan().services.len()).collect();
        let alive: Vec<Id> = self.with(Life::Alive);
        match self.roll(25) {
            21..=24 => {
                if let Some(id) = self.pick(&alive) {
                    self.live(id);
                }
            }
            0..=3 => {
                if let Some(id) = self.pick(&alive) {
                    self.tell(Event::Ready { id });
                }
            }
            4 => {
                if let Some(id) = self.pick(&alive) {
                    let fault = (self.roll(2) == 0).then(|| "it answers 503".to_owned());
                    self.tell(Event::Probed { id, fault });
                }
            }
            5 => {
                if let Some(id) = self.pick(&alive) {
                    let fault = (self.roll(2) == 0).then(|| "refused".to_owned());
                    self.tell(Event::Health { id, fault });
                }
            }
            6..=8 => {
                if let Some(id) = self.pick(&alive) {
                    self.end(id);
                }
            }
            9..=11 => {
                if let Some(id) = self.pick(&self.with(Life::Remains)) {
                    self.tell(Event::Swept { id });
                }
            }
            12..=13 => {
                if let Some(service) = self.pick(&services) {
                    self.ask(service);
                }
            }
            14 => {
                self.full = self.roll(4) == 0;
                let lack = self.full.then(|| "the data disk has 3 MB free".to_owned());
                self.tell(Event::Space { lack });
            }
            15 => {
                self.tasks = self.roll(2) == 0 && self.state().phase == Phase::Running;
                self.tell(Event::Tasks { running: self.tasks });
            }
            16 => self.reload(),
            _ => self.pass_time(),
        }
    }

    fn reload(&mut self) {
        if self.plans.is_empty() {
            return;
        }
        let index = usize::try_from(self.roll(self.plans.len() as u64)).unwrap();
        let plan = Arc::clone(&self.plans[index]);
        self.last_token += 1;
        self.reloads.insert(self.last_token);
        self.tell(Event::Reload { token: self.last_token, plan });
    }

    /// A sign of life, or of the contrary.
    fn live(&mut self, id: Id) {
        let is_odd = self.roll(2) == 0;
        let event = match self.roll(9) {
            0..=2 => Event::Alive { id },
            3 => Event::Alarm { id },
            4 => Event::Leaving { id },
            5 => Event::Extend { id, by: self.roll(40_000) },
            6 => Event::Stopped { id, by: is_odd.then_some(Signal::SIGSTOP) },
            7 => Event::Checked { id, fault: is_odd.then(|| "it answers 500".to_owned()), output: String::new() },
            _ => Event::Examined { id },
        };
        self.tell(event);
    }

    /// Something that was heard of too late, or never: the machine must bear it.
    pub(super) fn echo(&mut self) {
        let service = usize::try_from(self.roll(self.state().plan().services.len() as u64 + 1)).unwrap();
        let known = self.last_generation.get(&service).copied().unwrap_or(0);
        let id = Id { service, generation: self.roll(known + 1) };
        if self.lives.contains_key(&id) {
            return;
        }
        let event = match self.roll(4) {
            0 => Event::Ready { id },
            1 => Event::Probed { id, fault: Some("it is gone".to_owned()) },
            2 => Event::Health { id, fault: None },
            _ => Event::Swept { id },
        };
        self.tell(event);
    }

    fn ask(&mut self, service: usize) {
        let verb = match self.roll(4) {
            0 => Verb::Start,
            1 => Verb::Stop,
            _ => Verb::Restart,
        };
        self.last_token += 1;
        self.unanswered.insert(self.last_token, service);
        self.tell(Event::Request { token: self.last_token, service, verb });
    }

    fn end(&mut self, id: Id) {
        let exit = match self.roll(5) {
            0 | 1 => Exit::Code(0),
            2 => Exit::Code(1),
            3 => Exit::Code(75),
            _ => Exit::Signal(Signal::SIGKILL),
        };
        self.lives.insert(id, Life::Remains);
        let is_done = self.state().plan().services[id.service].oneshot && exit == Exit::Code(0);
        // The machine says itself whether such an end counts.
        let counts =
            is_done && self.state().services[id.service].instances.iter().any(|it| it.generation == id.generation);
        if counts && !self.state().services[id.service].down && self.state().phase == Phase::Running {
            self.been_ready.insert(id.service);
        }
        self.tell(Event::Exited { id, exit });
    }

    fn pass_time(&mut self) {
        let until = self.state().next_deadline();
        let jump = match (self.roll(3), until) {
            (0, Some(at)) => at.saturating_sub(self.now),
            (1, Some(at)) => at.saturating_sub(self.now) / 2,
            _ => self.roll(3_000),
        };
        self.now += jump;
        self.tell(Event::Tick);
        let next = self.state().next_deadline();
        self.check(next.is_none_or(|at| at > self.now), "a deadline that has passed is not asked for again");
    }

    pub(super) fn begin(&mut self) {
        self.tell(Event::Begin);
    }

    pub(super) fn shut_down(&mut self) {
        self.tell(Event::Shutdown { reason: "SIGTERM".to_owned() });
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    fn with(&self, life: Life) -> Vec<Id> {
        self.lives.iter().filter(|(_, other)| **other == life).map(|(id, _)| *id).collect()
    }

    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.story.push(match &event {
                Event::Reload { token, plan } => {
                    let names: Vec<&str> = plan.services.iter().map(|spec| spec.name.as_str()).collect();
                    format!("{:>8} Reload {token} {names:?}", self.now)
                }
                event => format!("{:>8} {event:?}", self.now),
            });
            if let Event::Ready { id } | Event::Probed { id, .. } = event {
                // Once ready, always "has been ready once"; whether it counts is seen below.
                self.note_ready(id);
            }
            if let Event::Swept { id } = event {
                self.lives.remove(&id);
            }
            let before = self.state.take().unwrap();
            let phase = before.phase;
            let (state, actions) = before.step(self.now, event);
            self.state = Some(state);
            for action in actions {
                if !matches!(action, Action::Adopt(_)) {
                    self.story.push(format!("         -> {action:?}"));
                }
                self.check(
                    phase != Phase::Finished
                        || matches!(action, Action::Log(..) | Action::Answer { .. } | Action::Reloaded { .. }),
                    "after the end nothing is done",
                );
                events.extend(self.enact(&action));
            }
            self.look();
        }
    }

    fn note_ready(&mut self, id: Id) {
        let is_task = self.state().plan().services.get(id.service).is_none_or(|spec| spec.oneshot);
        if !is_task && self.lives.get(&id) == Some(&Life::Alive) {
            self.been_ready.insert(id.service);
        }
    }

    /// What a real world would do, and what comes of it at once.
    fn enact(&mut self, action: &Action) -> Option<Event> {
        match *action {
            Action::Spawn(id) => {
                self.look_at_start(id);
                self.last_generation.insert(id.service, id.generation);
                if self.roll(12) == 0 {
                    return Some(Event::SpawnFailed { id, error: "no memory".to_owned() });
                }
                self.lives.insert(id, Life::Alive);
                Some(Event::Spawned { id, pid: 100 })
            }
            Action::Signal(id, signal) => {
                self.check(self.lives.get(&id) == Some(&Life::Alive), "only what lives is signalled");
                if signal == Signal::SIGKILL {
                    self.killed.insert(id, self.now);
                }
                if signal != Signal::SIGUSR2 && signal != Signal::SIGCONT && self.asked_to_end.insert(id) {
                    self.look_at_stop(id);
                }
                None
            }
            Action::Sweep(id) => {
                self.check(self.lives.get(&id) == Some(&Life::Remains), "only what has ended is swept");
                None
            }
            Action::LookForSpace => {
                let lack = self.full.then(|| "the data disk has 3 MB free".to_owned());
                Some(Event::Space { lack })
            }
            Action::Answer { token, .. } => {
                let is_asked = self.unanswered.remove(&token).is_some();
                self.check(is_asked, "every request is answered once");
                None
            }
            Action::Reloaded { token, .. } => {
                let is_asked = self.reloads.remove(&token);
                self.check(is_asked, "every reload is answered once");
                None
            }
            Action::Finish(exit) => {
                self.check(
                    self.finished.is_none() && self.lives.is_empty(),
                    "the end comes once, when nothing is left",
                );
                self.finished = Some(exit);
                None
            }
            _ => None,
        }
    }

    /// From now on everything behaves: what is started gets ready, what is asked to end does, the disk has room.
    /// Returns once nothing moves any more.
    pub(super) fn calm_down(&mut self) {
        self.full = false;
        self.tell(Event::Space { lack: None });
        for _ in 0..2_000 {
            if self.is_finished() {
                return;
            }
            if std::mem::take(&mut self.tasks) {
                self.tell(Event::Tasks { running: false });
            } else if let Some(id) = self.with(Life::Remains).first().copied() {
                self.tell(Event::Swept { id });
            } else if let Some(id) = self.with(Life::Alive).into_iter().find(|id| self.wants_to_end(*id)) {
                self.lives.insert(id, Life::Remains);
                let done = self.state().plan().services[id.service].oneshot;
                if done && !self.state().services[id.service].down && self.state().phase == Phase::Running {
                    self.been_ready.insert(id.service);
                }
                self.tell(Event::Exited { id, exit: Exit::Code(0) });
            } else if let Some(id) = self.with(Life::Alive).into_iter().find(|id| self.is_starting(*id)) {
                self.tell(Event::Ready { id });
            } else if self.watches_only() {
                return;
            } else if let Some(at) = self.state().next_deadline() {
                self.now = self.now.max(at);
                self.tell(Event::Tick);
                let next = self.state().next_deadline();
                self.check(next.is_none_or(|at| at > self.now), "a deadline that has passed is not asked for again");
            } else {
                return;
            }
        }
        self.check(false, "in a world that behaves everything comes to rest");
    }

    fn instance(&self, id: Id) -> &crate::state::types::Instance {
        let mut instances = self.state().services[id.service].instances.iter();
        instances.find(|instance| instance.generation == id.generation).unwrap()
    }
}
