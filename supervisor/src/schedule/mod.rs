//! When what is done by the clock is due: `[schedule.NAME]` of the plan, in the appliance's time zone.
//!
//! ```text
//! "1 3 * * *" -> Line -+
//! TZ ----------> Zone -+-> Planner: (now) -> due, missed, next        pure
//!                              |
//!             Alarm (timerfd) -+-> Keeper: remembers on disk, tells the loop; Timetable: the way to it
//! ```
//!
//! A line names times of the wall clock. Each of them comes up once, whatever the clock does: a time that the clock skips
//! in spring comes at the first moment after the gap, one that it repeats in autumn comes the first time only, and one
//! that has come up is remembered on disk, so that neither a clock that is set back nor a restart repeats it. What was
//! due while the appliance was down is caught up as far as the plan says (`catch_up_s`), the last of it only.

mod alarm;
mod keeper;
mod line;
mod memory;
mod planner;
mod timetable;
mod window;
mod zone;

pub use line::Line;
pub use planner::{Decision, Moment, Planner};
pub use timetable::{Due, Frozen, LastRun, Overview, RunResult, Timetable, Upcoming};
pub use window::Window;
pub use zone::Zone;

use crate::task::{RestartRules, Task, Trigger};

/// What may be done by schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The restart of web and worker, with its report.
    ScheduledRestart,
    /// A backup.
    Backup,
    /// The proof that the newest backup can be restored.
    BackupVerify,
}

impl Work {
    /// Every one, with its name in the plan.
    pub const ALL: [(&'static str, Self); 3] = [
        ("scheduled-restart", Self::ScheduledRestart),
        ("backup", Self::Backup),
        ("backup-verify", Self::BackupVerify),
    ];

    /// Its name in the plan.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, work)| *work == self).map_or("", |(name, _)| name)
    }
}

/// One schedule of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When.
    pub line: Line,
    /// In which time zone; `None` is the appliance's (`TZ`, else UTC).
    pub zone: Option<Zone>,
    /// What.
    pub work: Work,
    /// It comes later than the line says by up to so many seconds: on one appliance always the same.
    pub jitter_s: u32,
    /// What was due while the appliance was down is done at its start if that is not longer ago, in seconds.
    pub catch_up_s: u32,
    /// When it may begin.
    pub window: Option<Window>,
    /// What a restart keeps to.
    pub rules: RestartRules,
}

impl Schedule {
    /// The task that does it.
    pub fn task(&self, moment: Moment) -> Task {
        match self.work {
            Work::ScheduledRestart => {
                let (trigger, scheduled_for) = (Trigger::Schedule, Some(moment.at));
                Task::ScheduledRestart { trigger, scheduled_for, dry_run: false, rules: self.rules }
            }
            Work::Backup => Task::BackupCreate { to: None },
            Work::BackupVerify => Task::BackupVerifyNewest,
        }
    }
}
