//! Check-ins without an SDK: A.2 and G.2 of the protocol.

use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use serde_json::{Value, json};

use super::{OTHER_KEY, rows, send, settled_items};
use crate::support::TestApp;

const RUNS: &str = "select m.slug, c.environment, c.status, c.duration_ms, c.check_in_id
     from check_in c join monitor m on m.id = c.monitor_id order by m.slug, c.environment, c.opened_at";

/// Makes a monitor: a query cannot.
async fn configure(app: &TestApp, slug: &str) {
    let path = format!("/api/{}/cron/{slug}/{}/", app.project.id, app.key.public_key);
    let config = json!({ "schedule": { "type": "interval", "value": 1, "unit": "day" } });
    let body = json!({ "status": "ok", "environment": "made", "duration": 2, "monitor_config": config });
    let reply = send(app, &path, &[("content-type", "application/json")], body.to_string()).await.expect(202);
    assert_eq!((reply.text().as_str(), reply.header("access-control-allow-origin")), ("", "*"));
}

#[tokio::test]
async fn a_check_in_comes_by_get_or_post_as_a_query_or_as_json() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    configure(&app, "nightly").await;
    settled_items(&app, 1).await;
    let id = "0123456789abcdef0123456789abcdef";
    let auth = format!("Sentry sentry_key={key}");
    app.client()
        .get(&format!("/api/{project}/cron/nightly/{key}?status=in_progress&check_in_id={id}&environment=a"))
        .await
        .expect(202);
    app.client()
        .get(&format!("/api/{project}/cron/nightly/?sentry_key={key}&status=error&environment=b"))
        .await
        .expect(202);
    let by_header = format!("/api/{project}/cron/nightly?status=ok&duration=1.5&environment=c");
    send(&app, &by_header, &[("x-sentry-auth", &auth)], "").await.expect(202);
    let by_path = format!("/api/{project}/cron/nightly/{key}/");
    // curl calls a body a form.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = json!({ "status": "ok", "monitor_slug": "another", "check_in_id": id, "environment": "a" });
    send(&app, &by_path, &form, body.to_string()).await.expect(202);
    settled_items(&app, 5).await;
    let mut found = rows(&app, RUNS).await;
    let known: Vec<Value> = found.iter_mut().map(|row| row["check_in_id"].take()).collect();
    assert_eq!(known[0], json!("01234567-89ab-cdef-0123-456789abcdef"));
    // What is known of the first one's time is what passed between the two.
    found[0]["duration_ms"].take();
    let run = |environment: &str, status: u8, duration: Option<u32>| json!({ "slug": "nightly", "environment": environment, "status": status, "duration_ms": duration, "check_in_id": null });
    assert_eq!(found, [run("a", 1, None), run("b", 2, None), run("c", 1, Some(1500)), run("made", 1, Some(2000))]);
}

#[tokio::test]
async fn what_is_no_check_in_is_refused() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let json = [("content-type", "application/json")];
    let good = format!("/api/{project}/cron/a/{key}/");
    for (path, body, status) in [
        (good.clone(), "", 400),
        (good.clone(), "[]", 400),
        (good.clone(), "{", 400),
        (format!("/api/{project}/cron/a/"), "{}", 401),
        (format!("/api/{project}/cron/a/short/"), "{}", 400),
        (format!("/api/{project}/cron/a/{OTHER_KEY}/"), "{}", 403),
        (format!("/api/{project}/cron/a/{key}/?sentry_key={OTHER_KEY}"), "{}", 401),
        (format!("/api/999/cron/a/{key}/"), "{}", 403),
        (format!("/api/shop/cron/a/{key}/"), "{}", 400),
        (format!("/api/{project}/cron/{key}/a/b/"), "{}", 404),
    ] {
        let reply = send(&app, &path, &json, body).await.expect(status);
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{path}");
    }
    app.client().get(&good).await.expect(400);
    send(&app, &good, &json, vec![b' '; 100 * 1024 + 1]).await.expect(413);
    let reply = app.client().send("DELETE", &good, &[], bytes::Bytes::new()).await.expect(405);
    assert_eq!(reply.header("allow"), "GET, POST, OPTIONS");
}

#[tokio::test]
async fn a_job_is_never_answered_429() {
    let app = TestApp::start().await;
    let allowance = Allowance { quantity: 1, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Project(app.project.id), Covers::All, allowance).await.unwrap();
    for _ in 0..3 {
        configure(&app, "nightly").await;
    }
    settled_items(&app, 1).await;
    let limited =
        "select sum(quantity) as n from outcome_hourly where category = 'monitor' and outcome = 'rate_limited'";
    super::eventually(&app, limited, &json!([{ "n": 2 }])).await;
}
