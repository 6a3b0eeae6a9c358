//! What a project does not take in, and what is taken out of the rest: from the request to the row and the ledger.

mod each;
mod envelope;
mod look;
mod privacy;
mod settings;

use std::time::{Duration, Instant};

use glitchbox::ids::ProjectId;
use glitchbox::protocol::{Filter, FilterSettings, PrivacySettings};
use glitchbox::store::StoreError;
use glitchbox::store::project_rules;
use serde_json::Value;

use crate::support::{Reply, TestApp};

/// Sets a project's filters.
async fn set(app: &TestApp, project: ProjectId, change: impl FnOnce(&mut FilterSettings)) {
    let changed = project_rules::change(&app.app.db, project, |rules| {
        change(&mut rules.filters);
        Ok::<(), StoreError>(())
    });
    changed.await.unwrap();
}

/// Switches one filter on; one with a list gets these entries.
async fn switch_on(app: &TestApp, filter: Filter, entries: &[&str]) {
    set(app, app.project.id, |filters| {
        if filter.is_list() {
            filters.set_entries(filter, entries.iter().copied()).unwrap();
        } else {
            filters.switch(filter, true).unwrap();
        }
    })
    .await;
}

/// Sets what is taken out.
async fn protect(app: &TestApp, change: impl FnOnce(&mut PrivacySettings)) {
    let changed = project_rules::change(&app.app.db, app.project.id, |rules| {
        change(&mut rules.privacy);
        Ok::<(), StoreError>(())
    });
    changed.await.unwrap();
}

/// Sends an envelope of these items, as an SDK with this address; the header names the event.
async fn send(app: &TestApp, from: &str, event: &str, items: &[(&str, String)]) -> Reply {
    let item =
        |(kind, payload): &(&str, String)| format!("{{\"type\":\"{kind}\",\"length\":{}}}\n{payload}\n", payload.len());
    let lines = items.iter().map(item).collect::<Vec<_>>().concat();
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    // The test's own address is one of a proxy that is trusted.
    let headers = [("x-forwarded-for", from)];
    app.client().post(&path, &headers, format!("{{\"event_id\":\"{event}\"}}\n{lines}")).await
}

/// A new event's id.
fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// How many rows a query finds.
async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(app.database.pool()).await.unwrap()
}

/// The ledger of a project: `category outcome reason quantity`, without what is zero.
async fn ledger(app: &TestApp, project: ProjectId) -> Vec<String> {
    sqlx::query_scalar(
        "select category || ' ' || outcome || ' ' || reason || ' ' || sum(quantity) from outcome_hourly
         where project_id = $1 group by category, outcome, reason having sum(quantity) <> 0 order by 1",
    )
    .bind(project)
    .fetch_all(app.database.pool())
    .await
    .unwrap()
}

/// Waits until everything accepted is settled, and so many items are; the ledger then, without `accepted`.
async fn settled(app: &TestApp, items: i64) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        app.drain().await;
        let sums: (i64, i64) = sqlx::query_as(
            "select coalesce(sum(quantity) filter (where outcome = 'accepted'), 0)::bigint,
                 coalesce(sum(quantity) filter (where outcome in ('stored', 'filtered', 'rejected')), 0)::bigint
             from outcome_hourly where project_id = $1",
        )
        .bind(app.project.id)
        .fetch_one(app.database.pool())
        .await
        .unwrap();
        if sums == (items, items) {
            let all = ledger(app, app.project.id).await;
            return all.into_iter().filter(|line| !line.contains(" accepted ")).collect();
        }
        assert!(Instant::now() < deadline, "accepted and settled: {sums:?} of {items}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The only event that is stored, in full.
async fn only_event(app: &TestApp) -> Value {
    let (project, id): (ProjectId, uuid::Uuid) =
        sqlx::query_as("select project_id, event_id from event").fetch_one(app.database.pool()).await.unwrap();
    let found = glitchbox::store::event_lookup::by_id(&app.app.db, project, glitchbox::ids::EventId(id)).await;
    serde_json::to_value(found.unwrap().unwrap().event).unwrap()
}
