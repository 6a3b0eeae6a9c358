//! The machine's hands: processes, sockets, probes and answers.

mod adopt;
mod health;
mod space;
mod start;
mod sweep;
mod tasks;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::cgroup::Groups;
use crate::disk::Ballast;
use crate::launcher::Launcher;
use crate::log::Log;
use crate::plan::Plan;
use crate::reap::{self, Trace};
use crate::rest::Rest;
use crate::schedule::Timetable;
use crate::state::{Action, Event, Exit, Id, Level, Millis, Reloaded, ServiceStatus, State, Watch};
use crate::supervisor::Message;
use crate::task::{Refusal, Tasks};
use crate::{control, files, probe};

/// Time to send the last lines to those who follow the log.
const FAREWELL: Duration = Duration::from_millis(50);

/// All that is real.
#[derive(Debug)]
pub struct World {
    plan: Arc<Plan>,
    /// Shows the plan in force to everybody else.
    plans: watch::Sender<Arc<Plan>>,
    launcher: Launcher,
    log: Log,
    began: Instant,
    messages: mpsc::UnboundedSender<Message>,
    listener: Option<Arc<OwnedFd>>,
    runs: BTreeMap<Id, Run>,
    /// Where each run has a group of its own, if it can.
    groups: Option<Groups>,
    sweeps: Vec<sweep::Sweep>,
    tasks: Tasks,
    timetable: Option<Timetable>,
    /// What runs by schedule: the number of the task, with the name of the schedule and for when it was due.
    scheduled: HashMap<u64, (String, DateTime<Utc>)>,
    /// A report was written while reports were being delivered.
    deliver_again: bool,
    /// Attempts to clear up after a task that was killed.
    recoveries: u32,
    ballast: Ballast,
    answers: HashMap<u64, oneshot::Sender<Result<String, String>>>,
    reloads: HashMap<u64, oneshot::Sender<Result<Reloaded, Refusal>>>,
    last_token: u64,
    pumps: JoinSet<()>,
    pending: VecDeque<Event>,
    finished: Option<u8>,
    watch: Watch,
    rest: Rest,
    /// The service that is the reason for the end.
    blamed: Option<usize>,
    /// The programs that check services.
    checks: probe::Children,
}

/// One run of a service, from its start until nothing of it is left.
#[derive(Debug)]
struct Run {
    trace: Trace,
    alive: bool,
    tasks: Vec<JoinHandle<()>>,
    /// Asks it how it is.
    probe: Option<JoinHandle<()>>,
    /// The private socket, which a killed process leaves behind.
    status: Option<PathBuf>,
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(status) = &self.status {
            let _ = std::fs::remove_file(status);
        }
        for task in self.tasks.iter().chain(&self.probe) {
            task.abort();
        }
    }
}

impl World {
    /// `plans` holds the plan; `began` is when the supervisor was started: times are counted from there.
    pub fn new(
        plans: watch::Sender<Arc<Plan>>,
        launcher: Launcher,
        log: Log,
        began: Instant,
        messages: mpsc::UnboundedSender<Message>,
        listener: Option<OwnedFd>,
        rest: Rest,
    ) -> Self {
        let plan = Arc::clone(&plans.borrow());
        Self {
            tasks: Tasks::new(log.clone(), messages.clone()),
            timetable: None,
            scheduled: HashMap::new(),
            deliver_again: false,
            recoveries: 0,
            ballast: Ballast::new(Arc::clone(&launcher.context().data.dir)),
            plan,
            plans,
            launcher,
            log,
            began,
            messages,
            listener: listener.map(Arc::new),
            runs: BTreeMap::new(),
            groups: Groups::find(),
            sweeps: Vec::new(),
            answers: HashMap::new(),
            reloads: HashMap::new(),
            last_token: 0,
            pumps: JoinSet::new(),
            pending: VecDeque::new(),
            finished: None,
            watch: Watch::default(),
            rest,
            blamed: None,
            checks: probe::Children::default(),
        }
    }

    /// Milliseconds since the supervisor began.
    pub fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of a machine's deadline.
    pub fn instant(&self, at: Millis) -> Instant {
        self.began + Duration::from_millis(at)
    }

    /// The next event that came of an action.
    pub fn pending(&mut self) -> Option<Event> {
        self.pending.pop_front()
    }

    /// The exit code, once everything has stopped.
    pub fn finished(&self) -> Option<u8> {
        self.finished
    }

    /// A line of the supervisor.
    pub fn say(&self, level: Level, text: String) {
        self.log.say(level, text);
    }

    /// Tells those who follow events what the last step has changed.
    pub fn observe(&mut self, state: &State) {
        let log = &self.log;
        self.watch.look(state, |change| log.event(change.into()));
    }

    /// Writes the state of all services to the log.
    pub fn describe(&self, services: &[ServiceStatus]) {
        for service in services {
            let pid = service.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
            let ServiceStatus { name, state, generation, restarts, health, .. } = service;
            let text = format!("{name}: {state} (generation {generation}{pid}, {restarts} restarts, health: {health})");
            self.say(Level::Info, text);
        }
    }

    /// The name of a run's service.
    pub fn name(&self, id: Id) -> &str {
        self.plan.services.get(id.service).map_or("", |service| &service.name)
    }

    /// Begins to ask a run whether it is as ready as it says, if it can be asked; the answer is an event.
    pub fn ask(&mut self, id: Id) -> bool {
        let plan = Arc::clone(&self.plan);
        let service = plan.services.get(id.service);
        let socket = service.and_then(|service| self.launcher.status_socket(service, id.generation));
        let (Some(socket), Some(run)) = (socket, self.runs.get_mut(&id)) else { return false };
        let messages = self.messages.clone();
        run.tasks.push(tokio::spawn(async move {
            let fault = probe::ask_health(&socket).await.err();
            let _ = messages.send(Message::Event(Event::Probed { id, fault }));
        }));
        true
    }

    /// Keeps an operator's line open; the token names it.
    pub fn expect_answer(&mut self, reply: oneshot::Sender<Result<String, String>>) -> u64 {
        self.last_token += 1;
        self.answers.insert(self.last_token, reply);
        self.last_token
    }

    /// Does what the machine asks.
    pub fn enact(&mut self, action: Action) {
        self.rest.stir();
        match action {
            Action::Spawn(id) => self.start(id),
            Action::Signal(id, signal) => {
                if let Some(run) = self.runs.get(&id).filter(|run| run.alive) {
                    reap::signal(run.trace.main, signal);
                }
            }
            Action::Sweep(id) => self.begin_sweep(id),
            Action::LookForSpace => {
                let lack = self.lack();
                self.pending.push_back(Event::Space { lack });
            }
            Action::EndTasks => self.tasks.close(),
            Action::CloseListener => self.listener = None,
            Action::Log(level, text) => self.say(level, text),
            Action::Answer { token, result } => {
                if let Some(reply) = self.answers.remove(&token) {
                    let _ = reply.send(result);
                }
            }
            Action::Finish(exit) => self.finished = Some(exit),
            Action::Adopt(plan) => self.adopt(plan),
            Action::Reloaded { token, result } => self.reloaded(token, result),
            Action::Examine(id) => self.examine(id),
            Action::Blame(service) => self.blamed = Some(service),
        }
    }

    /// The run whose main process this was. Others were tasks, or orphans: nobody waits for those.
    pub fn main_process_ended(&mut self, pid: Pid, exit: Exit) -> Option<Id> {
        if let Some(trace) = self.tasks.main_process_ended(pid, exit).or_else(|| self.checks.ended(pid, exit)) {
            self.sweep_up_after(trace);
            return None;
        }
        let Some((id, run)) = self.runs.iter_mut().find(|(_, run)| run.alive && run.trace.main == pid) else {
            self.orphan_ended();
            return None;
        };
        run.alive = false;
        let id = *id;
        self.log.counters().service(&self.name(id).into()).exit(exit);
        Some(id)
    }

    /// Waits until everything that services have written has been read.
    pub async fn last_words(&mut self) {
        while self.pumps.join_next().await.is_some() {}
    }

    /// Writes the last lines out and takes the control socket away.
    pub async fn close(&self) {
        if self.log.dismiss_followers() {
            tokio::time::sleep(FAREWELL).await;
        }
        let run = files::proc_path(&self.launcher.context().data.run);
        for socket in [control::SOCKET, control::METRICS_SOCKET] {
            let _ = std::fs::remove_file(run.join(socket));
        }
        self.log.close();
    }
}
