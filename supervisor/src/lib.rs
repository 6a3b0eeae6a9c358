//! PID 1 of the appliance and the operator's tool.
//!
//! ```text
//! conf/supervisor.toml -> plan -> state machine -> actions -> spawn, signals, logs
//!                                      ^                          |
//!                                      +--- exits, readiness, ----+
//!                                           timers, requests
//! ```

pub mod app;
pub mod context;
pub mod datadir;
pub mod error;
pub mod files;
pub mod leftovers;
pub mod log;
pub mod plan;
pub mod postgres;
pub mod prepare;
pub mod redis;
pub mod secrets;
pub mod settings;
pub mod spawn;
pub mod state;
pub mod tuning;
pub mod users;
