//! When what is done by the clock is due: `[schedule.NAME]` of the plan, in the appliance's time zone.
//!
//! ```text
//! "1 3 * * *" -> Line -+
//! TZ ----------> Zone -+-> Planner: (now) -> due, missed, next        pure
//!                              |
//!             Alarm (timerfd) -+-> Keeper: remembers on disk, tells the loop
//! ```
//!
//! A line names times of the wall clock. Each of them comes up once, whatever the clock does: a time that the clock skips
//! in spring comes at the first moment after the gap, one that it repeats in autumn comes the first time only, and one
//! that has come up is remembered on disk, so that neither a clock that is set back nor a restart repeats it. What was
//! due while the appliance was down is not caught up.

mod alarm;
mod keeper;
mod line;
mod planner;
mod zone;

pub use keeper::{Due, Upcoming, keep};
pub use line::Line;
pub use planner::{Decision, Moment, Planner};
pub use zone::Zone;

use serde::{Deserialize, Serialize};

use crate::task::{Task, Trigger};

/// What may be done by schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// The restart of web and worker, with its report.
    ScheduledRestart,
    /// A backup.
    Backup,
}

impl Work {
    /// Every one, with its name in the plan.
    pub const ALL: [(&'static str, Self); 2] =
        [("scheduled-restart", Self::ScheduledRestart), ("backup", Self::Backup)];

    /// The task that does it.
    pub fn task(self, moment: Moment) -> Task {
        match self {
            Self::ScheduledRestart => {
                Task::ScheduledRestart { trigger: Trigger::Schedule, scheduled_for: Some(moment.at), dry_run: false }
            }
            Self::Backup => Task::BackupCreate { to: None },
        }
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
}
