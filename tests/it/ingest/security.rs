//! What browsers report by themselves, from the bytes on the wire to the issue: A.9 of the protocol.

use std::path::Path;

use glitchbox::protocol::EventKind;
use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use serde_json::{Value, json};

use super::{send, stored};
use crate::spool::settled_ledger;
use crate::support::{Reply, TestApp};

fn path(app: &TestApp, endpoint: &str) -> String {
    format!(
        "/api/{}/{endpoint}?sentry_key={}&sentry_release=1.0&sentry_environment=prod",
        app.project.id, app.key.public_key
    )
}

async fn report(app: &TestApp, content_type: &str, body: &Value) -> Reply {
    send(app, &path(app, "security/"), &[("content-type", content_type)], body.to_string()).await
}

/// Sends what Chromium sent, to our own project.
async fn replay(app: &TestApp, file: &str) -> Reply {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/security");
    let request = std::fs::read_to_string(folder.join(file)).unwrap().replace("\r\n", "\n");
    let (head, body) = request.split_once("\n\n").unwrap();
    let headers: Vec<(&str, &str)> = head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
    let headers: Vec<_> = headers.into_iter().filter(|(name, _)| *name != "Content-Length").collect();
    send(app, &path(app, "security/"), &headers, body.trim_end().to_owned()).await
}

#[tokio::test]
async fn reports_of_chromium_become_csp_issues() {
    let app = TestApp::start().await;
    for file in ["chromium-csp-img.http", "chromium-csp-inline.http", "chromium-csp-img.http"] {
        let reply = replay(&app, file).await.expect(200);
        assert_eq!((reply.text().as_str(), reply.header("access-control-allow-origin")), ("", "*"));
    }
    let events = stored(&app).await;
    assert_eq!(events.len(), 3, "every report is an event of its own");
    let image = events.iter().find(|stored| stored.event.title == "Blocked 'image' from '127.0.0.1:9'").unwrap();
    assert_eq!(image.kind, EventKind::Csp);
    assert_eq!((image.release.as_deref(), image.environment.as_deref()), (Some("1.0"), Some("prod")));
    assert_eq!((image.event.logger.as_str(), image.event.culprit.as_str()), ("csp", "img-src"));
    let request = image.event.request.as_ref().unwrap();
    assert_eq!(request.url.as_deref(), Some("http://127.0.0.1:9923/uri"));
    assert!(request.header("User-Agent").unwrap().contains("HeadlessChrome/156"));
    assert_eq!(image.event.user.as_ref().unwrap().ip_address, Some([127, 0, 0, 1].into()));
    let tag = |name: &str| image.event.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(tag("effective-directive"), Some("img-src"));
    assert_eq!(tag("blocked-uri"), Some("http://127.0.0.1:9/evil.png"));
    assert_eq!(tag("blocked-host"), Some("127.0.0.1:9"));
    assert_eq!(image.event.metadata.directive.as_deref(), Some("img-src"));
    let stored = String::from_utf8(image.json.clone()).unwrap();
    assert!(!stored.contains("sentry_key"), "{stored}");
    let issues: Vec<(String, i16, i64)> = sqlx::query_as("select title, kind, event_count from issue order by title")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    let expected = [("Blocked 'image' from '127.0.0.1:9'", 2), ("Blocked unsafe inline 'script'", 1)];
    assert_eq!(issues, expected.map(|(title, count)| (title.to_owned(), 2, count)));
}

#[tokio::test]
async fn one_request_may_carry_several_reports_of_the_reporting_api() {
    let app = TestApp::start().await;
    let violation = |blocked: &str| {
        json!({"type": "csp-violation", "age": 10, "url": "https://shop.example/", "user_agent": "Mozilla/5.0", "body": {
            "blockedURL": blocked, "documentURL": "https://shop.example/cart", "effectiveDirective": "font-src",
            "statusCode": 200, "lineNumber": "7", "disposition": "enforce"}})
    };
    let several = json!([violation("https://a.example/f"), {"type": "deprecation", "body": {}}, violation("data"),
        {"type": "csp-violation", "body": {"effectiveDirective": "made-up"}}]);
    report(&app, "application/reports+json", &several).await.expect(200);
    report(&app, "application/reports+json; charset=utf-8", &violation("https://a.example/g")).await.expect(200);
    let mut titles: Vec<String> = stored(&app).await.into_iter().map(|stored| stored.event.title).collect();
    titles.sort();
    assert_eq!(
        titles,
        ["Blocked 'font' from 'a.example'", "Blocked 'font' from 'a.example'", "Blocked 'font' from 'data:'"]
    );
    settled_ledger(
        &app,
        &[
            ("accepted/error/", 3),
            ("accepted/security/", 2),
            ("filtered/security/not_kept", 1),
            ("rejected/security/invalid", 1),
            ("stored/error/", 3),
        ],
    )
    .await;
}

#[tokio::test]
async fn only_reports_are_taken_and_only_of_those_who_may() {
    let app = TestApp::start().await;
    let body = json!({"csp-report": {"effective-directive": "img-src", "blocked-uri": "http://x/"}});
    for content_type in [
        "application/csp-report",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/expect-ct-report",
        "application/expect-ct-report+json",
        "application/expect-staple-report",
        "application/reports+json",
    ] {
        report(&app, content_type, &body).await.expect(200);
    }
    for endpoint in ["security", "csp-report", "csp-report/"] {
        let headers = [("content-type", "application/csp-report")];
        send(&app, &path(&app, endpoint), &headers, body.to_string()).await.expect(200);
    }
    assert_eq!(app.queued_events().await, 10);
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let reply = report(&app, content_type, &body).await.expect(415);
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"]);
    }
    let json = [("content-type", "application/json")];
    let own = path(&app, "security/");
    for malformed in ["", " ", "{", "not json"] {
        send(&app, &own, &json, malformed).await.expect(400);
    }
    send(&app, &own, &json, vec![b' '; 1024 * 1024 + 1]).await.expect(413);
    send(&app, &format!("/api/{}/security/", app.project.id), &json, body.to_string()).await.expect(401);
    let stranger = format!("/api/{}/security/?sentry_key={}", app.project.id, super::OTHER_KEY);
    send(&app, &stranger, &json, body.to_string()).await.expect(403);
    app.client().get(&own).await.expect(405);
    assert_eq!(app.queued_events().await, 10);
}

#[tokio::test]
async fn reports_count_against_the_limits_on_errors() {
    let app = TestApp::start().await;
    let allowance = Allowance { quantity: 1, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Key(app.key.id), Covers::Error, allowance).await.unwrap();
    let body = json!({"csp-report": {"effective-directive": "img-src"}});
    report(&app, "application/csp-report", &body).await.expect(200);
    let reply = report(&app, "application/csp-report", &body).await.expect(429);
    assert!(reply.header("x-sentry-rate-limits").ends_with(":default;error;security:key:key_quota"));
    assert_eq!(app.queued_events().await, 1);
}

#[tokio::test]
async fn an_envelope_may_carry_raw_reports_and_csp_events() {
    let app = TestApp::start().await;
    let envelopes = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let report =
        json!({"csp-report": {"violated-directive": "style-src 'self'", "document-uri": "http://shop.example/x"}});
    let item =
        format!("{{\"type\":\"raw_security\",\"sentry_release\":\"2.0\",\"sentry_environment\":\"dev\"}}\n{report}\n");
    let reply = send(&app, &envelopes, &[], format!("{{}}\n{item}")).await.expect(200);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let event = json!({"type": "csp", "csp": {"effective_directive": "img-src", "blocked_uri": "blob"}});
    send(&app, &envelopes, &[], format!("{{}}\n{{\"type\":\"security\"}}\n{event}\n")).await.expect(200);
    let both =
        format!("{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}\n{item}{{\"type\":\"raw_security\"}}\nnonsense\n");
    send(&app, &envelopes, &[], both).await.expect(200);
    let events = stored(&app).await;
    assert_eq!(events.len(), 4);
    let raw = events.iter().find(|stored| stored.event_id.to_string() == id).unwrap();
    assert_eq!((raw.release.as_deref(), raw.environment.as_deref()), (Some("2.0"), Some("dev")));
    assert_eq!((raw.event.title.as_str(), raw.event.culprit.as_str()), ("Blocked inline 'style'", "style-src 'self'"));
    assert!(events.iter().any(|stored| stored.event.title == "Blocked 'image' from 'blob:'"));
    let large = format!("{{}}\n{{\"type\":\"raw_security\"}}\n\"{}\"\n", "x".repeat(1024 * 1024));
    send(&app, &envelopes, &[], large).await.expect(413);
}

#[tokio::test]
async fn a_request_makes_no_more_than_a_hundred_events() {
    let app = TestApp::start().await;
    let report_body = json!({"csp-report": {"effective-directive": "img-src"}});
    report(&app, "application/json", &Value::Array(vec![report_body.clone(); 103])).await.expect(200);
    let envelopes = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let item = format!("{{\"type\":\"raw_security\"}}\n{report_body}\n");
    send(&app, &envelopes, &[], format!("{{}}\n{}", item.repeat(103))).await.expect(200);
    app.drain().await;
    settled_ledger(
        &app,
        &[
            ("accepted/error/", 200),
            ("accepted/security/", 6),
            ("filtered/security/surplus", 6),
            ("stored/error/", 200),
        ],
    )
    .await;
}

#[tokio::test]
async fn reports_on_the_network_are_counted() {
    let app = TestApp::start().await;
    let nel = path(&app, "nel/");
    let body = json!([{"type": "network-error", "body": {}}, {"type": "network-error", "body": {}}]).to_string();
    send(&app, &nel, &[("content-type", "application/reports+json")], body.clone()).await.expect(200);
    send(&app, &nel, &[("content-type", "application/csp-report")], body).await.expect(415);
    send(&app, &nel, &[("content-type", "application/json")], "[").await.expect(400);
    app.drain().await;
    settled_ledger(&app, &[("accepted/default/", 2), ("filtered/default/not_kept", 2)]).await;
}
