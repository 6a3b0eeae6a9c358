//! The machine's hands: processes, sockets, probes and answers.

mod space;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::backup::swap;
use crate::disk::Ballast;
use crate::launcher::{Launcher, mark};
use crate::log::{Log, Stream, pump};
use crate::notify::Channel;
use crate::plan::{Plan, Ready, ServiceSpec};
use crate::probe;
use crate::reap::{self, Trace};
use crate::schedule::Due;
use crate::spawn::{LaunchSpec, spawn};
use crate::state::{Action, Event, Exit, Id, Level, Millis};
use crate::supervisor::Message;
use crate::task::{News, Refusal, Task, Tasks};
use crate::{control, files, listener};

/// Pauses between two looks for processes that are being killed: first and longest.
const SWEEP_PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// A process that cannot be killed for so long is stuck in the kernel; we go on without it.
const SWEEP_PATIENCE: Duration = Duration::from_secs(5);

/// So often, and with this pause, the supervisor tries to clear up after a restore that was killed.
const RECOVERIES: u32 = 5;
const RECOVERY_PAUSE: Duration = Duration::from_secs(3);

/// Where reports wait to be delivered, in the data directory.
const OUTBOX: &str = "spool/reports";

/// Time to send the last lines to those who follow the log.
const FAREWELL: Duration = Duration::from_millis(50);

/// All that is real.
#[derive(Debug)]
pub struct World {
    plan: Arc<Plan>,
    launcher: Launcher,
    log: Log,
    began: Instant,
    messages: mpsc::UnboundedSender<Message>,
    listener: Option<Arc<OwnedFd>>,
    runs: BTreeMap<Id, Run>,
    sweeps: Vec<Sweep>,
    tasks: Tasks,
    /// A report was written while reports were being delivered.
    deliver_again: bool,
    /// Attempts to clear up after a task that was killed.
    recoveries: u32,
    ballast: Ballast,
    answers: HashMap<u64, oneshot::Sender<Result<String, String>>>,
    last_token: u64,
    pumps: JoinSet<()>,
    pending: VecDeque<Event>,
    finished: Option<u8>,
}

/// One run of a service, from its start until nothing of it is left.
#[derive(Debug)]
struct Run {
    trace: Trace,
    alive: bool,
    tasks: Vec<JoinHandle<()>>,
    /// The private socket, which a killed process leaves behind.
    status: Option<PathBuf>,
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(status) = &self.status {
            let _ = std::fs::remove_file(status);
        }
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct Sweep {
    id: Id,
    since: Instant,
    next: Instant,
    pause: Duration,
}

impl World {
    /// `began` is when the supervisor was started: times are counted from there.
    pub fn new(
        plan: Arc<Plan>,
        launcher: Launcher,
        log: Log,
        began: Instant,
        messages: mpsc::UnboundedSender<Message>,
        listener: Option<OwnedFd>,
    ) -> Self {
        Self {
            tasks: Tasks::new(log.clone(), messages.clone()),
            deliver_again: false,
            recoveries: 0,
            ballast: Ballast::new(Arc::clone(&launcher.context().data.dir)),
            plan,
            launcher,
            log,
            began,
            messages,
            listener: listener.map(Arc::new),
            runs: BTreeMap::new(),
            sweeps: Vec::new(),
            answers: HashMap::new(),
            last_token: 0,
            pumps: JoinSet::new(),
            pending: VecDeque::new(),
            finished: None,
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
        match action {
            Action::Spawn(id) => self.start(id),
            Action::Signal(id, signal) => {
                if let Some(run) = self.runs.get(&id).filter(|run| run.alive) {
                    reap::signal(run.trace.main, signal);
                }
            }
            Action::Sweep(id) => {
                let now = Instant::now();
                self.sweeps.push(Sweep { id, since: now, next: now, pause: SWEEP_PAUSE.0 });
            }
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
        }
    }

    /// Begins a task; the machine hears of it by [`World::pending`].
    ///
    /// # Errors
    /// One sentence saying why not.
    pub fn begin_task(&mut self, task: Task) -> Result<mpsc::Receiver<News>, Refusal> {
        let news = self.tasks.start(task, self.launcher.context(), self.plan.backup)?;
        self.pending.push_back(Event::Tasks { running: true });
        Ok(news)
    }

    /// Begins what the clock wants. Whether it can be done does not matter to the next time.
    pub fn begin_scheduled(&mut self, due: &Due) {
        let wall = due.moment.wall;
        self.say(Level::Info, format!("schedule {}: due at {wall}", due.name));
        let task = due.work.task(due.moment);
        let is_restart = matches!(task, Task::ScheduledRestart { .. });
        let Err(refusal) = self.begin_task(task) else { return };
        self.say(Level::Warn, format!("schedule {}: {wall} is skipped: {refusal}", due.name));
        if let Refusal::Busy(reason) = refusal
            && is_restart
            && let Err(refusal) = self.begin_task(Task::ReportSkipped { scheduled_for: due.moment.at, reason })
        {
            self.say(Level::Warn, format!("schedule {}: that is not reported: {refusal}", due.name));
        }
    }

    /// A task has nothing more to say.
    pub fn task_ended(&mut self, number: u64, exit: u8) {
        let task = self.tasks.concluded(number, exit);
        match task {
            Some(Task::BackupRestore { .. } | Task::BackupVerify { .. }) => {
                self.recoveries = 0;
                self.recover();
            }
            Some(Task::BackupRecover) if exit != 0 => self.recover_later("the recovery failed"),
            _ => {}
        }
        self.pending.push_back(Event::Tasks { running: !self.tasks.is_empty() });
        let again = std::mem::take(&mut self.deliver_again);
        match task {
            Some(Task::ScheduledRestart { .. } | Task::ReportSkipped { .. }) => self.deliver(),
            Some(Task::Deliver) if again => self.deliver(),
            _ => self.deliver_again = again,
        }
    }

    /// Clears up after a restore or verification that was killed: services may be down.
    pub fn recover(&mut self) {
        if !swap::has_left(&self.launcher.context().data.dir) {
            return;
        }
        let begun = self.begin_task(Task::BackupRecover);
        // Another task does not run for ever.
        if !matches!(begun, Err(Refusal::Busy(_))) {
            self.recoveries += 1;
        }
        if let Err(refusal) = begun {
            self.recover_later(&refusal.to_string());
        }
    }

    /// Tries again after a pause, unless that has been done often enough.
    fn recover_later(&mut self, reason: &str) {
        if self.recoveries >= RECOVERIES {
            let text = format!("what a restore or verification left is cleared up with the next start: {reason}");
            return self.say(Level::Error, text);
        }
        let messages = self.messages.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RECOVERY_PAUSE).await;
            let _ = messages.send(Message::Recover);
        });
    }

    /// Sends the reports that wait, if there are any. One that a running delivery may have overlooked is sent after it.
    pub fn deliver(&mut self) {
        if self.tasks.runs(&Task::Deliver) {
            self.deliver_again = true;
            return;
        }
        let outbox = files::proc_path(&self.launcher.context().data.dir).join(OUTBOX);
        let is_empty = std::fs::read_dir(outbox).map_or(true, |mut letters| letters.next().is_none());
        if !is_empty && let Err(refusal) = self.begin_task(Task::Deliver) {
            self.say(Level::Warn, format!("reports are not delivered: {refusal}"));
        }
    }

    /// The run whose main process this was. Others were tasks, or orphans: nobody waits for those.
    pub fn main_process_ended(&mut self, pid: Pid, exit: Exit) -> Option<Id> {
        if self.tasks.main_process_ended(pid, exit, &self.live_runs()) {
            return None;
        }
        let (id, run) = self.runs.iter_mut().find(|(_, run)| run.alive && run.trace.main == pid)?;
        run.alive = false;
        Some(*id)
    }

    /// When to look again for processes that are being killed, or after the ballast.
    pub fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.iter().map(|sweep| sweep.next).chain(self.tasks.deadline()).chain(self.ballast.due()).min()
    }

    /// The main processes of all runs of services.
    fn live_runs(&self) -> Vec<Pid> {
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
            let patient = sweep.since.elapsed() < SWEEP_PATIENCE;
            if found.is_empty() || !patient {
                if !patient {
                    let text = format!("{}: processes cannot be killed: {found:?}", self.name(sweep.id));
                    self.say(Level::Error, text);
                }
                self.runs.remove(&sweep.id);
                self.pending.push_back(Event::Swept { id: sweep.id });
                continue;
            }
            if sweep.pause == SWEEP_PAUSE.0 {
                let text = format!("{}: killing {} processes it left behind", self.name(sweep.id), found.len());
                self.say(Level::Info, text);
            }
            reap::kill_all(&found);
            sweep.next = now + sweep.pause;
            sweep.pause = (sweep.pause * 2).min(SWEEP_PAUSE.1);
            left.push(sweep);
        }
        self.sweeps.append(&mut left);
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
        let _ = std::fs::remove_file(files::proc_path(&self.launcher.context().data.run).join(control::SOCKET));
        self.log.close();
    }

    fn start(&mut self, id: Id) {
        let plan = Arc::clone(&self.plan);
        let Some(service) = plan.services.get(id.service) else { return };
        match self.try_start(id, service) {
            Ok(pid) => {
                self.pending.push_back(Event::Spawned { id, pid: pid.as_raw() });
                if service.ready == Ready::Started && !service.oneshot {
                    self.pending.push_back(Event::Ready { id });
                }
            }
            Err(error) => {
                let lack = self.lack_at_failure(id);
                self.pending.extend([lack, Event::SpawnFailed { id, error }]);
            }
        }
    }

    fn try_start(&mut self, id: Id, service: &ServiceSpec) -> Result<Pid, String> {
        let listener = if service.listen { Some(self.listener()?) } else { None };
        let launch = self.launcher.launch(service, id.generation, listener)?;
        // Made before the program runs, so that no report is too early.
        let channel = self.channel(id, service, &launch)?;
        let child = spawn(&launch).map_err(|error| error.to_string())?;
        let name: Arc<str> = service.name.as_str().into();
        for (stream, pipe) in [(Stream::Out, child.stdout), (Stream::Err, child.stderr)] {
            self.pumps.spawn(pump(self.log.clone(), Arc::clone(&name), stream, service.output, pipe));
        }
        let mut tasks = Vec::new();
        if let Some(channel) = channel {
            tasks.push(tokio::spawn(relay(id, channel, self.messages.clone())));
        }
        if service.ready == Ready::Probe
            && let Some(target) = self.launcher.target(service)
        {
            let run = Arc::clone(&self.launcher.context().data.run);
            let every = Duration::from_millis(service.probe_every_ms);
            tasks.push(tokio::spawn(probe::watch(id, target, run, every, self.messages.clone())));
        }
        let trace = Trace::of(child.pid, mark(service, id.generation));
        let status = self.launcher.status_socket(service, id.generation);
        self.runs.insert(id, Run { trace, alive: true, tasks, status });
        Ok(child.pid)
    }

    /// The listening socket, bound again if it was closed.
    fn listener(&mut self) -> Result<Arc<OwnedFd>, String> {
        if let Some(listener) = &self.listener {
            return Ok(Arc::clone(listener));
        }
        let port = self.launcher.context().settings.port;
        let listener = Arc::new(listener::bind_port(port).map_err(|fault| fault.message)?);
        self.listener = Some(Arc::clone(&listener));
        Ok(listener)
    }

    fn channel(&self, id: Id, service: &ServiceSpec, launch: &LaunchSpec) -> Result<Option<Channel>, String> {
        if service.ready != Ready::Notify || service.oneshot {
            return Ok(None);
        }
        let name = format!("{}.{}", service.name, id.generation);
        let channel = Channel::bind(&self.launcher.context().data.run, &name, launch.credentials.as_ref());
        channel.map(Some).map_err(|error| format!("its notification socket cannot be made: {error}"))
    }
}

/// Hands a service's reports to the loop.
async fn relay(id: Id, channel: Channel, to: mpsc::UnboundedSender<Message>) {
    while let Ok(reports) = channel.receive().await {
        for report in reports {
            if to.send(Message::Report(id, report)).is_err() {
                return;
            }
        }
    }
}
