//! The scheduled restart and what is told about it.
//!
//! ```text
//! Task::ScheduledRestart: checks -> backup -> web, then worker -> checks -> Report
//!                                                                            |-> logs/reports/ID.json  (`supervisor report`)
//!                                                                            |-> progress              (logs/scheduled-restart.log)
//!                                                                            +-> spool/reports/        (one letter per channel)
//! Task::Deliver:          spool/reports/ -> Feishu, mail, webhook ...; again and again for a day
//! ```
//!
//! Nothing leaves this module, not even for the disk, before [`Redactor`] has taken the secrets out.

mod card;
mod checks;
mod deliver;
mod facts;
mod forms;
mod html;
mod letters;
mod mail;
mod model;
mod operate;
mod outbox;
mod page;
mod queue;
mod recycle;
mod redact;
mod restart;
mod retry;
mod send;
mod skip;
mod sql;
mod store;
mod text;
mod upkeep;
mod web;
mod words;

#[cfg(test)]
mod secrecy_tests;

pub use deliver::run as deliver;
pub use model::{
    Action, Backup, Check, CheckStatus, Database, Depth, Disk, Memory, Outcome, Queue, Report, Requests, System,
};
pub use operate::{resend, trial};
pub use outbox::{Delivery, Outbox};
pub use redact::Redactor;
pub(crate) use redact::guises;
pub use restart::{run as restart, skipped};
pub use store::Store;
pub use text::{block, headline};
