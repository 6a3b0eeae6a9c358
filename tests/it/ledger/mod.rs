//! What became of everything that was sent: through the API, on the page, in the metrics, on the command line.

mod api;
mod look;
mod metrics;
mod page;
mod why;

use chrono::{DateTime, Utc};
use glitchbox::ids::{EventId, ProjectId};
use glitchbox::store::outcome::{self, Outcome, OutcomeCount, hour_of};
use glitchbox::store::rejected_item::{self, RejectedItem};

use crate::support::TestApp;

/// Adds to the ledger, as the worker does.
async fn count(app: &TestApp, project: ProjectId, at: DateTime<Utc>, entry: (&str, Outcome, &str), quantity: i64) {
    let (category, outcome, reason) = entry;
    let count = OutcomeCount {
        project_id: project,
        hour: hour_of(at),
        category: category.to_owned().into(),
        outcome,
        reason: reason.to_owned().into(),
        quantity,
    };
    outcome::add(&app.app.db, &[count]).await.unwrap();
}

/// Rejects an item, as the worker does.
async fn reject(app: &TestApp, event: EventId, at: DateTime<Utc>, reason: &str, detail: &str) {
    let item = RejectedItem {
        ingest_id: uuid::Uuid::now_v7(),
        received_on: at.date_naive(),
        project_id: app.project.id,
        event_id: event,
        received_at: at,
        category: "error".to_owned(),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
    };
    assert!(rejected_item::reject(&app.app.db, &item).await.unwrap());
}
