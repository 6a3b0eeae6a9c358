//! PID 1's side: starts tasks, listens to them and sees them end.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{BackupRules, Place, Task, TaskOutcome, TaskRequest, exit};
use crate::context::{Context, SYSTEM_PATH};
use crate::events::Entry;
use crate::limits;
use crate::log::{Log, pump_lines};
use crate::reap::{self, MARK, Trace};
use crate::spawn::{LaunchSpec, Program, spawn};
use crate::state::{Exit, Level};
use crate::supervisor::Message;

/// Most bytes of a result.
const LONGEST_RESULT: u64 = 1024 * 1024;

/// Most bytes of a request: a pipe takes them without blocking.
const LONGEST_REQUEST: usize = 60 * 1024;

/// Lines that wait for a reader who is slow; more are left out (they are in the log).
const WAITING_LINES: usize = 1024;

/// A task that was asked to end is killed after this time.
const GRACE: Duration = Duration::from_secs(2);

/// What a task has written is read for this long after its end: a process it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What those who wait for a task are told.
#[derive(Debug, Clone)]
pub enum News {
    /// A line of progress.
    Progress(String),
    /// The last news.
    End(TaskOutcome),
}

/// Why a task is not begun: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another one is running.
    Busy(String),
    /// The appliance is stopping, or the task cannot be started.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Busy(sentence) | Self::Failed(sentence)) = self;
        f.write_str(sentence)
    }
}

/// All tasks that run.
#[derive(Debug)]
pub struct Tasks {
    log: Log,
    messages: mpsc::UnboundedSender<Message>,
    running: Vec<Running>,
    last: u64,
    /// When those that run are killed, once they have been asked to end.
    deadline: Option<Instant>,
    killed: bool,
    closed: bool,
}

#[derive(Debug)]
struct Running {
    number: u64,
    task: Task,
    trace: Trace,
    since: Instant,
    /// Tells the task's listener how it ended; taken when it has.
    ended: Option<oneshot::Sender<Exit>>,
}

impl Running {
    fn told(&self) -> String {
        format!("Busy: {} has been running for {} s.", self.task.shown(), self.since.elapsed().as_secs())
    }
}

impl Tasks {
    /// None runs.
    pub fn new(log: Log, messages: mpsc::UnboundedSender<Message>) -> Self {
        Self { log, messages, running: Vec::new(), last: 0, deadline: None, killed: false, closed: false }
    }

    /// Starts a task; what it says comes through the receiver, which may be dropped.
    ///
    /// # Errors
    /// When another task is running, or this one cannot be started.
    pub fn start(
        &mut self,
        task: Task,
        context: &Context,
        rules: BackupRules,
    ) -> Result<mpsc::Receiver<News>, Refusal> {
        if self.closed {
            return Err(Refusal::Failed("The appliance is stopping.".to_owned()));
        }
        if let Some(running) = self.running.iter().find(|running| running.task.excludes(&task)) {
            return Err(Refusal::Busy(running.told()));
        }
        self.last += 1;
        let mark = format!("{}#task-{}", task.name(), self.last);
        let failed = |error: io::Error| Refusal::Failed(format!("{} cannot be started: {error}.", task.name()));
        let launch = launch(&task, context, rules, &mark).map_err(failed)?;
        let child = spawn(&launch).map_err(failed)?;
        let (ended, end) = oneshot::channel();
        let (news, receiver) = mpsc::channel(WAITING_LINES);
        let listener = Listener { number: self.last, name: task.name().into(), log: self.log.clone(), news };
        self.log.say(Level::Info, format!("{}: started (process {})", task.name(), child.pid));
        let begun = Entry::new("task-started", Level::Info, format!("{} has begun", task.shown()));
        self.log.event(Entry { service: Some(task.name().to_owned()), pid: Some(child.pid.as_raw()), ..begun });
        tokio::spawn(listener.attend(child.stdout, child.stderr, end, self.messages.clone()));
        self.running.push(Running {
            number: self.last,
            task,
            trace: Trace::of(child.pid, mark, launch.tag),
            since: Instant::now(),
            ended: Some(ended),
        });
        Ok(receiver)
    }

    /// The number of the task that was begun last.
    pub fn newest(&self) -> u64 {
        self.last
    }

    /// The one that works on the data, as a sentence.
    pub fn exclusive(&self) -> Option<String> {
        self.running.iter().find(|running| running.task.is_exclusive()).map(Running::told)
    }

    /// Whether such a task runs.
    pub fn runs(&self, task: &Task) -> bool {
        self.running.iter().any(|running| running.task == *task)
    }

    /// All tasks whose main process has not ended.
    pub fn traces(&self) -> impl Iterator<Item = &Trace> {
        self.running.iter().filter(|running| running.ended.is_some()).map(|running| &running.trace)
    }

    /// A process has ended. If it was a task's, that task's trace: what it left behind is to be killed.
    pub fn main_process_ended(&mut self, pid: Pid, exit: Exit) -> Option<Trace> {
        let mut running = self.running.iter_mut();
        let running = running.find(|running| running.ended.is_some() && running.trace.main == pid)?;
        if let Some(ended) = running.ended.take() {
            let _ = ended.send(exit);
        }
        Some(running.trace.clone())
    }

    /// All that a task had to say has been heard.
    pub fn concluded(&mut self, number: u64, exit: u8) -> Option<Task> {
        let place = self.running.iter().position(|running| running.number == number)?;
        let running = self.running.remove(place);
        let time = running.since.elapsed();
        let took = time.as_millis();
        let level = if exit == 0 { Level::Info } else { Level::Warn };
        self.log.say(level, format!("{}: ended after {took} ms (exit {exit})", running.task.name()));
        self.log.counters().task(running.task.name(), exit, time);
        let text = format!("{} has ended after {took} ms (exit {exit})", running.task.shown());
        let ended = Entry::new("task-ended", level, text);
        self.log.event(Entry { service: Some(running.task.name().to_owned()), ..ended });
        Some(running.task)
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Asks all that run to end, and takes no more.
    pub fn close(&mut self) {
        self.closed = true;
        if self.deadline.is_none() && !self.is_empty() {
            self.signal(Signal::SIGTERM);
            self.deadline = Some(Instant::now() + GRACE);
        }
    }

    /// When [`Tasks::press`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.is_empty())
    }

    /// Kills what has not ended in time; what even that does not end is forgotten: true then.
    pub fn press(&mut self) -> bool {
        let now = Instant::now();
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        if self.killed {
            self.running.clear();
            return true;
        }
        self.killed = true;
        self.signal(Signal::SIGKILL);
        self.deadline = Some(now + LAST_WORDS);
        false
    }

    fn signal(&self, signal: Signal) {
        for trace in self.traces() {
            reap::signal(trace.main, signal);
        }
    }
}

/// How to start a task.
fn launch(task: &Task, context: &Context, rules: BackupRules, mark: &str) -> io::Result<LaunchSpec> {
    let program = Arc::new(OwnedFd::from(File::open("/proc/self/exe")?));
    let argv = vec!["supervisor".into(), "task".into()];
    let mut spec = LaunchSpec::new(Program::Fd(program), argv, Arc::clone(&context.data.dir));
    spec.env.clone_from(&context.settings.task_env);
    spec.set_env("PATH", SYSTEM_PATH);
    spec.set_env("LC_ALL", "C.UTF-8");
    spec.set_env("TZ", context.settings.timezone.as_deref().unwrap_or("UTC"));
    spec.set_env(MARK, mark);
    spec.tag = context.tags.next();
    spec.confinement.capabilities = Some(rights(task));
    let request = TaskRequest { task: task.clone(), place: Place::new(context, rules) };
    let request = serde_json::to_vec(&request)?;
    if request.len() > LONGEST_REQUEST {
        return Err(io::Error::other("the settings are too long to be handed over"));
    }
    spec.stdin = Some(request);
    Ok(spec)
}

/// What of root's rights a task has, one bit each. What talks to servers outside only reads and writes files, some of them
/// in folders of others; the rest also hands files over, and runs programs as other users.
fn rights(task: &Task) -> u64 {
    let names: &[&str] = match task {
        Task::Deliver | Task::ReportResend { .. } | Task::ReportTest { .. } => &["DAC_OVERRIDE"],
        _ => &["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"],
    };
    limits::capabilities(names.iter().copied()).unwrap_or(0)
}

/// Listens to one task.
struct Listener {
    number: u64,
    name: Arc<str>,
    log: Log,
    news: mpsc::Sender<News>,
}

impl Listener {
    async fn attend(
        self,
        stdout: OwnedFd,
        stderr: OwnedFd,
        end: oneshot::Receiver<Exit>,
        messages: mpsc::UnboundedSender<Message>,
    ) {
        let mut written = Vec::new();
        let mut end = std::pin::pin!(end);
        let exit = {
            let mut listening = std::pin::pin!(async {
                tokio::join!(collect(stdout, &mut written), self.relay(stderr));
            });
            tokio::select! {
                () = &mut listening => end.await,
                exit = &mut end => {
                    let _ = timeout(LAST_WORDS, listening).await;
                    exit
                }
            }
        };
        let outcome = conclude(exit.ok(), &written, |text| self.log.clean(text));
        // Nobody may be waiting for the result.
        let said = |member| outcome.result.get(member).and_then(Value::as_str).map(|text| text.replace('\n', " "));
        let error = said("error").filter(|_| outcome.exit != 0);
        if let Some(error) = &error {
            self.log.task_line(&self.name, format!("ERROR {error}").as_bytes());
        }
        let reason = error.or_else(|| said("reason"));
        let _ = messages.send(Message::TaskEnded { number: self.number, exit: outcome.exit, reason });
        let _ = self.news.send(News::End(outcome)).await;
    }

    /// A line that begins with `WARN ` or `ERROR ` goes to the file of errors.
    async fn relay(&self, stderr: OwnedFd) {
        pump_lines(&self.log, &self.name, stderr, |line| {
            let text = self.log.task_line(&self.name, line);
            let _ = self.news.try_send(News::Progress(text));
        })
        .await;
    }
}

async fn collect(stdout: OwnedFd, written: &mut Vec<u8>) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(stdout) else { return };
    let mut pipe = pipe.take(LONGEST_RESULT);
    let _ = pipe.read_to_end(written).await;
    // A longer result is no JSON any more; the rest is read so that its writer can end.
    let _ = tokio::io::copy(pipe.get_mut(), &mut tokio::io::sink()).await;
}

/// `clean` takes secrets out of the result's texts. Not out of the JSON: a number may look like a secret.
fn conclude(exit: Option<Exit>, written: &[u8], clean: impl Fn(String) -> String) -> TaskOutcome {
    let code = match exit {
        Some(Exit::Code(code)) => u8::try_from(code).unwrap_or(exit::FAILED),
        _ => exit::FAILED,
    };
    let how = exit.map_or_else(|| "it could not be waited for".to_owned(), |exit| exit.to_string());
    match serde_json::from_slice::<Value>(written) {
        Ok(mut result) => {
            clean_texts(&mut result, &clean);
            TaskOutcome { exit: code, result }
        }
        Err(_) => TaskOutcome {
            exit: if code == 0 { exit::FAILED } else { code },
            result: json!({ "error": format!("The task ended without a result ({how}).") }),
        },
    }
}

fn clean_texts(value: &mut Value, clean: &impl Fn(String) -> String) {
    match value {
        Value::String(text) => *text = clean(std::mem::take(text)),
        Value::Array(values) => values.iter_mut().for_each(|value| clean_texts(value, clean)),
        Value::Object(members) => members.values_mut().for_each(|value| clean_texts(value, clean)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_talks_to_the_outside_has_one_right_and_the_others_six() {
        assert_eq!(rights(&Task::Deliver), 1 << 1);
        assert_eq!(rights(&Task::BackupRecover), 0b1110_1011);
    }

    #[test]
    fn a_task_without_a_result_has_failed() {
        let outcome = conclude(Some(Exit::Code(2)), b"{\"a\":1}\n", |text| text);
        assert_eq!((outcome.exit, &outcome.result), (2, &json!({ "a": 1 })));
        for (exit, written) in [(Some(Exit::Code(0)), ""), (Some(Exit::Signal(Signal::SIGKILL)), "{\"a\""), (None, "")]
        {
            let outcome = conclude(exit, written.as_bytes(), |text| text);
            assert_eq!(outcome.exit, 1);
            assert!(outcome.result["error"].as_str().unwrap().contains("without a result"), "{outcome:?}");
        }
    }

    #[test]
    fn secrets_are_taken_out_of_texts_and_leave_numbers_alone() {
        let written =
            json!({ "12345678": 12_345_678, "rows": [123_456_789], "deep": { "file": "at 12345678, \"x\"" } });
        let clean = |text: String| text.replace("12345678", "***").replace("\"x\"", "***");
        let outcome = conclude(Some(Exit::Code(0)), written.to_string().as_bytes(), clean);
        let expected = json!({ "12345678": 12_345_678, "rows": [123_456_789], "deep": { "file": "at ***, ***" } });
        assert_eq!(outcome, TaskOutcome::done(expected));
    }
}
