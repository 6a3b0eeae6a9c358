//! Issues keep their events when the grouping changes with a new version of the program.

use glitchbox::process::earlier_hashes;
use glitchbox::store::event_lookup;
use serde_json::json;

use crate::support::TestApp;

/// An error of `kind`, as an SDK sends it.
async fn report(app: &TestApp, kind: &str) {
    let event = json!({
        "platform": "python",
        "exception": { "values": [{ "type": kind, "value": "no money", "stacktrace": { "frames": [
            { "function": "pay", "module": "shop.checkout", "filename": "shop/checkout.py", "in_app": true },
        ] } }] },
    });
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    app.client().post_json(&path, &event).await.expect(200);
    app.drain().await;
}

async fn issues(app: &TestApp) -> Vec<(i64, i64, i64)> {
    let counts = "select i.id, i.event_count,
            (select count(*) from issue_hash h where h.project_id = i.project_id and h.issue_id = i.id)
        from issue i order by i.id";
    sqlx::query_as(counts).fetch_all(app.database.pool()).await.unwrap()
}

#[tokio::test]
async fn an_event_finds_its_issue_by_the_hash_of_an_earlier_version() {
    let app = TestApp::start().await;
    report(&app, "PaymentFailed").await;
    // As if the program had been of the version before until now.
    let (issue, _, _) = issues(&app).await[0];
    let issue = glitchbox::ids::IssueId(issue);
    let stored = event_lookup::latest(app.database.pool(), app.project.id, issue).await.unwrap().unwrap();
    let hash = earlier_hashes(&stored.event)[0];
    sqlx::query("update issue_hash set hash = $1, version = version - 1")
        .bind(hash.as_slice())
        .execute(app.database.pool())
        .await
        .unwrap();

    report(&app, "PaymentFailed").await;
    report(&app, "PaymentFailed").await;
    assert_eq!(issues(&app).await, [(issue.0, 3, 2)]);
    report(&app, "OutOfStock").await;
    let found = issues(&app).await;
    assert_eq!(found.iter().map(|(_, events, hashes)| (*events, *hashes)).collect::<Vec<_>>(), [(3, 2), (1, 1)]);
}
