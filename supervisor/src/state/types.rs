//! The machine's facts, what it is told and what it asks for.

use std::fmt;
use std::sync::Arc;

use nix::sys::signal::Signal;

use super::health::Health;
use super::reload::{Reloading, Trial};
use super::reloaded::Reloaded;
use crate::plan::Plan;

/// Milliseconds since the supervisor began.
pub type Millis = u64;

/// One run of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Index of the service in the plan.
    pub service: usize,
    /// Counts the runs of this service from 1.
    pub generation: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => f.write_str(signal.as_str()),
        }
    }
}

/// What an operator asks of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Be up; answered once it is ready.
    Start,
    /// Be down; answered once nothing of it is left.
    Stop,
    /// Be replaced by a new generation; answered once that is ready.
    Restart,
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first event.
    Begin,
    /// A deadline has passed.
    Tick,
    /// The program runs.
    Spawned {
        /// Which run.
        id: Id,
        /// Its process id.
        pid: i32,
    },
    /// The program could not be started.
    SpawnFailed {
        /// Which run.
        id: Id,
        /// Why, for a person.
        error: String,
    },
    /// The service can take work.
    Ready {
        /// Which run.
        id: Id,
    },
    /// The service says it is ready, and was asked itself.
    Probed {
        /// Which run.
        id: Id,
        /// What is wrong; `None` is ready.
        fault: Option<String>,
    },
    /// What the probe of a ready service found.
    Health {
        /// Which run.
        id: Id,
        /// What is wrong; `None` is healthy.
        fault: Option<String>,
    },
    /// The main process has ended.
    Exited {
        /// Which run.
        id: Id,
        /// How.
        exit: Exit,
    },
    /// No process of this run is left.
    Swept {
        /// Which run.
        id: Id,
    },
    /// An operator asks for something.
    Request {
        /// Comes back in [`Action::Answer`].
        token: u64,
        /// Index of the service.
        service: usize,
        /// What is asked.
        verb: Verb,
    },
    /// How much room the data disk has: told before any failure, and in answer to [`Action::LookForSpace`].
    Space {
        /// What is lacking, for a person ("the data disk has 3 MB free"); `None` is enough.
        lack: Option<String>,
    },
    /// The first of the supervisor's tasks has begun, or the last has ended.
    Tasks {
        /// Whether any runs.
        running: bool,
    },
    /// Stop everything in order and end with 0.
    Shutdown {
        /// Why, for the log.
        reason: String,
    },
    /// Go over to another plan, touching only what is different.
    Reload {
        /// Comes back in [`Action::Reloaded`].
        token: u64,
        /// The plan, as read.
        plan: Arc<Plan>,
    },
    /// A service with a watchdog shows that it lives.
    Alive {
        /// Which run.
        id: Id,
    },
    /// A service says itself that it hangs.
    Alarm {
        /// Which run.
        id: Id,
    },
    /// A service says that it stops.
    Leaving {
        /// Which run.
        id: Id,
    },
    /// A service needs more time to start or to stop.
    Extend {
        /// Which run.
        id: Id,
        /// So much from now on.
        by: Millis,
    },
    /// A signal has stopped the main process, or it runs again.
    Stopped {
        /// Which run.
        id: Id,
        /// The signal; `None` when it runs again.
        by: Option<Signal>,
    },
    /// What a user's check of a ready service found.
    Checked {
        /// Which run.
        id: Id,
        /// What is wrong; `None` is healthy.
        fault: Option<String>,
        /// What the check printed.
        output: String,
    },
    /// The answer to [`Action::Examine`].
    Examined {
        /// Which run.
        id: Id,
    },
}

/// Weight of a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All is going as it should.
    Info,
    /// Something is not, and is dealt with.
    Warn,
    /// Something is not, and needs a person.
    Error,
}

impl Level {
    /// Its name in JSON logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start the program; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn(Id),
    /// Send a signal (KILL: to the whole process group), followed by CONT.
    Signal(Id, Signal),
    /// Kill every process this run has left behind; answered by [`Event::Swept`].
    Sweep(Id),
    /// Look how much room the data disk has; answered by [`Event::Space`].
    LookForSpace,
    /// End the supervisor's tasks and begin no more; answered by [`Event::Tasks`] if any ran.
    EndTasks,
    /// Close the listening socket, so that clients are refused.
    CloseListener,
    /// Say something in the supervisor's own log.
    Log(Level, String),
    /// Answer a request.
    Answer {
        /// The request's token.
        token: u64,
        /// One sentence, either way.
        result: Result<String, String>,
    },
    /// Everything is stopped: end with this exit code.
    Finish(u8),
    /// This plan counts from now on.
    Adopt(Arc<Plan>),
    /// A reload is over.
    Reloaded {
        /// The request's token.
        token: u64,
        /// What came of it, or why it was not begun.
        result: Result<Reloaded, String>,
    },
    /// Write down what a run that hangs is doing; answered by [`Event::Examined`].
    Examine(Id),
    /// This service is the reason for the end: show its last lines at the very end.
    Blame(usize),
}

/// The facts.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) plan: Arc<Plan>,
    pub(super) services: Vec<Service>,
    pub(super) now: Millis,
    pub(super) phase: Phase,
    /// Tasks of the supervisor run: while everything is being stopped, they are first.
    pub(super) tasks: bool,
    /// What the data disk lacks, as last told.
    pub(super) lack: Option<String>,
    /// When to look for space again, while a service waits for it.
    pub(super) look_at: Option<Millis>,
    /// The first "everything is ready" has been said.
    pub(super) announced: bool,
    /// State of the jitter's random numbers.
    pub(super) seed: u64,
    pub(super) reloading: Option<Reloading>,
}

/// Whether we are up or going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Stopping { since: Millis, exit: u8 },
    Finished,
}

/// What has become of a service that is not to be started again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A task that ended with 0.
    Done,
    /// Given up, or a task that failed.
    Failed(String),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, Default)]
pub(super) struct Service {
    /// An operator (or the shutdown) wants it down.
    pub(super) down: bool,
    /// All it depends on has been ready once.
    pub(super) released: bool,
    /// It has been ready (a task: done) once, so those after it may start.
    pub(super) satisfied: bool,
    pub(super) outcome: Option<Outcome>,
    /// Last generation started.
    pub(super) generation: u64,
    pub(super) instances: Vec<Instance>,
    /// The generation that serves or is to serve.
    pub(super) current: Option<u64>,
    /// The next generation, started beside the current one.
    pub(super) candidate: Option<u64>,
    /// Not to be started before.
    pub(super) retry_at: Option<Millis>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Those of them that do not count as attempts.
    pub(super) excused: u32,
    /// Why the last run failed, until one is ready.
    pub(super) trouble: Option<String>,
    /// It failed while the disk was full, and has not been ready since.
    pub(super) wants_space: bool,
    /// Starts after a failure or on request, all told.
    pub(super) restarts: u32,
    pub(super) last_exit: Option<Exit>,
    pub(super) waiters: Vec<Waiter>,
    /// Its settings are on trial.
    pub(super) trial: Option<Trial>,
}

/// A request that has not been answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) asker: Asker,
    pub(super) until: Until,
}

/// Whom to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// An operator, by the token of the request.
    Operator(u64),
    /// The reload under way.
    Reload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A generation above this one is ready, or the first above it has failed.
    ReadyAbove(u64),
    /// Nothing is left running.
    Gone,
}

#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) generation: u64,
    pub(super) pid: Option<i32>,
    pub(super) started_at: Millis,
    pub(super) ready_at: Option<Millis>,
    pub(super) stage: Stage,
    /// Replaced by a younger generation: its end is nobody's failure.
    pub(super) retired: bool,
    /// The stop ladder, once begun.
    pub(super) ladder: Option<Ladder>,
    pub(super) health: Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not ready yet.
    Starting {
        deadline: Option<Millis>,
    },
    Ready,
    /// Finishing what it has begun.
    Draining {
        deadline: Millis,
    },
    /// The main process is gone, the rest is being killed.
    Sweeping,
}

#[derive(Debug, Clone)]
pub(super) struct Ladder {
    pub(super) began: Millis,
    /// Index of the next step.
    pub(super) next: usize,
    /// Why this is a failure and not somebody's wish.
    pub(super) failure: Option<String>,
    /// Whatever step is next, at once.
    pub(super) hurried: bool,
    /// The service has asked for time until then.
    pub(super) not_before: Millis,
    /// When the last step was sent.
    pub(super) sent_at: Millis,
}

impl Ladder {
    /// The first step now.
    pub(super) fn new(now: Millis, failure: Option<String>) -> Self {
        Self { began: now, next: 0, failure, hurried: false, not_before: 0, sent_at: now }
    }

    /// Goes on with this step, at once.
    pub(super) fn hurry(&mut self, step: usize) {
        self.next = step;
        self.hurried = true;
    }
}

impl State {
    /// Nothing runs yet. `seed` drives the jitter of the restart delays.
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        let services = plan.services.iter().map(|_| Service::default()).collect();
        Self {
            plan,
            services,
            now: 0,
            phase: Phase::Running,
            tasks: false,
            lack: None,
            look_at: None,
            announced: false,
            seed: seed.max(1),
            reloading: None,
        }
    }

    /// Whether all that is essential has been ready once.
    pub fn has_been_up(&self) -> bool {
        self.announced
    }

    /// The plan this machine carries out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Service {
    pub(super) fn instance(&mut self, generation: u64) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.generation == generation)
    }

    /// The count of failures begins anew.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.excused = 0;
    }

    pub(super) fn current(&self) -> Option<&Instance> {
        self.instances.iter().find(|instance| Some(instance.generation) == self.current)
    }
}
