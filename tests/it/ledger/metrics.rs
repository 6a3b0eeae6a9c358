//! `/metrics`: who may read it, and what stands in it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use glitchbox::store::canary_run::{self, CanaryRun};
use glitchbox::store::outcome::Outcome;

use super::count;
use crate::support::TestApp;

const TOKEN: [(&str, &str); 1] = [("METRICS_TOKEN", "let me in")];

/// Name and labels of every value.
async fn metrics(app: &TestApp) -> HashMap<String, String> {
    let reply = app.client().with_token("let me in").get("/metrics").await.expect(200);
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text();
    assert!(!text.contains(&app.key.public_key), "{text}");
    let mut names = std::collections::HashSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(names.insert(line.split(' ').next().unwrap().to_owned()), "{line} is there twice");
    }
    let values = text.lines().filter(|line| !line.starts_with('#'));
    values
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(names.contains(name.split('{').next().unwrap()), "{line} has no type");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn it_is_closed_until_a_setting_opens_it() {
    let app = TestApp::start().await;
    for path in ["/metrics", "/metrics/"] {
        app.client().with_token("let me in").get(path).await.expect(404);
    }
}

#[tokio::test]
async fn a_token_opens_it_under_any_host_name() {
    let app = TestApp::start_with(&TOKEN).await;
    let refused = app.client().get("/metrics").await.expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    app.client().with_token("let me out").get("/metrics").await.expect(401);
    let client = app.client().with_token("let me in");
    client.with_header("host", "glitchbox.monitoring:8000").get("/metrics/").await.expect(200);
    client.post("/metrics", &[], "").await.expect(405);
}

#[tokio::test]
async fn a_list_of_addresses_opens_it_to_who_is_on_it_with_everybody_on_the_way() {
    let app = TestApp::start_with(&[("METRICS_ALLOWED_IPS", "203.0.113.0/24,127.0.0.1")]).await;
    app.client().get("/metrics").await.expect(200);
    app.client().with_header("x-forwarded-for", "198.51.100.7").get("/metrics").await.expect(403);
    app.client().with_header("x-forwarded-for", "203.0.113.7").get("/metrics").await.expect(200);
    app.client().with_header("cf-connecting-ip", "203.0.113.7").get("/metrics").await.expect(403);
    // Whoever is on this machine counts as a proxy, and still cannot say that it is another.
    let app = TestApp::start_with(&[("METRICS_ALLOWED_IPS", "203.0.113.0/24")]).await;
    app.client().get("/metrics").await.expect(403);
    for name in ["x-forwarded-for", "cf-connecting-ip", "x-real-ip"] {
        app.client().with_header(name, "203.0.113.7").get("/metrics").await.expect(403);
    }
}

#[tokio::test]
async fn it_tells_of_the_edge_the_queues_the_ledger_and_the_process() {
    let app = TestApp::start_with(&TOKEN).await;
    let now = Utc::now();
    let (stored, id) = (("error", Outcome::Stored, ""), app.project.id);
    count(&app, id, now, ("error", Outcome::Accepted, ""), 9).await;
    count(&app, id, now, stored, 5).await;
    let sent_at = now - TimeDelta::seconds(30);
    let run = CanaryRun { id: uuid::Uuid::now_v7(), sent_at, stored_at: sent_at + TimeDelta::milliseconds(250) };
    canary_run::insert(&app.app.db, &[run]).await.unwrap();
    let first = metrics(&app).await;
    let series = |outcome: &str| {
        format!(
            "glitchbox_ledger_items_total{{project_id=\"{id}\",project=\"default\",category=\"error\",\
             outcome=\"{outcome}\",reason=\"\"}}"
        )
    };
    assert_eq!(first[&series("stored")], "0");
    assert_eq!(first[&format!("glitchbox_ledger_unsettled_items{{project_id=\"{id}\",project=\"default\"}}")], "4");
    assert_eq!(first["glitchbox_database_up"], "1");
    assert_eq!((&*first["glitchbox_ledger_up"], &*first["glitchbox_redis_up"]), ("1", "1"));
    assert_eq!(first["glitchbox_queue_length{queue=\"ingest\"}"], "0");
    assert_eq!(first["glitchbox_canary_latency_seconds"], "0.25");
    let number = |values: &HashMap<String, String>, name: &str| values[name].parse::<f64>().unwrap();
    assert!((30.0..90.0).contains(&number(&first, "glitchbox_canary_age_seconds")));
    assert!(number(&first, "process_resident_memory_bytes") > 1e6);
    assert!(first.contains_key("process_cpu_seconds_total"));

    count(&app, id, now, stored, 2).await;
    app.send_event(&serde_json::json!({ "message": "hello" })).await.expect(200);
    let second = metrics(&app).await;
    assert_eq!(second[&series("stored")], "2");
    for name in ["glitchbox_http_requests_total", "glitchbox_ingest_items_total{kind=\"event\"}"] {
        assert!(number(&second, name) > number(&first, name), "{name}");
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_in_time_is_no_database_that_is_away() {
    let app = TestApp::start_with(&TOKEN).await;
    let mut lock = app.database.pool().begin().await.unwrap();
    sqlx::query("lock table outcome_hourly in access exclusive mode").execute(&mut *lock).await.unwrap();
    let values = metrics(&app).await;
    assert_eq!((&*values["glitchbox_database_up"], &*values["glitchbox_ledger_up"]), ("1", "0"));
    assert!(!values.keys().any(|name| name.starts_with("glitchbox_ledger_items")));
    lock.rollback().await.unwrap();
    assert_eq!(metrics(&app).await["glitchbox_ledger_up"], "1");
}

#[tokio::test]
async fn what_needs_a_server_that_is_away_is_left_out() {
    let mut app = TestApp::start_with(&[TOKEN[0], ("METRICS_ALLOWED_IPS", "127.0.0.0/8")]).await;
    app.app.db.close().await;
    app.redis.stop();
    let begun = Instant::now();
    let values = metrics(&app).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((&*values["glitchbox_database_up"], &*values["glitchbox_redis_up"]), ("0", "0"));
    assert!(values.contains_key("glitchbox_http_requests_total"));
    assert_eq!(values["glitchbox_ledger_up"], "0");
    assert!(
        !values.keys().any(|name| name.starts_with("glitchbox_ledger_items") || name.starts_with("glitchbox_queue"))
    );
}
