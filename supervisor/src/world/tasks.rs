//! Work in one-shot children: begun by the clock, by operators, and by itself.

use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;

use super::World;
use crate::backup::swap;
use crate::events::Entry;
use crate::files;
use crate::schedule::{Due, LastRun, RunResult, Timetable, Work};
use crate::state::{Event, Level};
use crate::supervisor::Message;
use crate::task::{News, Refusal, Task, Trigger, exit};

/// So often, and with this pause, the supervisor tries to clear up after a restore that was killed.
const RECOVERIES: u32 = 5;
const RECOVERY_PAUSE: Duration = Duration::from_secs(3);

/// Where reports wait to be delivered, in the data directory.
const OUTBOX: &str = "spool/reports";

impl World {
    /// Begins a task; the machine hears of it by [`World::pending`].
    ///
    /// # Errors
    /// One sentence saying why not.
    pub fn begin_task(&mut self, mut task: Task) -> Result<mpsc::Receiver<News>, Refusal> {
        if self.is_reloading() && task.is_exclusive() {
            return Err(Refusal::Busy("Busy: a reload is under way.".to_owned()));
        }
        if let Task::ScheduledRestart { trigger: Trigger::Manual, rules, .. } = &mut task {
            let schedule = self.plan.schedules.iter().find(|schedule| schedule.work == Work::ScheduledRestart);
            *rules = schedule.map(|schedule| schedule.rules).unwrap_or_default();
        }
        let news = self.tasks.start(task, self.launcher.context(), self.plan.backup)?;
        self.pending.push_back(Event::Tasks { running: true });
        Ok(news)
    }

    /// From now on what becomes of schedules is told there.
    pub fn follow(&mut self, timetable: Timetable) {
        self.timetable = Some(timetable);
    }

    /// Everything is up: what was due while it was not may be caught up.
    pub fn catch_up(&self) {
        if let Some(timetable) = &self.timetable {
            timetable.is_up();
        }
    }

    /// Begins what the clock wants. Whether it can be done does not matter to the next time.
    pub fn begin_scheduled(&mut self, due: &Due) {
        let caught_up = if due.caught_up { ", caught up" } else { "" };
        let (name, wall) = (&due.name, due.moment.wall);
        self.say(Level::Info, format!("schedule {name}: due at {wall}{caught_up}"));
        self.log.event(Entry::new("schedule-due", Level::Info, format!("schedule {name}: {wall}{caught_up}")));
        if let Some(reason) = &due.skip {
            return self.skip(due, reason, true);
        }
        match self.begin_task(due.task.clone()) {
            Ok(_) => drop(self.scheduled.insert(self.tasks.newest(), (due.name.clone(), due.moment.at))),
            Err(refusal) => self.skip(due, &refusal.to_string(), matches!(refusal, Refusal::Busy(_))),
        }
    }

    /// Leaves out what is due: a line, a note, and for a restart a report.
    fn skip(&mut self, due: &Due, reason: &str, is_reported: bool) {
        let (name, scheduled_for) = (&due.name, due.moment.at);
        let skipped = format!("schedule {name}: {} is skipped: {reason}", due.moment.wall);
        self.log.event(Entry::new("schedule-skipped", Level::Warn, skipped.clone()));
        self.say(Level::Warn, skipped);
        self.note(name, LastRun::skipped(scheduled_for, Utc::now(), reason.to_owned()));
        if is_reported
            && matches!(due.task, Task::ScheduledRestart { .. })
            && let Err(refusal) = self.begin_task(Task::ReportSkipped { scheduled_for, reason: reason.to_owned() })
        {
            self.say(Level::Warn, format!("schedule {name}: that is not reported: {refusal}"));
        }
    }

    fn note(&self, name: &str, run: LastRun) {
        if let Some(timetable) = &self.timetable {
            timetable.note(name, run);
        }
    }

    /// A task has nothing more to say.
    pub fn task_ended(&mut self, number: u64, exit: u8, reason: Option<String>) {
        if let Some((name, scheduled_for)) = self.scheduled.remove(&number) {
            let result = match exit {
                0 => RunResult::Ok,
                exit::DEGRADED => RunResult::Degraded,
                exit::SKIPPED => RunResult::Skipped,
                _ => RunResult::Failed,
            };
            self.note(&name, LastRun { scheduled_for, finished_at: Some(Utc::now()), result, reason });
        }
        let task = self.tasks.concluded(number, exit);
        match task {
            Some(Task::BackupRestore { .. } | Task::BackupVerify { .. } | Task::BackupVerifyNewest) => {
                self.recoveries = 0;
                self.recover();
            }
            Some(Task::BackupRecover) if exit != 0 => self.recover_later("the recovery failed"),
            _ => {}
        }
        self.pending.push_back(Event::Tasks { running: !self.tasks.is_empty() });
        let again = std::mem::take(&mut self.deliver_again);
        match task {
            Some(Task::ScheduledRestart { .. } | Task::ReportSkipped { .. } | Task::ReportResend { .. }) => {
                self.deliver();
            }
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
}
