//! PID 1 of the appliance and the operator's tool.
//!
//! ```text
//! conf/supervisor.toml -> plan -> state machine -> actions -> spawn, signals, logs
//!                                      ^                          |
//!                                      +--- exits, readiness, ----+
//!                                           timers, requests
//! ```

pub mod app;
pub mod backup;
pub mod capabilities;
pub mod cgroup;
pub mod channels;
pub mod cli;
pub mod context;
pub mod control;
pub mod datadir;
pub mod disk;
pub mod env_value;
pub mod environment;
pub mod error;
pub mod events;
pub mod files;
pub mod hangup;
pub mod launcher;
pub mod leftovers;
pub mod limits;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod mount;
pub mod notify;
pub mod plan;
pub mod postgres;
pub mod prepare;
pub mod probe;
pub mod reap;
pub mod redis;
pub mod reload;
pub mod report;
pub mod rest;
pub mod schedule;
pub mod secrets;
pub mod settings;
pub mod snapshot;
pub mod spawn;
pub mod state;
pub mod supervisor;
pub mod task;
pub mod tuning;
pub mod usage;
pub mod users;
pub mod world;
