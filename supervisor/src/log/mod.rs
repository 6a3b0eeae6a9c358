//! What the services and the supervisor say: whole lines into bounded files and onto our own output.
//!
//! ```text
//! pipe of a service -> Splitter -> run of whole lines -> redact -> tail in memory, followers
//!                                                              -> bounded queue -> thread -> logs/NAME.log
//!                                                              -> bounded queue -> thread -> standard output
//! ```
//! Only the two threads touch a disk or a terminal, so neither can stop the loop. While a writer gets on, whoever says
//! more than it can write is held up and nothing is lost. When one is stuck, nobody waits: its queue fills, lines are
//! dropped from that one place and counted, and the count is told as soon as it can be.

mod files;
mod folder;
mod format;
mod hub;
mod json;
mod lines;
mod output;
mod pump;
mod queue;
mod redact;
mod tail;

pub use format::Format;
pub use hub::{Log, LogSettings};
pub use pump::{pump, pump_lines};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output of a service, or a line of the supervisor itself.
    Out,
    /// Standard error of a service.
    Err,
}
