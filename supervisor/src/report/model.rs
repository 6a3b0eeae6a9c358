//! The report, version 1. Sizes are in bytes, times in milliseconds unless their name says otherwise.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::task::{Trigger, exit};

/// Raised when a field changes its meaning; a new field does not raise it.
pub(super) const SCHEMA: u32 = 1;

/// What this document is, for receivers of several kinds.
pub(super) const KIND: &str = "restart.report";

/// One restart, whatever became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// `restart.report`.
    pub kind: String,
    /// Names the report, and its file.
    pub id: String,
    /// The machine's or the container's name.
    pub instance: String,
    /// The appliance's public address.
    pub domain: String,
    /// The supervisor's version.
    pub version: String,
    /// Who wanted the restart.
    pub trigger: Trigger,
    /// The moment the schedule named.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When all was done.
    pub finished_at: DateTime<Utc>,
    /// The time zone of the schedule, in which people are told times.
    pub tz: String,
    /// `recycle`, `report-only`, or `dry-run` when nothing was done.
    pub mode: String,
    /// How it went.
    pub result: Outcome,
    /// Why it is not `ok`, or why nothing had to be replaced.
    pub reason: Option<String>,
    /// The state of things before.
    pub checks_before: Vec<Check>,
    /// The state of things after; empty when nothing was done.
    pub checks_after: Vec<Check>,
    /// What was restarted.
    pub actions: Vec<Action>,
    /// What passed web meanwhile.
    pub requests: Option<Requests>,
    /// The queue of accepted events.
    pub queue: Queue,
    /// The machine.
    pub system: System,
    /// The database.
    pub pg: Option<Database>,
    /// The backup made before.
    pub backup: Option<Backup>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// The supervisor's last lines, at most eight.
    pub log_tail: Vec<String>,
}

/// How a restart went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All is well.
    Ok,
    /// Web and worker are new, but something is not as it should be.
    Degraded,
    /// Web or worker could not be replaced, or something is not well afterwards.
    Failed,
    /// Web and worker are as they were, for the reason told.
    Skipped,
}

impl Outcome {
    /// The exit code of `supervisor scheduled-restart`.
    pub fn exit(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Degraded => exit::DEGRADED,
            Self::Failed => exit::FAILED,
            Self::Skipped => exit::SKIPPED,
        }
    }

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One look at one part of the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `postgres`, `redis`, `web` or `worker`.
    pub name: String,
    /// What was found.
    pub status: CheckStatus,
    /// How long the look took.
    pub ms: u64,
    /// In words.
    pub detail: String,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// It is well.
    Ok,
    /// It is not.
    Failed,
    /// The appliance has none of its own and nobody to ask, or an operator has stopped it.
    Absent,
}

/// One service replaced by a new generation of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// `web` or `worker`.
    pub service: String,
    /// Whether the new generation serves.
    pub ok: bool,
    /// In words.
    pub message: String,
    /// Process id of the old generation.
    pub old_pid: Option<i32>,
    /// Process id of the new one; of the old one when that had to stay.
    pub new_pid: Option<i32>,
    /// Memory of the old generation.
    pub old_rss: Option<u64>,
    /// Memory of the new generation, when everything was over.
    pub new_rss: Option<u64>,
    /// From the order to the new generation serving.
    pub ready_ms: u64,
    /// From then to the end of the old generation; none when it had not ended within the time for that.
    pub drain_ms: Option<u64>,
    /// Requests the old generation still had in hand when the new one served.
    pub inflight_at_drain: Option<u64>,
    /// The old generation did not end by itself.
    pub killed: bool,
}

/// What passed web from the order to the end of the old generation, both generations added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests answered.
    pub served: u64,
    /// Answers of 500 and above, and requests broken off.
    pub failed: u64,
    /// The longest time to an answer, a slow client's upload included.
    pub max_latency_ms: u64,
}

/// The queue of accepted events, before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Before.
    pub before: Option<Depth>,
    /// After.
    pub after: Option<Depth>,
}

/// How much is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Entries not yet settled.
    pub entries: u64,
    /// Those of them that a worker has in hand.
    pub pending: u64,
    /// Entries that could never be stored, kept for a look.
    pub dead: u64,
}

/// The machine, after the restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Main memory, or what the container may use of it.
    pub mem: Memory,
    /// Swap.
    pub swap: Memory,
    /// The file systems of the data directory, of volumes in it, and of the root directory.
    pub disk: Vec<Disk>,
    /// Use of all processors together, in percent.
    pub cpu_percent: f64,
    /// Load over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Open TCP connections.
    pub connections: u64,
    /// Open files of the whole system.
    pub fds: u64,
    /// Share of the last 10 s in which something waited for it, in percent: `cpu`, `memory`, `io`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<[f64; 3]>,
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All.
    pub total: u64,
    /// In use.
    pub used: u64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// A folder on it.
    pub path: String,
    /// Size.
    pub total: u64,
    /// What is left for us.
    pub free: u64,
    /// Use in percent, as `df` counts.
    pub used_percent: f64,
}

/// The database, after the restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The server's version.
    pub version: String,
    /// The application's database.
    pub size: u64,
    /// The write-ahead log on disk.
    pub wal: Option<u64>,
    /// Connections, ours included.
    pub conns: u64,
    /// Connections there may be.
    pub max_conns: u64,
    /// Transactions since the oldest unfrozen one: work for vacuum long before two billion.
    pub xid_age: u64,
    /// Damaged pages found so far; none when the cluster has no checksums.
    pub checksum_failures: Option<u64>,
    /// The last day for which the table of events has a partition; none when there is no such table.
    #[serde(default)]
    pub partitions_until: Option<NaiveDate>,
    /// Large tables of which more has changed since the last `analyze` than they hold: autovacuum does not keep up.
    #[serde(default)]
    pub stale: Vec<String>,
}

/// The backup made before the restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its file; none when there is none.
    pub file: Option<String>,
    /// Its size.
    pub size: Option<u64>,
    /// Whether it was restored aside and compared; nobody has done so at this moment.
    pub verified: bool,
    /// How long it took.
    pub ms: u64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Memory {
    /// Use in percent.
    pub fn percent(self) -> f64 {
        // Exact enough for a person.
        #[expect(clippy::cast_precision_loss, reason = "a share in percent, for people")]
        if self.total == 0 { 0.0 } else { self.used as f64 * 100.0 / self.total as f64 }
    }
}
