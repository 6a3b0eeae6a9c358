//! Writes a batch of processed events in one transaction.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::ids::{EventId, ProjectId};
use crate::protocol::{EventKind, Level};

/// One event, ready to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// With the project and the date, the primary key: a second reception changes nothing.
    pub event_id: EventId,
    /// The edge's stamp.
    pub ingest_id: Uuid,
    /// The edge's stamp.
    pub received_at: DateTime<Utc>,
    /// The edge's stamp; the partition.
    pub received_on: NaiveDate,
    /// The event's own time, corrected for clock drift.
    pub occurred_at: DateTime<Utc>,
    /// What it is made of.
    pub kind: EventKind,
    /// Its severity.
    pub level: Level,
    /// `python`, `javascript`, ...; `other` when unknown.
    pub platform: String,
    /// The SDK's environment.
    pub environment: Option<String>,
    /// The SDK's release.
    pub release: Option<String>,
    /// Grouping hash (SHA-256).
    pub hash: [u8; 32],
    /// Version of the algorithm that made `hash`.
    pub hash_version: i16,
    /// One line for lists.
    pub title: String,
    /// Where it happened, one line.
    pub culprit: String,
    /// `type`, `value`, `filename`, `function` of the main exception.
    pub metadata: serde_json::Value,
    /// The SDK's logger name, or empty.
    pub logger: String,
    /// Some mechanism says `handled: false`.
    pub is_unhandled: bool,
    /// Tags to roll up per issue, derived ones included; keys are unique.
    pub tags: Vec<(String, String)>,
    /// `id:…`, `username:…`, `email:…` or `ip:…`: whom the event happened to.
    pub user: Option<String>,
    /// The normalised event, compressed by `store::payload`.
    pub payload: Vec<u8>,
}
