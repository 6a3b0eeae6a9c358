//! What the services and the supervisor say: whole lines into bounded files and onto our own output.
//!
//! ```text
//! pipe of a service -> Splitter -> Log::line -> redact -> tail in memory, followers
//!                                                      -> bounded queue -> thread -> logs/NAME.log
//!                                                      -> bounded queue -> thread -> standard output
//! ```
//! Only the two threads touch a disk or a terminal, so neither can stop the loop; when one cannot keep up, its queue
//! fills, lines are dropped from that one place, counted, and the count is written as soon as it can be.

mod files;
mod format;
mod hub;
mod lines;
mod pump;
mod queue;
mod redact;
mod tail;

pub use files::RotatingFile;
pub use format::Format;
pub use hub::{Log, LogSettings};
pub use pump::{pump, pump_lines};
pub use queue::Queue;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output of a service, or a line of the supervisor itself.
    Out,
    /// Standard error of a service.
    Err,
}

/// One line, redacted and ready to be written anywhere.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was read.
    pub time: chrono::DateTime<chrono::Utc>,
    /// Who said it.
    pub service: std::sync::Arc<str>,
    /// On which stream.
    pub stream: Stream,
    /// Its weight.
    pub level: crate::state::Level,
    /// The line without its end.
    pub text: String,
}
