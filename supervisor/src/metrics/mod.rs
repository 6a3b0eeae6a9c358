//! Numbers for Prometheus: what is counted while things happen, and what is looked up when somebody asks.

mod counters;
mod loss;

pub use counters::{Counters, ServiceCounters, TaskCount, Totals};
pub use loss::Loss;
