//! A.2, A.3 and A.4 of the protocol, row by row: every endpoint, every form of credentials, every status.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use url::form_urlencoded::byte_serialize;

use super::{ID, OTHER_KEY, envelope, send};
use crate::api::seed::{client_of, new_user};
use crate::support::TestApp;

/// What a form of credentials is called, its header (empty: the query), and its value for a key.
type Form<'f> = (&'static str, &'static str, &'f dyn Fn(&str) -> String);

const FORM: &str = "multipart/form-data; boundary=B";

/// One request that succeeds. `KEY`, `PROJECT` and `DSN` stand for what they say; a path has neither slash nor query.
struct Row {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static str,
    content_type: &'static str,
    body: String,
    status: u16,
    answer: &'static str,
}

fn row(name: &'static str, path: &'static str, content_type: &'static str, body: &str) -> Row {
    let query = "sentry_key=KEY";
    Row {
        name,
        method: "POST",
        path,
        query,
        content_type,
        body: body.to_owned(),
        status: 200,
        answer: "application/json",
    }
}

fn rows() -> Vec<Row> {
    let event = format!("{{\"event_id\":\"{ID}\"}}");
    let dump =
        "--B\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a\"\r\n\r\nMDMP\r\n--B--";
    let file = dump.replace("upload_file_minidump", "a");
    let csp = r#"{"csp-report":{"effective-directive":"img-src"}}"#;
    let report = format!("{{\"event_id\":\"{ID}\",\"comments\":\"c\"}}");
    let text = "text/plain; charset=utf-8";
    let image = format!("sentry_key=KEY&sentry_data=%7B%22event_id%22%3A%22{ID}%22%7D").leak();
    let dialog = format!("dsn=DSN&eventId={ID}").leak();
    let tunnelled = envelope("{\"dsn\":\"DSN\"}");
    vec![
        row("envelope", "/api/PROJECT/envelope", "", &envelope("{}")),
        row("envelope of Python", "/api/PROJECT/envelope", "application/x-sentry-envelope", &envelope("{}")),
        row("envelope of browsers", "/api/PROJECT/envelope", "text/plain;charset=UTF-8", &envelope("{}")),
        row("envelope by the label of a form", "/api/PROJECT/envelope", FORM, &envelope("{}")),
        row(
            "envelope by the label of a query",
            "/api/PROJECT/envelope",
            "application/x-www-form-urlencoded",
            &envelope("{}"),
        ),
        row("envelope without items", "/api/PROJECT/envelope", "", "{}"),
        row("store", "/api/PROJECT/store", "application/json", &event),
        row("store an envelope", "/api/PROJECT/store", "application/x-sentry-envelope", &envelope("{}")),
        row("store without a project", "/api/store", "application/octet-stream", &event),
        Row {
            method: "GET",
            query: image,
            answer: "image/gif",
            ..row("store in an image", "/api/PROJECT/store", "", "")
        },
        Row { answer: text, ..row("security", "/api/PROJECT/security", "application/csp-report", csp) },
        Row { answer: text, ..row("csp-report", "/api/PROJECT/csp-report", "application/reports+json", csp) },
        Row { answer: text, ..row("nel", "/api/PROJECT/nel", "application/reports+json", "[]") },
        Row { answer: text, ..row("minidump in a form", "/api/PROJECT/minidump", FORM, dump) },
        Row { answer: text, ..row("minidump", "/api/PROJECT/minidump", "application/x-dmp", "MDMP") },
        Row { answer: text, ..row("minidump of octets", "/api/PROJECT/minidump", "application/octet-stream", "MDMP") },
        Row { answer: text, query: "UserID=a", ..row("unreal", "/api/PROJECT/unreal/KEY", "", "archive") },
        Row {
            answer: text,
            status: 201,
            ..row("files", "/api/PROJECT/events/0123456789abcdef0123456789abcdef/attachments", FORM, &file)
        },
        Row {
            answer: text,
            status: 202,
            query: "status=ok",
            ..row("check-in by POST", "/api/PROJECT/cron/a/KEY", "", "")
        },
        Row {
            answer: text,
            status: 202,
            method: "GET",
            query: "status=ok",
            ..row("check-in by GET", "/api/PROJECT/cron/a/KEY", "", "")
        },
        Row {
            answer: text,
            status: 202,
            method: "GET",
            query: "sentry_key=KEY&status=ok",
            ..row("check-in, key in the query", "/api/PROJECT/cron/a", "", "")
        },
        Row {
            answer: text,
            status: 202,
            ..row("check-in as JSON", "/api/PROJECT/cron/a", "application/json", r#"{"status":"ok"}"#)
        },
        Row {
            answer: text,
            ..row("user feedback", "/api/0/projects/default/default/user-feedback", "application/json", &report)
        },
        Row {
            answer: "text/javascript; charset=utf-8",
            method: "GET",
            query: dialog,
            ..row("dialog", "/api/embed/error-page", "", "")
        },
        Row {
            answer: text,
            query: dialog,
            ..row("form of the dialog", "/api/embed/error-page", "application/x-www-form-urlencoded", "comments=c")
        },
        Row { query: "", ..row("tunnel", "/tunnel", "text/plain", &tunnelled) },
        Row { query: "", ..row("tunnel below api", "/api/tunnel", "text/plain", &tunnelled) },
    ]
}

#[tokio::test]
async fn every_endpoint_answers_with_and_without_slashes_and_to_no_other_method() {
    let app = TestApp::start().await;
    let (project, key, dsn) = (app.project.id.to_string(), &app.key.public_key, app.dsn());
    for Row { name, method, path, query, content_type, body, status, answer } in rows() {
        let known = |text: &str| text.replace("PROJECT", &project).replace("KEY", key).replace("DSN", &dsn);
        let (path, query, body) = (known(path), known(query), known(&body));
        let headers: Vec<_> =
            Some(("content-type", content_type)).filter(|(_, value)| !value.is_empty()).into_iter().collect();
        let doubled = path.replace("/api/", "//api//");
        for path in [format!("{path}?{query}"), format!("{path}/?{query}"), format!("{doubled}/?{query}")] {
            let reply = app.client().send(method, &path, &headers, Bytes::from(body.clone())).await;
            assert_eq!(reply.status, status, "{name}: {path}: {}", reply.text());
            assert_eq!(reply.header("content-type"), answer, "{name}");
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{name}");
            assert!(reply.header("access-control-expose-headers").contains("x-sentry-rate-limits"), "{name}");
            let preflight = app.client().send("OPTIONS", &path, &[], Bytes::new()).await.expect(204);
            assert_eq!(preflight.header("access-control-allow-methods"), "GET, POST, OPTIONS", "{name}");
            for other in ["PUT", "DELETE", "PATCH", "HEAD"] {
                let reply = app.client().send(other, &path, &[], Bytes::new()).await.expect(405);
                assert!(reply.header("allow").ends_with("POST, OPTIONS"), "{name}: {other}");
                assert_eq!(reply.header("access-control-allow-origin"), "*", "{name}: {other}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_served_is_404_in_a_way_a_browser_can_read() {
    let app = TestApp::start().await;
    for name in ["playstation", "upload", "otlp/v1/traces", "integration/otlp/v1/logs", "nothing", "", "events/x"] {
        let path = format!("/api/{}/{name}/?sentry_key={}", app.project.id, app.key.public_key);
        let reply = send(&app, &path.replace("//", "/x/"), &[], "{}").await.expect(404);
        assert_eq!(reply.json()["detail"], "no such endpoint", "{name}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{name}");
    }
}

#[tokio::test]
async fn every_form_of_credentials_is_good_at_every_endpoint() {
    let app = TestApp::start().await;
    let (project, key, dsn) = (app.project.id.to_string(), &app.key.public_key, app.dsn());
    let basic = |key: &str| format!("Basic {}", STANDARD.encode(format!("{key}:")));
    let sentry = |key: &str| format!("Sentry sentry_version=7, sentry_client=a/1, sentry_key={key}");
    let query = |key: &str| format!("sentry_version=7&sentry_key={key}&sentry_client=a%2F1");
    let forms: [Form<'_>; 4] = [
        ("form 1, X-Sentry-Auth", "x-sentry-auth", &sentry),
        ("form 2, Authorization: Sentry", "authorization", &sentry),
        ("form 3, Authorization: Basic", "authorization", &basic),
        ("form 4, the query", "", &query),
    ];
    for row in rows().into_iter().filter(|row| row.query == "sentry_key=KEY") {
        let path = row.path.replace("PROJECT", &project).replace("KEY", key);
        for (name, header, value) in &forms {
            for (key, status) in [(key.as_str(), row.status), (OTHER_KEY, 403)] {
                let mut headers = vec![("content-type", row.content_type)];
                let value = value(key);
                let query = if header.is_empty() { value.clone() } else { String::new() };
                headers.extend(Some((*header, value.as_str())).filter(|(name, _)| !name.is_empty()));
                let reply =
                    app.client().send(row.method, &format!("{path}/?{query}"), &headers, row.body.clone().into()).await;
                assert_eq!(reply.status, status, "{}: {name}: {}", row.name, reply.text());
            }
        }
        let nobody = app
            .client()
            .send(row.method, &format!("{path}/"), &[("content-type", row.content_type)], row.body.into())
            .await;
        assert_eq!(nobody.status, 401, "{}", row.name);
    }
    // Form 5, the path: see the rows of cron and unreal. Form 6, the envelope's header:
    for (dsn, status) in [(dsn.clone(), 200), (dsn.replace(key, OTHER_KEY), 403), ("nonsense".to_owned(), 401)] {
        let path = format!("/api/{project}/envelope/");
        send(&app, &path, &[], envelope(&format!("{{\"dsn\":\"{dsn}\"}}"))).await.expect(status);
        // What the request says counts, whatever the envelope says.
        send(&app, &format!("{path}?sentry_key={key}"), &[], envelope(&format!("{{\"dsn\":\"{dsn}\"}}")))
            .await
            .expect(200);
    }
    // Bearer, of a user's token, for feedback alone.
    let user = new_user(&app, "ann@example.org", true).await;
    let client = client_of(&app, user, &["project:write"]).await;
    let report = serde_json::json!({ "event_id": ID, "comments": "c" });
    client.post_json("/api/0/projects/default/default/user-feedback/", &report).await.expect(200);
    client.post(&format!("/api/{project}/envelope/"), &[], envelope("{}")).await.expect(401);
}

#[tokio::test]
async fn every_status_has_its_reason() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let envelopes = format!("/api/{project}/envelope/?sentry_key={key}");
    let store = format!("/api/{project}/store/?sentry_key={key}");
    let event = format!("{{\"event_id\":\"{ID}\",\"message\":\"m\"}}");
    let item = |kind: &str, payload: &str| format!("{{}}\n{{\"type\":\"{kind}\"}}\n{payload}\n");
    for (name, path, body, status) in [
        ("200, accepted", &store, event.clone(), 200),
        ("200, a duplicate", &store, event.clone(), 200),
        ("200, unknown items alone", &envelopes, item("from_the_future", "x"), 200),
        ("200, no items", &envelopes, "{}\n".to_owned(), 200),
        ("200, client-side-filtered data", &envelopes, item("client_report", "{}"), 200),
        ("200, a payload that fails later", &envelopes, item("event", "nonsense"), 200),
        ("400, an empty body", &envelopes, String::new(), 400),
        ("400, a bad envelope header", &envelopes, "{".to_owned(), 400),
        ("400, a bad id in the envelope header", &envelopes, envelope("{\"event_id\":\"x\"}"), 400),
        (
            "400, no newline after a sized payload",
            &envelopes,
            "{}\n{\"type\":\"event\",\"length\":2}\n{}x".to_owned(),
            400,
        ),
        (
            "400, the end within a sized payload",
            &envelopes,
            "{}\n{\"type\":\"event\",\"length\":9}\n{}".to_owned(),
            400,
        ),
        ("400, a stored body that is not JSON", &store, "<html>".to_owned(), 400),
        ("400, a bad id in a stored event", &store, "{\"event_id\":\"x\"}".to_owned(), 400),
        ("400, a key that is none", &envelopes.replace(key, "x"), envelope("{}"), 400),
        ("400, a project that is no number", &envelopes.replace(&format!("/{project}/"), "/x/"), envelope("{}"), 400),
        ("401, no credentials", &envelopes.replace("sentry_key", "x"), envelope("{}"), 401),
        ("403, an unknown key", &envelopes.replace(key, OTHER_KEY), envelope("{}"), 403),
        ("403, another project", &envelopes.replace(&format!("/{project}/"), "/999/"), envelope("{}"), 403),
        ("404, an unknown endpoint", &envelopes.replace("envelope", "x"), envelope("{}"), 404),
        ("413, an item over its limit", &envelopes, item("event", &"x".repeat(1024 * 1024 + 1)), 413),
        ("413, a body over its limit", &envelopes, " ".repeat(20 * 1024 * 1024 + 1), 413),
    ] {
        let reply = send(&app, path, &[], body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        if status != 200 {
            assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{name}");
        }
    }
    send(&app, &envelopes.replace("sentry_key", "x"), &[("x-sentry-auth", "Sentry x=y")], envelope("{}"))
        .await
        .expect(401);
    app.client().get(&envelopes).await.expect(405);
    let large = serde_json::json!({ "event_id": ID });
    send(&app, &store.replace("store", "security"), &[], large.to_string()).await.expect(415);
    send(&app, &envelopes, &[("content-encoding", "lzma")], envelope("{}")).await.expect(415);
    let allowance = Allowance { quantity: 1, window_s: 3600 * 24 };
    rate_limit::set(app.database.pool(), Target::Key(app.key.id), Covers::All, allowance).await.unwrap();
    let mut last = send(&app, &store, &[], event.clone()).await;
    for _ in 0..100 {
        if last.status == 429 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        last = send(&app, &store, &[], event.clone()).await;
    }
    let last = last.expect(429);
    assert!(!last.header("x-sentry-rate-limits").is_empty() && !last.header("retry-after").is_empty());
    let queried: String = byte_serialize(event.as_bytes()).collect();
    app.client().get(&format!("{store}&sentry_data={queried}")).await.expect(429);
}
