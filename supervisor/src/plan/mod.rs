//! What runs, in which order and by which rules: `conf/supervisor.toml` turned into a checked [`Plan`].

mod diff;
mod graph;
mod read;
mod read_conditions;
mod read_confinement;
mod read_health;
mod read_schedule;
mod read_service;
mod types;
mod values;
mod written;

pub use diff::{Difference, Fate, KeyChange, ServiceChange};
pub use graph::closest;
pub use read::parse;
pub use types::{
    Backoff, Check, CheckHow, LogRules, Output, Plan, Ready, Retry, Run, ServiceSpec, StartWithout, StopClock, StopStep,
};

/// The plan that ships with the program, used when no file is given or found.
pub const DEFAULT: &str = include_str!("../../../conf/supervisor.toml");
