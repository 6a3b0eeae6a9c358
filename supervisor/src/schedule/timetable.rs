//! What the rest of the supervisor sees of its schedules, and how it talks to whoever keeps them.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::keeper::Keeper;
use super::{Moment, Schedule, Zone};
use crate::log::Log;
use crate::supervisor::Message;
use crate::task::Task;

/// Something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The name of the schedule.
    pub name: String,
    /// What is to be done.
    pub task: Task,
    /// For which time.
    pub moment: Moment,
    /// That time came while the appliance was down.
    pub caught_up: bool,
    /// Why it is not to be done after all.
    pub skip: Option<String>,
}

/// One schedule: what comes next, and what became of it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// The name of the schedule.
    pub name: String,
    /// When it comes next, jitter included; none when its line names no time to come.
    pub next: Option<DateTime<Utc>>,
    /// The same for people, with the zone.
    pub shown: String,
    /// The last time it was due; none when it never was.
    #[serde(default)]
    pub last: Option<LastRun>,
}

/// What became of a schedule when it was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it was due.
    pub scheduled_for: DateTime<Utc>,
    /// When it was over, or left out; none while it runs.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it went.
    pub result: RunResult,
    /// Why it is not `ok`.
    pub reason: Option<String>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// It has begun.
    Running,
    /// All is well.
    Ok,
    /// Done, but something is not as it should be.
    Degraded,
    /// It failed.
    Failed,
    /// It was left out, for the reason told.
    Skipped,
    /// The appliance was down then.
    Missed,
}

/// While this stands, nothing is done by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; none is until somebody thaws it.
    pub until: Option<DateTime<Utc>>,
    /// What the person who wanted it said.
    pub reason: Option<String>,
}

/// What is known of all schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Each schedule.
    pub schedules: Vec<Upcoming>,
    /// Whether nothing is done at the moment.
    pub frozen: Option<Frozen>,
}

/// The schedules of one appliance, kept by a task of their own for as long as this or a clone of it is there.
#[derive(Debug, Clone)]
pub struct Timetable {
    orders: mpsc::UnboundedSender<Order>,
    overview: watch::Receiver<Overview>,
}

/// What whoever keeps the schedules is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Everything is up: what was missed may be caught up.
    Up,
    /// What became of the one of that name.
    Note(String, LastRun),
    /// Freeze, or thaw; answered once that is on the disk.
    Freeze(Option<Frozen>, oneshot::Sender<Result<(), String>>),
    /// These take the place of the others.
    Replace(Vec<Schedule>),
}

impl Timetable {
    /// Begins to wait for what `schedules` name, and tells the loop. `zone` is the appliance's; `run` is the folder in
    /// which is remembered what has come up.
    pub fn start(
        schedules: Vec<Schedule>,
        zone: Zone,
        run: Arc<OwnedFd>,
        log: Log,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (shown, overview) = watch::channel(Overview::default());
        tokio::spawn(Keeper::new(zone, run, log, messages, shown).keep(schedules, inbox));
        Self { orders, overview }
    }

    /// What comes next, and what became of everything.
    pub fn overview(&self) -> Overview {
        self.overview.borrow().clone()
    }

    /// All services are up: what came while the appliance was down may be caught up.
    pub fn is_up(&self) {
        let _ = self.orders.send(Order::Up);
    }

    /// What became of the schedule of that name.
    pub fn note(&self, name: &str, run: LastRun) {
        let _ = self.orders.send(Order::Note(name.to_owned(), run));
    }

    /// Puts these in the place of all schedules. One whose name, line and zone stay keeps its memory.
    pub fn replace(&self, schedules: Vec<Schedule>) {
        let _ = self.orders.send(Order::Replace(schedules));
    }

    /// Has nothing done by the clock from now on, or with `None` everything again; on the disk when this returns.
    ///
    /// # Errors
    /// One sentence saying why it could not be kept.
    pub async fn freeze(&self, frozen: Option<Frozen>) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Freeze(frozen, reply));
        answer.await.unwrap_or_else(|_| Err("Schedules are not kept any more: see the log.".to_owned()))
    }
}

impl LastRun {
    /// It has begun.
    pub fn running(scheduled_for: DateTime<Utc>) -> Self {
        Self { scheduled_for, finished_at: None, result: RunResult::Running, reason: None }
    }

    /// It was left out.
    pub fn skipped(scheduled_for: DateTime<Utc>, at: DateTime<Utc>, reason: String) -> Self {
        Self { scheduled_for, finished_at: Some(at), result: RunResult::Skipped, reason: Some(reason) }
    }
}

impl RunResult {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }
}

impl Frozen {
    /// Whether it is over.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("frozen")?;
        if let Some(until) = self.until {
            write!(f, " until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))?;
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl fmt::Display for Upcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.shown)?;
        let Some(last) = &self.last else { return Ok(()) };
        write!(f, "; last {} {}", last.scheduled_for.format("%Y-%m-%d %H:%M:%S UTC"), last.result.name())?;
        last.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_and_a_freeze_read_as_one_line() {
        let at: DateTime<Utc> = "2026-11-26T03:01:00Z".parse().unwrap();
        let shown = "next backup at 2026-11-27 03:01:00 (UTC)".to_owned();
        let upcoming = Upcoming { name: "b".to_owned(), next: Some(at), shown, last: None };
        assert_eq!(upcoming.to_string(), "b: next backup at 2026-11-27 03:01:00 (UTC)");
        let upcoming = Upcoming { last: Some(LastRun::skipped(at, at, "Redis is not well".to_owned())), ..upcoming };
        let line = upcoming.to_string();
        assert!(line.ends_with("; last 2026-11-26 03:01:00 UTC skipped: Redis is not well"), "{line}");
        let frozen = Frozen { since: at, until: Some(at), reason: Some("moving house".to_owned()) };
        assert_eq!(frozen.to_string(), "frozen until 2026-11-26 03:01:00 UTC: moving house");
        assert!(frozen.is_over(at) && !Frozen { until: None, ..frozen }.is_over(at));
    }
}
