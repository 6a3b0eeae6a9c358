//! PID 1 of the appliance and the operator's tool.
//!
//! ```text
//! conf/supervisor.toml -> plan -> state machine -> actions -> spawn, signals, logs
//!                                      ^                          |
//!                                      +--- exits, readiness, ----+
//!                                           timers, requests
//! ```

pub mod error;
pub mod spawn;
