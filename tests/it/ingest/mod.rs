//! The ingest endpoints as SDKs meet them.

mod answers;
mod captures;
mod crash;
mod cron;
mod encodings;
mod endpoints;
mod files;
mod fuzz;
mod hostile;
mod item_types;
mod old_clients;
mod project;
mod security;
mod size_limits;
mod tunnel;
mod user_reports;

use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use glitchbox::store::event_lookup::{self, StoredEvent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Reply, TestApp};

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "ffffffffffffffffffffffffffffffff";

fn envelope(header: &str) -> String {
    format!("{header}\n{{\"type\":\"event\"}}\n{{\"message\":\"hello\"}}\n")
}

/// Everything that was sent, once it is stored; the latest first.
async fn stored(app: &TestApp) -> Vec<StoredEvent> {
    app.drain().await;
    event_lookup::list(&app.app.db, event_lookup::Scope::Project(app.project.id), None, 100).await.unwrap().items
}

/// The rows of a query as JSON.
async fn rows(app: &TestApp, query: &str) -> Vec<Value> {
    let query = format!("select to_jsonb(q) from ({query}) q");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(app.database.pool()).await.unwrap()
}

/// Waits until a query gives these rows.
async fn eventually(app: &TestApp, query: &str, wanted: &Value) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        app.drain().await;
        let found = Value::from(rows(app, query).await);
        if found == *wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found} in place of {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many items, events among them, are accepted, counted, and whatever is to be kept of them is stored.
async fn settled_items(app: &TestApp, accepted: i64) {
    let counts = "select coalesce(sum(quantity), 0)::bigint as n from outcome_hourly where outcome = 'accepted'";
    eventually(app, counts, &json!([{ "n": accepted }])).await;
}

async fn queued(app: &TestApp) -> usize {
    app.queued_events().await
}

async fn send(app: &TestApp, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    app.client().post(path, headers, body).await
}

#[tokio::test]
async fn every_form_of_credentials_opens_the_project() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let path = format!("/api/{project}/envelope/");
    let query = format!("{path}?sentry_version=7&sentry_key={key}&sentry_client=x");
    let sentry = format!("Sentry sentry_key={key}, sentry_version=7");
    let basic = format!("Basic {}", STANDARD.encode(format!("{key}:")));
    let tunnelled = format!("{{\"event_id\":\"{ID}\",\"dsn\":\"http://{key}@host/{project}\"}}");
    let plain = format!("{{\"event_id\":\"{ID}\"}}");
    let dashed = uuid::Uuid::parse_str(key).unwrap().hyphenated();
    let (dashed, flagged) = (format!("{path}?sentry_key={dashed}"), format!("{path}?glitchtip_key={key}%3Ano-cache"));
    for (path, headers, header) in [
        (&path, vec![("x-sentry-auth", sentry.as_str())], &plain),
        (&path, vec![("authorization", sentry.as_str())], &plain),
        (&path, vec![("authorization", basic.as_str())], &plain),
        (&query, vec![], &plain),
        (&path, vec![], &tunnelled),
        (&dashed, vec![], &plain),
        (&flagged, vec![], &plain),
    ] {
        let reply = send(&app, path, &headers, envelope(header)).await.expect(200);
        assert_eq!(reply.json(), serde_json::json!({ "id": ID }), "{path} {headers:?}");
    }
    assert_eq!(queued(&app).await, 7);
    let other = format!("Sentry sentry_key={OTHER_KEY}");
    send(&app, &query, &[("x-sentry-auth", &other)], envelope(&plain)).await.expect(401);
}

#[tokio::test]
async fn who_may_not_is_told_so_in_a_way_a_browser_can_read() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let body = envelope("{}");
    for (path, status) in [
        (format!("/api/{project}/envelope/"), 401),
        (format!("/api/{project}/envelope/?sentry_key={OTHER_KEY}"), 403),
        (format!("/api/{project}/envelope/?sentry_key=short"), 400),
        (format!("/api/999/envelope/?sentry_key={key}"), 403),
        (format!("/api/shop/envelope/?sentry_key={key}"), 400),
        (format!("/api/%ff/envelope/?sentry_key={key}"), 400),
        (format!("/api/{project}/nothing/?sentry_key={key}"), 404),
    ] {
        let reply = send(&app, &path, &[("origin", "https://shop.example")], body.clone()).await.expect(status);
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"], "{path}");
    }
    let path = format!("/api/{project}/envelope/?sentry_key={key}");
    let reply = app.client().get(&path).await.expect(405);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let reply = app.client().send("OPTIONS", &path, &[], Bytes::new()).await.expect(204);
    assert!(reply.header("access-control-allow-headers").contains("x-sentry-auth"));
    assert_eq!(queued(&app).await, 0);
}

#[tokio::test]
async fn a_disabled_key_is_refused() {
    let app = TestApp::start().await;
    sqlx::query("update project_key set is_active = false").execute(app.database.pool()).await.unwrap();
    app.send_event(&serde_json::json!({})).await.expect(403);
}

#[tokio::test]
async fn a_key_that_is_disabled_while_in_use_stops_within_seconds() {
    let app = TestApp::start().await;
    app.send_event(&serde_json::json!({})).await.expect(200);
    sqlx::query("update project_key set is_active = false").execute(app.database.pool()).await.unwrap();
    let disabled = Instant::now();
    while app.send_event(&serde_json::json!({})).await.status == 200 {
        assert!(disabled.elapsed() < Duration::from_secs(6), "the key still opens the project");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_stranger_is_refused_however_large_the_body() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={OTHER_KEY}", app.project.id);
    send(&app, &path, &[], vec![b' '; 21 * 1024 * 1024]).await.expect(403);
    send(&app, &path, &[("content-encoding", "gzip")], "no gzip").await.expect(403);
}

#[tokio::test]
async fn what_calls_itself_no_error_becomes_none() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    for kind in ["transaction", "feedback"] {
        let event = format!("{{\"event_id\":\"{ID}\",\"type\":\"{kind}\",\"message\":\"x\"}}");
        let path = format!("/api/{project}/store/?sentry_key={key}");
        assert_eq!(send(&app, &path, &[], event.clone()).await.expect(200).json()["id"], ID, "{kind}");
        let path = format!("/api/{project}/envelope/?sentry_key={key}");
        let body = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        assert_eq!(send(&app, &path, &[], body).await.expect(200).json()["id"], ID, "{kind}");
    }
    assert_eq!(queued(&app).await, 0);
    let path = format!("/api/{project}/envelope/?sentry_key={key}");
    let bare = format!("{{}}\n{{\"type\":\"event\"}}\n{{\"event_id\":\"{ID}\",\"type\":\"error\",\"extra\":[NaN]}}\n");
    assert_eq!(send(&app, &path, &[], bare).await.expect(200).json()["id"], ID);
    assert_eq!(queued(&app).await, 1);
}

#[tokio::test]
async fn what_calls_itself_anything_else_is_an_error() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let types =
        ["log", "session", "attachment", "client_report", "replay_event", "nel", "csp", "default", "made up", ""];
    for name in types {
        let event = format!("{{\"type\":\"{name}\",\"message\":\"{name} x\"}}");
        send(&app, &format!("/api/{project}/store/?sentry_key={key}"), &[], event.clone()).await.expect(200);
        let body = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        send(&app, &format!("/api/{project}/envelope/?sentry_key={key}"), &[], body).await.expect(200);
    }
    let mut titles: Vec<String> = stored(&app).await.into_iter().map(|stored| stored.event.title).collect();
    titles.sort();
    let mut expected: Vec<String> =
        types.iter().flat_map(|name| vec![format!("{name} x").trim().to_owned(); 2]).collect();
    expected.sort();
    assert_eq!(titles, expected);
    crate::spool::settled_ledger(&app, &[("accepted/error/", 20), ("stored/error/", 20)]).await;
}

#[tokio::test]
async fn paths_are_forgiving() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    for path in [format!("/api/{project}/envelope"), format!("//api//{project}/envelope/")] {
        send(&app, &format!("{path}?sentry_key={key}"), &[], envelope("{}")).await.expect(200);
    }
    for path in [format!("/api/{project}/store"), format!("/api/{project}/store/"), "/api/store/".to_owned()] {
        let body = format!("{{\"event_id\":\"{ID}\",\"message\":\"x\"}}");
        let reply = send(&app, &format!("{path}?sentry_key={key}"), &[], body).await.expect(200);
        assert_eq!(reply.json(), serde_json::json!({ "id": ID, "event_id": ID }));
    }
    assert_eq!(queued(&app).await, 5);
}

#[tokio::test]
async fn every_content_encoding_is_undone() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let plain = envelope(&format!("{{\"event_id\":\"{ID}\"}}")).into_bytes();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut brotli = Vec::new();
    brotli::BrotliCompress(&mut plain.as_slice(), &mut brotli, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    for (name, body) in [
        ("gzip", gzip.clone()),
        ("x-gzip", gzip),
        ("deflate", zlib(&plain)),
        ("br", brotli),
        ("zstd", zstd::encode_all(plain.as_slice(), 1).unwrap()),
        ("identity", plain.clone()),
    ] {
        let reply = send(&app, &path, &[("content-encoding", name)], body).await.expect(200);
        assert_eq!(reply.json()["id"], ID, "{name}");
    }
    send(&app, &path, &[("content-encoding", "gzip")], plain.clone()).await.expect(400);
    send(&app, &path, &[("content-encoding", "lzma")], plain).await.expect(415);
    let bomb = zstd::encode_all(vec![b' '; 101 * 1024 * 1024].as_slice(), 1).unwrap();
    send(&app, &path, &[("content-encoding", "zstd")], bomb).await.expect(413);
    assert_eq!(queued(&app).await, 6);
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST /api/{}/envelope/?sentry_key={} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        app.project.id, app.key.public_key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in envelope(&format!("{{\"event_id\":\"{ID}\"}}")).as_bytes().chunks(7) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
        stream.write_all(piece).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut reply = vec![0; 4096];
    let length = stream.read(&mut reply).await.unwrap();
    let reply = String::from_utf8_lossy(&reply[..length]).into_owned();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(ID), "{reply}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_413() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let event = |size: usize| format!("{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"{}\"}}\n", "x".repeat(size - 14));
    send(&app, &path, &[], event(1024 * 1024)).await.expect(200);
    send(&app, &path, &[], event(1024 * 1024 + 1)).await.expect(413);
    let reply = send(&app, &path, &[], vec![b' '; 21 * 1024 * 1024]).await.expect(413);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let store = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    send(&app, &store, &[], event(1024 * 1024 + 1).split_off(20)).await.expect(413);
}

#[tokio::test]
async fn max_upload_size_moves_the_limit_of_a_request() {
    let app = TestApp::start_with(&[("MAX_UPLOAD_SIZE", "2097152      # 2 MiB")]).await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let attachment = |size: usize| {
        format!("{{}}\n{{\"type\":\"event\"}}\n{{}}\n{{\"type\":\"attachment\"}}\n{}\n", "x".repeat(size))
    };
    send(&app, &path, &[], attachment(2_000_000)).await.expect(200);
    send(&app, &path, &[], attachment(2_097_152)).await.expect(413);
}

#[tokio::test]
async fn of_several_events_the_first_counts_and_unknown_items_do_no_harm() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let body = "{}\n{\"type\":\"from_the_future\"}\n{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\"}\n\
                {\"event_id\":\"0123456789ABCDEF0123456789ABCDEF\"}\n{\"type\":\"event\"}\n{\"message\":\"second\"}\n";
    assert_eq!(send(&app, &path, &[], body).await.expect(200).json()["id"], ID);
    assert_eq!(queued(&app).await, 1);
    let nothing_to_keep = send(&app, &path, &[], "{}\n{\"type\":\"session\"}\n{}\n").await.expect(200);
    assert_eq!(nothing_to_keep.text(), "{}");
    send(&app, &path, &[], format!("{{\"event_id\":\"{ID}\"}}")).await.expect(200);
    assert_eq!(queued(&app).await, 1);
    for malformed in ["", "{", "{\"event_id\":\"x\"}\n", "{}\n{\"type\":\"event\",\"length\":99}\n{}"] {
        send(&app, &path, &[], malformed).await.expect(400);
    }
}

#[tokio::test]
async fn the_wrappings_of_old_clients_are_taken_off() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/store/", app.project.id);
    let auth = format!("Sentry sentry_version=5, sentry_secret=x, sentry_key={}", app.key.public_key);
    let event = format!("{{\"event_id\":\"{ID}\",\"message\":\"x\"}}");
    let octets = ("content-type", "application/octet-stream");
    for (encoding, body) in [
        ("", STANDARD.encode(zlib(event.as_bytes())).into_bytes()),
        ("", STANDARD.encode(&event).into_bytes()),
        ("deflate", zlib(event.as_bytes())),
        ("", format!("{{\"event_id\":\"{ID}\",\"extra\":{{\"x\":NaN}}}}").into_bytes()),
    ] {
        let headers = [("x-sentry-auth", auth.as_str()), octets, ("content-encoding", encoding)];
        assert_eq!(send(&app, &path, &headers, body).await.expect(200).json()["id"], ID);
    }
    for body in ["", "[1]", "{\"event_id\":\"short\"}"] {
        send(&app, &path, &[("x-sentry-auth", &auth)], body).await.expect(400);
    }
    assert_eq!(queued(&app).await, 4);
}
