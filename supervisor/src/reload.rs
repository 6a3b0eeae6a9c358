//! `supervisor reload` and SIGHUP: the plan file is read again, checked as a whole, and gone over to.
//!
//! ```text
//! plan file -> Source::read -> faults, or a plan -> loop -> State -> what has come of it
//!                (a thread)      nothing changes
//! ```
//! The command line and the environment are those of the start: a running program cannot be given others.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::cli::{self, Start};
use crate::error;
use crate::events::Entry;
use crate::files;
use crate::log::Log;
use crate::plan::{Difference, Plan};
use crate::state::{Level, Reloaded};
use crate::supervisor::Message;
use crate::task::{Refusal, exit};

/// Where the plan comes from.
#[derive(Debug)]
pub struct Source {
    start: Start,
    /// Bundled servers in whose place others are used.
    without: Vec<&'static str>,
    /// The data directory: some conditions of the plan are files in it.
    data: Arc<OwnedFd>,
    /// The application's program is open.
    has_app: bool,
}

impl Source {
    /// What `start` names, from wherever it was called.
    pub fn new(start: &Start, without: Vec<&'static str>, data: Arc<OwnedFd>, has_app: bool) -> Self {
        let config = start.config.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let start = Start { data_dir: None, port: None, config };
        Self { start, without, data, has_app }
    }

    /// Reads and checks the plan as a whole.
    ///
    /// # Errors
    /// Every fault, and every change that cannot be made to the plan in force while the appliance runs.
    fn read(&self, in_force: &Plan) -> Result<Plan, Vec<String>> {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut plan = cli::load_plan(&self.start).map_err(|fault| lines(&fault.message))?;
        for name in self.without.iter().filter(|name| plan.has_bundled(name)).collect::<Vec<_>>() {
            plan.remove(name);
        }
        plan.settle(|file| files::look(&self.data, file).is_ok_and(|found| found.is_some()));
        let obstacles = Difference::between(in_force, &plan).obstacles(in_force, &plan, self.has_app);
        if obstacles.is_empty() { Ok(plan) } else { Err(obstacles) }
    }
}

/// What whoever asked is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answer {
    /// 0 done, 1 not all of it has taken, 4 busy, 15 the plan has faults.
    pub exit: u8,
    /// Why nothing was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is wrong with the plan; then nothing has been changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// What is different, and what has come of it.
    #[serde(flatten)]
    pub reloaded: Reloaded,
}

/// Carries reloads out.
#[derive(Debug)]
pub struct Reloader {
    source: Arc<Source>,
    plans: watch::Receiver<Arc<Plan>>,
    log: Log,
    messages: mpsc::UnboundedSender<Message>,
}

impl Reloader {
    /// `plans` shows the plan in force, `messages` lead to the loop.
    pub fn new(
        source: Source,
        plans: watch::Receiver<Arc<Plan>>,
        log: Log,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        Self { source: Arc::new(source), plans, log, messages }
    }

    /// Reads the plan and goes over to it; with `dry_run`, only says what that would mean. Returns once all of it is done.
    pub async fn reload(&self, dry_run: bool) -> Answer {
        let in_force = Arc::clone(&self.plans.borrow());
        let source = Arc::clone(&self.source);
        let former = Arc::clone(&in_force);
        // The file may be on a disk that is slow.
        let read = tokio::task::spawn_blocking(move || source.read(&former)).await;
        let answer = match read.unwrap_or_else(|error| Err(vec![error.to_string()])) {
            Err(faults) => {
                let faults = faults.into_iter().map(|fault| self.log.clean(fault)).collect();
                Answer { exit: error::exit::CONFIGURATION, faults, ..Answer::default() }
            }
            Ok(plan) if dry_run => {
                let planned = Reloaded::planned(Difference::between(&in_force, &plan));
                Answer { reloaded: planned.cleaned(|text| self.log.clean(text)), ..Answer::default() }
            }
            Ok(plan) => self.carry_out(plan).await,
        };
        if !dry_run {
            self.tell(&answer);
        }
        answer
    }

    async fn carry_out(&self, plan: Plan) -> Answer {
        let (reply, done) = oneshot::channel();
        let _ = self.messages.send(Message::Reload { plan: Arc::new(plan), reply });
        let ending = || Err(Refusal::Failed("The supervisor is ending.".to_owned()));
        match done.await.unwrap_or_else(|_| ending()) {
            Ok(reloaded) => {
                let has_failed = reloaded.services.iter().any(|taken| taken.ok == Some(false));
                let reloaded = reloaded.cleaned(|text| self.log.clean(text));
                Answer { exit: if has_failed { exit::FAILED } else { 0 }, reloaded, ..Answer::default() }
            }
            Err(Refusal::Busy(error)) => Answer { exit: exit::BUSY, error: Some(error), ..Answer::default() },
            Err(Refusal::Failed(error)) => Answer { exit: exit::FAILED, error: Some(error), ..Answer::default() },
        }
    }

    /// Into the log, whoever asked.
    fn tell(&self, answer: &Answer) {
        let say = |level: Level, text: String| self.log.say(level, format!("reload: {text}"));
        for fault in answer.error.iter().chain(&answer.faults) {
            say(Level::Error, fault.clone());
        }
        for change in &answer.reloaded.settings {
            say(Level::Info, change.to_string());
        }
        for taken in &answer.reloaded.services {
            let level = if taken.ok == Some(false) { Level::Error } else { Level::Info };
            say(level, taken.to_string());
        }
        let (level, sentence) = answer.verdict();
        say(level, sentence.to_owned());
        self.log.event(Entry::new("reload", level, sentence));
    }
}

impl Answer {
    /// What has come of it in a sentence.
    pub fn verdict(&self) -> (Level, &'static str) {
        match self.exit {
            0 if self.reloaded.is_empty() => (Level::Info, "Nothing is different."),
            0 => (Level::Info, "The plan is in force."),
            exit::FAILED if !self.reloaded.is_empty() => {
                (Level::Error, "The plan is in force, but not all of it has taken.")
            }
            _ => (Level::Error, "Nothing has been changed."),
        }
    }
}
