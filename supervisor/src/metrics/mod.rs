//! Numbers for Prometheus: what is counted while things happen, and what is looked up when somebody asks.
//!
//! ```text
//! pipes, probes, exits, tasks -> Counters --+
//! the loop's status, schedules -------------+-> page -> GET /metrics
//! /proc, the disk, reports' files ----------+
//! ```

mod counters;
mod loss;
mod mail;
mod page;
mod text;

pub use counters::{Counters, ServiceCounters, TaskCount, Totals};
pub use loss::Loss;
pub use mail::Mail;
pub use page::{Facts, page};
