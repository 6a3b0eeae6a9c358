//! What the services and the supervisor say: whole lines into bounded files and onto our own output.
//!
//! ```text
//! pipe of a service -> Splitter -> run of whole lines -> redact -> tail in memory, followers
//!                                                              -> bounded queue -> thread -> logs/NAME.log
//!                                                              -> bounded queue -> thread -> standard output
//! ```
//! Only the two threads touch a disk or a terminal, so neither can stop the loop. While a writer is quick, whoever says
//! more than it can write is held up, he alone, and nothing is lost. When one is slow or stuck, nobody waits: the queue
//! fills up to what is kept for those who say little, lines of whoever floods are dropped from that one place and counted
//! at once, and the count is told where they would have stood.

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
pub use tail::Follow;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output of a service, or a line of the supervisor itself.
    Out,
    /// Standard error of a service.
    Err,
}
