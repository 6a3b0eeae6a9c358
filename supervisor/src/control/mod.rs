//! The control socket: JSON over HTTP/1.1 on `run/supervisor.sock`, for the owner of the appliance only.
//!
//! ```text
//! GET  /v1/status                                   {"pid", "port", "services": [...], "schedules": [...]}
//! POST /v1/reload?dry_run=false                     reads the plan again: what is different, and what has come of it
//! POST /v1/services/NAME/start|stop|restart         {"ok", "message"}, once it is done
//! GET  /v1/logs?service=NAMES&lines=N&follow=true   lines of text; names with commas between
//! GET  /v1/events?lines=N&follow=true               events, a line of JSON each
//! POST /v1/freeze, /v1/thaw                         {"ok", "message"}; freeze takes {"for_s", "reason"}
//! POST /v1/tasks                                    a task as JSON; {"progress"} lines, at last {"exit", "result"}
//! GET  /metrics                                     everything in numbers, for Prometheus
//! ```
//! The last one is also answered on `run/metrics.sock`, which belongs to the application: its own `/metrics` passes it on.

mod body;
mod client;
mod freeze;
mod server;

pub use client::{Client, Failure};
pub use server::{Desk, serve};

use serde::{Deserialize, Serialize};

use crate::schedule::{Frozen, Upcoming};
use crate::state::ServiceStatus;
use crate::task::TaskOutcome;

/// The socket's name in `run/`.
pub const SOCKET: &str = "supervisor.sock";

/// The name of the socket for metrics in `run/`.
pub const METRICS_SOCKET: &str = "metrics.sock";

/// The answer to `GET /v1/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Process id of the supervisor.
    pub pid: u32,
    /// The appliance's port.
    pub port: u16,
    /// Version of the supervisor.
    #[serde(default)]
    pub version: String,
    /// Seconds since the supervisor was started.
    #[serde(default)]
    pub uptime_s: u64,
    /// All services, in the plan's order.
    pub services: Vec<ServiceStatus>,
    /// What comes next by schedule.
    #[serde(default)]
    pub schedules: Vec<Upcoming>,
    /// Nothing is done by schedule meanwhile.
    #[serde(default)]
    pub frozen: Option<Frozen>,
}

/// What `POST /v1/freeze` is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Freeze {
    /// How long nothing is to be done by schedule, in seconds; none is until it is thawed.
    #[serde(default)]
    pub for_s: Option<u32>,
    /// Why, for a person.
    #[serde(default)]
    pub reason: Option<String>,
}

/// One line of the answer to `POST /v1/tasks`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskLine {
    /// What it is doing.
    Progress {
        /// A line of text.
        progress: String,
    },
    /// What came of it; the last line.
    End(TaskOutcome),
}

/// The answer to a request that changes something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it was done.
    pub ok: bool,
    /// What was done, or why not.
    pub message: String,
}
