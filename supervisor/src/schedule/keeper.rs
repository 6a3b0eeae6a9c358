//! Waits for the schedules of one appliance, and remembers what has come up.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, watch};

use super::alarm::Alarm;
use super::memory::{self, Memory, Remembered};
use super::timetable::Order;
use super::{Due, Frozen, LastRun, Moment, Overview, Planner, RunResult, Schedule, Upcoming, Zone};
use crate::log::Log;
use crate::state::Level;
use crate::supervisor::Message;

/// What begins no later than this after its moment is on time: the machine may be busy.
const ON_TIME: TimeDelta = TimeDelta::minutes(2);

/// Whoever keeps the schedules.
pub(super) struct Keeper {
    zone: Zone,
    run: Arc<OwnedFd>,
    log: Log,
    messages: mpsc::UnboundedSender<Message>,
    shown: watch::Sender<Overview>,
    seed: u64,
    frozen: Option<Frozen>,
    kept: Vec<Kept>,
    /// The services are up.
    is_up: bool,
    /// Something has come up that is not on the disk yet.
    has_news: bool,
}

/// One schedule.
struct Kept {
    schedule: Schedule,
    rule: String,
    planner: Planner,
    since: DateTime<Utc>,
    last: Option<LastRun>,
    /// What came while the appliance was down has been dealt with.
    is_caught_up: bool,
    next: Option<Moment>,
    /// Said in the log.
    announced: Option<Moment>,
}

impl Keeper {
    pub(super) fn new(
        zone: Zone,
        run: Arc<OwnedFd>,
        log: Log,
        messages: mpsc::UnboundedSender<Message>,
        shown: watch::Sender<Overview>,
    ) -> Self {
        Self { zone, run, log, messages, shown, seed: 0, frozen: None, kept: Vec::new(), is_up: false, has_news: false }
    }

    /// Ends when nobody is left to give orders.
    pub(super) async fn keep(mut self, schedules: Vec<Schedule>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let memory = Memory::recall(&self.run).unwrap_or_else(|error| {
            let text = format!("run/{} cannot be read: {error}; what came up before is not known", memory::FILE);
            self.log.say(Level::Warn, text);
            None
        });
        let known = memory.clone();
        let Memory { seed, frozen, schedules: mut remembered } = memory.unwrap_or_else(Memory::fresh);
        (self.seed, self.frozen) = (seed, frozen);
        let now = Utc::now();
        for schedule in schedules {
            let known = remembered.remove(&schedule.name);
            self.kept.push(self.take_up(schedule, known, now));
        }
        self.has_news = !self.kept.is_empty() && known != Some(self.memory());
        if let Err(error) = self.attend(&mut orders).await {
            self.log.say(Level::Error, format!("schedules are not kept any more: the timer fails: {error}"));
        }
    }

    /// Begins to keep a schedule; `known` is what is remembered of its name.
    fn take_up(&self, schedule: Schedule, known: Option<Remembered>, now: DateTime<Utc>) -> Kept {
        let zone = schedule.zone.unwrap_or(self.zone);
        let rule = format!("{} {zone}", schedule.line.source());
        let mut known =
            known.unwrap_or_else(|| Remembered { rule: rule.clone(), since: now, done: vec![], last: None });
        // With another line other times were missed, namely none; a clock that was ahead must not put that off.
        if known.rule != rule || known.since > now {
            known.since = now;
        }
        if let Some(last) = known.last.as_mut().filter(|last| last.result == RunResult::Running) {
            last.result = RunResult::Failed;
            last.finished_at = Some(now);
            last.reason = Some("the supervisor was stopped meanwhile".to_owned());
        }
        let memory = Memory { seed: self.seed, ..Memory::default() };
        let jitter = memory.jitter(&schedule.name, schedule.jitter_s);
        let late = TimeDelta::seconds(i64::from(schedule.catch_up_s));
        let planner = Planner::new(schedule.line.clone(), zone, now, known.done).delayed_by(jitter).late_within(late);
        Kept {
            schedule,
            rule,
            planner,
            since: known.since,
            last: known.last,
            // Once everything is up, nothing has been overslept.
            is_caught_up: self.is_up,
            next: None,
            announced: None,
        }
    }

    async fn attend(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        let alarm = Alarm::new()?;
        loop {
            let due = self.look(Utc::now());
            let next = self.show();
            if std::mem::take(&mut self.has_news) {
                // First on disk, then done: a crash in between leaves it out rather than doing it twice.
                self.remember().await;
            }
            for due in due {
                let _ = self.messages.send(Message::Due(due));
            }
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return Ok(()),
                },
                rung = alarm.wait(next) => rung?,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Up => self.is_up = true,
            Order::Note(name, run) => {
                let kept = self.kept.iter_mut().find(|kept| kept.schedule.name == name);
                // A run that has been overtaken is nobody's last one.
                if let Some(kept) = kept.filter(|kept| kept.last_is_before_or(run.scheduled_for)) {
                    kept.last = Some(run);
                    self.has_news = true;
                }
            }
            Order::Freeze(frozen, reply) => {
                let before = std::mem::replace(&mut self.frozen, frozen);
                let written = if before == self.frozen { Ok(()) } else { self.write().await };
                match (&written, &self.frozen) {
                    (Err(_), _) => self.frozen = before,
                    (Ok(()), None) if before.is_none() => {}
                    (Ok(()), Some(frozen)) => self.log.say(Level::Warn, format!("schedules are {frozen}")),
                    (Ok(()), None) => self.log.say(Level::Info, "schedules are thawed".to_owned()),
                }
                let _ = reply.send(written.map_err(|error| format!("That cannot be kept: {error}.")));
            }
            Order::Replace(schedules) => {
                let now = Utc::now();
                let mut before = std::mem::take(&mut self.kept);
                for schedule in schedules {
                    let known = before.iter().position(|kept| kept.schedule.name == schedule.name);
                    let kept = match known.map(|index| before.swap_remove(index)) {
                        Some(kept) if kept.schedule == schedule => kept,
                        known => self.take_up(schedule, known.map(|kept| kept.remember()), now),
                    };
                    self.kept.push(kept);
                }
                self.has_news = true;
            }
        }
    }

    /// Finds what is to be done at this moment.
    fn look(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        if self.frozen.take_if(|frozen| frozen.is_over(now)).is_some() {
            self.has_news = true;
            self.log.say(Level::Info, "schedules are not frozen any more: the time for that is over".to_owned());
        }
        let mut due = Vec::new();
        for kept in &mut self.kept {
            let before = kept.last.as_ref().map(|last| last.scheduled_for);
            due.extend(kept.look(now, self.is_up, self.frozen.as_ref(), &self.log));
            self.has_news |= before != kept.last.as_ref().map(|last| last.scheduled_for);
        }
        due
    }

    /// Tells everybody what comes next, and returns when to look again.
    fn show(&mut self) -> Option<DateTime<Utc>> {
        let mut wake = self.frozen.as_ref().and_then(|frozen| frozen.until);
        let mut schedules = Vec::new();
        for kept in &mut self.kept {
            let shown = kept.shown();
            let next = kept.next.map(|moment| moment.at);
            wake = wake.into_iter().chain(next).min();
            if kept.announced != kept.next {
                kept.announced = kept.next;
                self.log.say(Level::Info, format!("schedule {}: {shown}", kept.schedule.name));
            }
            schedules.push(Upcoming { name: kept.schedule.name.clone(), next, shown, last: kept.last.clone() });
        }
        self.shown.send_replace(Overview { schedules, frozen: self.frozen.clone() });
        wake
    }

    fn memory(&self) -> Memory {
        let schedules = self.kept.iter().map(|kept| (kept.schedule.name.clone(), kept.remember())).collect();
        Memory { seed: self.seed, frozen: self.frozen.clone(), schedules }
    }

    /// Writes down all that must not be forgotten.
    async fn remember(&self) {
        if let Err(error) = self.write().await {
            let file = memory::FILE;
            let text = format!("run/{file} cannot be written: {error}; a restart would not know what came up");
            self.log.say(Level::Warn, text);
        }
    }

    async fn write(&self) -> io::Result<()> {
        let (memory, run) = (self.memory(), Arc::clone(&self.run));
        // A slow disk must not hold up the loop.
        let written = tokio::task::spawn_blocking(move || memory.write(&run)).await;
        written.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl Kept {
    /// What is due at this moment, or would be.
    fn look(&mut self, now: DateTime<Utc>, is_up: bool, frozen: Option<&Frozen>, log: &Log) -> Option<Due> {
        let decision = self.planner.look(now);
        self.next = decision.next;
        let overslept = || self.planner.overslept(now, self.since);
        let overslept = if is_up && !std::mem::replace(&mut self.is_caught_up, is_up) { overslept() } else { None };
        let (moment, caught_up, too_late) = match (decision.due, decision.missed, overslept) {
            (Some(moment), ..) => (moment, false, None),
            (None, Some(moment), _) => {
                (moment, false, Some("the clock was set past it, or the machine slept, for too long"))
            }
            (None, None, Some(moment)) => {
                if self.last_is(moment.at) {
                    return None;
                }
                let allowed = TimeDelta::seconds(i64::from(self.schedule.catch_up_s));
                match now - moment.at {
                    late if late <= allowed => {
                        self.planner.settle(moment);
                        (moment, true, None)
                    }
                    _ if allowed.is_zero() => {
                        self.miss(moment, now, log);
                        return None;
                    }
                    _ => (moment, true, Some("the appliance was down, and that is too long ago to be caught up")),
                }
            }
            (None, None, None) => return None,
        };
        let skip = too_late.map(str::to_owned).or_else(|| self.reason_to_skip(moment, caught_up, now, frozen));
        self.last = Some(match &skip {
            None => LastRun::running(moment.at),
            Some(reason) => LastRun::skipped(moment.at, now, reason.clone()),
        });
        Some(Due { name: self.schedule.name.clone(), task: self.schedule.task(moment), moment, caught_up, skip })
    }

    fn reason_to_skip(
        &self,
        moment: Moment,
        caught_up: bool,
        now: DateTime<Utc>,
        frozen: Option<&Frozen>,
    ) -> Option<String> {
        if let Some(frozen) = frozen {
            return Some(format!("schedules are {frozen}"));
        }
        // A run on time begins when the line says so, however long its jitter or a gap in spring. One that is caught up,
        // or that the machine slept through, begins now.
        let is_on_time = !caught_up && now - moment.at <= ON_TIME;
        let wall = if is_on_time { moment.wall } else { self.planner.zone().wall(now) };
        let window = self.schedule.window.filter(|window| !window.holds(wall))?;
        Some(format!("it would begin outside of {window}"))
    }

    /// Nobody asked for it to be caught up: that is worth a line and no report.
    fn miss(&mut self, moment: Moment, now: DateTime<Utc>, log: &Log) {
        let reason = "the appliance was down".to_owned();
        log.say(Level::Info, format!("schedule {}: {} was missed: {reason}", self.schedule.name, moment.wall));
        self.last = Some(LastRun { result: RunResult::Missed, ..LastRun::skipped(moment.at, now, reason) });
    }

    fn last_is(&self, scheduled_for: DateTime<Utc>) -> bool {
        self.last.as_ref().is_some_and(|last| last.scheduled_for == scheduled_for)
    }

    fn last_is_before_or(&self, scheduled_for: DateTime<Utc>) -> bool {
        self.last.as_ref().is_none_or(|last| last.scheduled_for <= scheduled_for)
    }

    fn remember(&self) -> Remembered {
        Remembered {
            rule: self.rule.clone(),
            since: self.since,
            done: self.planner.done().collect(),
            last: self.last.clone(),
        }
    }

    fn shown(&self) -> String {
        let what = self.schedule.work.name();
        let zone = self.planner.zone();
        self.next.map_or_else(
            || format!("no {what} any more"),
            |moment| format!("next {what} at {} ({zone})", zone.wall(moment.at).format("%Y-%m-%d %H:%M:%S")),
        )
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
