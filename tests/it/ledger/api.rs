//! `stats_v2`: shapes, sums, permissions, and what is refused.

use std::time::{Duration, Instant};

use glitchbox::store::member::Role;
use glitchbox::store::organization;
use glitchbox::store::outcome::Outcome;
use serde_json::{Value, json};

use super::count;
use crate::api::seed::{ALL, client_of, join, member, new_project, new_user};
use crate::support::{Client, TestApp};

const STATS: &str = "/api/0/organizations/default/stats_v2/";

/// Four hours of two projects. The edge has counted each item once more.
async fn filled() -> (TestApp, i64) {
    let app = TestApp::start().await;
    let other = new_project(&app, app.organization.id, "other").await;
    let at = |hour: u32| format!("2026-03-01T0{hour}:30:00Z").parse().unwrap();
    for (project, hour, entry, quantity) in [
        (app.project.id, 0, ("error", Outcome::Accepted, ""), 12),
        (app.project.id, 0, ("error", Outcome::Stored, ""), 10),
        (app.project.id, 0, ("error", Outcome::Filtered, "duplicate"), 2),
        (app.project.id, 2, ("default", Outcome::Stored, ""), 1),
        (app.project.id, 2, ("error", Outcome::Rejected, "malformed"), 3),
        (app.project.id, 3, ("error", Outcome::RateLimited, "key_quota"), 4),
        (app.project.id, 3, ("session", Outcome::Accepted, ""), 50),
        (app.project.id, 3, ("session", Outcome::Filtered, "not_kept"), 50),
        (other, 1, ("error", Outcome::Stored, ""), 7),
        (other, 1, ("transaction", Outcome::Discarded, "sample_rate"), 90),
    ] {
        count(&app, project, at(hour), entry, quantity).await;
    }
    (app, other.0)
}

async fn stats(client: &Client, query: &str) -> Value {
    let range = "start=2026-03-01T00:00:00&end=2026-03-01T04:00:00&field=sum(quantity)";
    client.get(&format!("{STATS}?{range}&{query}")).await.expect(200).json()
}

/// The groups as `by: total`, in the order of the answer.
async fn totals(client: &Client, query: &str) -> Vec<(Value, i64)> {
    let answer = stats(client, query).await;
    let groups = answer["groups"].as_array().unwrap().clone();
    let total = |group: &Value| group["totals"]["sum(quantity)"].as_i64().unwrap();
    groups.iter().map(|group| (group["by"].clone(), total(group))).collect()
}

#[tokio::test]
async fn an_answer_has_sentrys_shape() {
    let (app, _) = filled().await;
    let client = member(&app).await;
    let answer = stats(&client, "category=error&groupBy=outcome&groupBy=category&field=sum(times_seen)").await;
    let group = |outcome: &str, series: [i64; 4]| {
        let total: i64 = series.iter().sum();
        json!({
            "by": { "outcome": outcome, "category": "error" },
            "totals": { "sum(quantity)": total, "sum(times_seen)": total },
            "series": { "sum(quantity)": series, "sum(times_seen)": series },
        })
    };
    let expected = json!({
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-03-01T04:00:00Z",
        "intervals": [
            "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z", "2026-03-01T03:00:00Z",
        ],
        "groups": [
            group("accepted", [10, 7, 1, 0]),
            group("filtered", [2, 0, 0, 0]),
            group("invalid", [0, 0, 3, 0]),
            group("rate_limited", [0, 0, 0, 4]),
        ],
    });
    assert_eq!(answer, expected);
    let days = stats(&client, "category=error&interval=1d").await;
    assert_eq!(days["intervals"], json!(["2026-03-01T00:00:00Z"]));
    assert_eq!(
        days["groups"],
        json!([{ "by": {}, "totals": { "sum(quantity)": 27 }, "series": { "sum(quantity)": [27] } }])
    );
}

#[tokio::test]
async fn sums_take_every_outcome_but_the_edges_own_count() {
    let (app, other) = filled().await;
    let client = member(&app).await;
    let first = app.project.id.0;
    let one = |by: Value, total: i64| vec![(by, total)];
    assert_eq!(totals(&client, "").await, one(json!({}), 167));
    assert_eq!(totals(&client, "outcome=accepted&category=error").await, one(json!({}), 18));
    assert_eq!(totals(&client, "outcome=received").await, one(json!({}), 62));
    assert_eq!(totals(&client, "outcome=abuse").await, one(json!({}), 0));
    assert_eq!(totals(&client, "reason=not_kept&reason=duplicate").await, one(json!({}), 52));
    assert_eq!(totals(&client, &format!("project={other}&category=error")).await, one(json!({}), 7));
    assert_eq!(totals(&client, "project=-1&category=session").await, one(json!({}), 50));
    assert_eq!(
        totals(&client, "groupBy=project&outcome=accepted").await,
        [(json!({ "project": first }), 11), (json!({ "project": other }), 7)]
    );
    assert_eq!(
        totals(&client, "groupBy=reason&category=error").await,
        [
            (json!({ "reason": "duplicate" }), 2),
            (json!({ "reason": "key_quota" }), 4),
            (json!({ "reason": "malformed" }), 3),
            (json!({ "reason": "none" }), 18),
        ]
    );
    for none in ["replay", "log_byte", "trace_metric_byte", "transaction_indexed", "user_report"] {
        assert_eq!(totals(&client, &format!("groupBy=outcome&category={none}")).await, []);
    }
}

#[tokio::test]
async fn a_period_ends_now() {
    let app = TestApp::start().await;
    let now = chrono::Utc::now();
    count(&app, app.project.id, now, ("error", Outcome::Stored, ""), 5).await;
    let client = member(&app).await;
    let answer = client.get(&format!("{STATS}?statsPeriod=24h&field=sum(quantity)")).await.expect(200).json();
    let series = answer["groups"][0]["series"]["sum(quantity)"].as_array().unwrap().clone();
    assert_eq!((series.len(), answer["intervals"].as_array().unwrap().len()), (24, 24));
    // The hour may have ended since it was counted.
    assert!(series.iter().rev().take(2).any(|count| *count == 5), "{series:?}");
}

#[tokio::test]
async fn what_was_received_is_what_became_of_it() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    for id in ["1", "2", "2"] {
        app.send_event(&json!({ "event_id": id.repeat(32), "message": "hello" })).await.expect(200);
    }
    let auth = format!("Sentry sentry_key={}", app.key.public_key);
    let session = "{}\n{\"type\":\"session\"}\n{\"sid\":\"1\"}\n";
    app.client().post("/api/1/envelope/", &[("x-sentry-auth", &auth)], session).await.expect(200);
    let path = format!("{STATS}?statsPeriod=24h&field=sum(quantity)&groupBy=outcome");
    let sums = async |query: &str| {
        let answer = client.get(&format!("{path}{query}")).await.expect(200).json();
        let groups = answer["groups"].as_array().unwrap().clone();
        groups.iter().map(|group| group["totals"]["sum(quantity)"].as_i64().unwrap()).sum::<i64>()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    // The counts of a piece of the spool follow its items.
    while sums("&outcome=received").await < 4 || sums("").await < 4 {
        assert!(Instant::now() < deadline, "{} of {}", sums("").await, sums("&outcome=received").await);
        app.drain().await;
    }
    assert_eq!((sums("&outcome=received").await, sums("").await, sums("&outcome=accepted").await), (4, 4, 2));
    assert_eq!(sums("&category=session&outcome=filtered").await, 1);
}

#[tokio::test]
async fn what_is_malformed_or_too_much_is_named() {
    let (app, _) = filled().await;
    let client = member(&app).await;
    let field = "field=sum(quantity)";
    for (query, named) in [
        ("statsPeriod=24h", "`field`"),
        ("statsPeriod=24h&field=count()", "`field`"),
        (field, "`statsPeriod`"),
        ("field=sum(quantity)&statsPeriod=soon", "`statsPeriod`"),
        ("field=sum(quantity)&statsPeriod=24h&interval=1m", "`interval`"),
        ("field=sum(quantity)&statsPeriod=24h&groupBy=colour", "`groupBy`"),
        ("field=sum(quantity)&statsPeriod=24h&category=colour", "`category`"),
        ("field=sum(quantity)&statsPeriod=24h&outcome=stored", "`outcome`"),
        ("field=sum(quantity)&start=2026-03-02&end=2026-03-01", "`start`"),
        ("field=sum(quantity)&statsPeriod=500d", "`interval`"),
        ("field=sum(quantity)&start=2026-01-01&end=2026-12-31&groupBy=project&groupBy=outcome", "`groupBy`"),
    ] {
        let reply = client.get(&format!("{STATS}?{query}")).await.expect(400);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{query}: {detail}");
    }
    client.get(&format!("{STATS}?{field}&statsPeriod=24h&project=999")).await.expect(404);
}

#[tokio::test]
async fn only_members_with_the_scope_read_it() {
    let (app, _) = filled().await;
    let path = format!("{STATS}?statsPeriod=24h&field=sum(quantity)");
    let insider = new_user(&app, "in@example.org", false).await;
    join(&app, app.organization.id, insider, Role::Member).await;
    let outsider = new_user(&app, "out@example.org", false).await;
    let elsewhere = organization::insert(&app.app.db, "other", "Other").await.unwrap();
    let hidden = new_project(&app, elsewhere.id, "hidden").await;
    join(&app, elsewhere.id, outsider, Role::Owner).await;
    app.client().get(&path).await.expect(401);
    client_of(&app, insider, &["event:read"]).await.get(&path).await.expect(403);
    client_of(&app, outsider, ALL).await.get(&path).await.expect(404);
    let reader = client_of(&app, insider, &["org:read"]).await;
    reader.get(&path).await.expect(200);
    // Slash or not, by number or slug; and a project of another organization does not exist.
    reader.get(&path.replace("stats_v2/", "stats_v2")).await.expect(200);
    reader.get(&path.replace("default", &app.organization.id.to_string())).await.expect(200);
    reader.get(&format!("{path}&project={hidden}")).await.expect(404);
}
