//! Work that is too heavy for PID 1: one-shot children of the same program (`supervisor task`).
//!
//! ```text
//! operator ----> control socket --+                      stdin   one JSON document: TaskRequest
//! schedule ----> timer -----------+--> Tasks --> child   stderr  progress, a line each -> log, and whoever waits
//!                                                        stdout  one JSON document: the result
//! ```
//!
//! A task runs as the supervisor's own user in the data directory. Passwords are on no command line and in no
//! environment. Of the tasks that work on the data only one runs at a time; reports are
//! delivered, and skipped nights reported, beside them.

mod host;
mod request;
mod rules;
mod run;

pub use host::{News, Refusal, Tasks};
pub use request::{BackupRules, Place, PostgresPlace, RedisPlace, Task, TaskOutcome, TaskRequest, Trigger};
pub use rules::RestartRules;
pub use run::run;

/// Exit codes of tasks, beside 0.
pub mod exit {
    /// It has failed.
    pub const FAILED: u8 = 1;
    /// It is done, but something is not as it should be.
    pub const DEGRADED: u8 = 2;
    /// It was not begun, for the reason told.
    pub const SKIPPED: u8 = 3;
    /// Another task is running.
    pub const BUSY: u8 = 4;
}
