//! What can have become of an event, and how it is told.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::cli::instance::Instance;
use crate::ids::{EventId, ProjectId};
use crate::process::Explanation;
use crate::queue::Place;
use crate::store::project;

/// What became of an event in one project.
#[derive(Debug, Serialize)]
pub(super) struct Fate {
    project_id: ProjectId,
    /// The project's slug; empty while PostgreSQL cannot be asked.
    project: String,
    received_at: DateTime<Utc>,
    #[serde(flatten)]
    state: State,
    /// Why a stored event is in its issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    grouped_by: Option<Explanation>,
}

/// Where the event is.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    /// It can be read.
    Stored { issue: String, url: String },
    /// On disk; the queue and the worker may have it already.
    Spooled,
    /// No worker has it.
    Queued,
    /// A worker has it in hand.
    InHand { worker: String, held_ms: u64, deliveries: u64 },
    /// It will be tried again.
    Delayed { due_at: Option<DateTime<Utc>> },
    /// It was given up.
    DeadLetter { reason: String },
    /// It was accepted, and a filter of its project held it back.
    Filtered { category: String, reason: String },
    /// It was accepted and could not be stored.
    Rejected { category: String, reason: String, detail: String },
}

impl From<Place> for State {
    fn from(place: Place) -> Self {
        match place {
            Place::Waiting => Self::Queued,
            Place::Pending { consumer, held_ms, deliveries } => Self::InHand { worker: consumer, held_ms, deliveries },
            Place::Delayed { due_ms } => Self::Delayed { due_at: DateTime::from_timestamp_millis(due_ms) },
            Place::Dead { reason } => Self::DeadLetter { reason },
        }
    }
}

impl Fate {
    pub(super) fn new(project_id: ProjectId, received_at: DateTime<Utc>, state: State) -> Self {
        Self { project_id, project: String::new(), received_at, state, grouped_by: None }
    }

    pub(super) fn grouped_by(self, explanation: Option<Explanation>) -> Self {
        Self { grouped_by: explanation, ..self }
    }

    /// The fate in one sentence, and below it what a stored event is grouped by.
    pub(super) fn sentence(&self, event: EventId) -> String {
        let project = if self.project.is_empty() {
            format!("project {}", self.project_id)
        } else {
            format!("project {} ({})", self.project_id, self.project)
        };
        let received = format!("received {}", clock(self.received_at));
        let what = match &self.state {
            State::Stored { issue, url } => format!("is stored: issue {issue}, {url}"),
            State::Spooled => "lies in the spool until it is stored".to_owned(),
            State::Queued => "waits in the queue for a worker".to_owned(),
            State::InHand { worker, held_ms, deliveries } => {
                format!("is in the hands of {worker} for {} s, given out {deliveries} times", held_ms / 1000)
            }
            State::Delayed { due_at: Some(due) } => format!("is to be tried again at {}", clock(*due)),
            State::Delayed { due_at: None } => "is to be tried again".to_owned(),
            State::DeadLetter { reason } => format!("is among the dead letters: {reason}"),
            State::Filtered { category, reason } => {
                format!("was accepted and filtered: {reason} ({category}); the project's inbound filters say so")
            }
            State::Rejected { category, reason, detail } => {
                format!("was accepted and could not be stored: {category}, {reason}: {detail}")
            }
        };
        let grouping = self.grouped_by.as_ref().map(|why| format!("\n{why}")).unwrap_or_default();
        format!("event {event} of {project}, {received}, {what}{grouping}")
    }
}

/// The spool keeps what is stored for a moment longer: that is no fate of its own.
pub(super) fn drop_remains(fates: &mut Vec<Fate>) {
    let settled =
        |fate: &&Fate| matches!(fate.state, State::Stored { .. } | State::Rejected { .. } | State::Filtered { .. });
    let settled: Vec<ProjectId> = fates.iter().filter(settled).map(|fate| fate.project_id).collect();
    fates.retain(|fate| !matches!(fate.state, State::Spooled) || !settled.contains(&fate.project_id));
}

/// Gives the projects their names, as far as they are known.
pub(super) async fn name_projects(fates: &mut [Fate], instance: &Instance) {
    for fate in fates {
        if let Ok(Some(project)) = project::find(&instance.db, fate.project_id).await {
            fate.project = project.slug;
        }
    }
}

fn clock(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
