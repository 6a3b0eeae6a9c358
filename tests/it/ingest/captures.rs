//! Every request that we recorded of real clients, once more to us, with our own key and project in place of theirs: what it
//! is answered, and what becomes of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use glitchbox::store::organization;
use glitchbox::store::project::{self, NewProject};

use super::project::{Place, expect_fates};
use super::{send, stored, zlib};
use crate::api::seed::{ALL, client_of, new_user};
use crate::support::{Reply, TestApp};

/// The key in all captures.
const CAPTURED_KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

/// When the captures were made: for envelopes whose header has no time.
const CAPTURED_AT: &str = "2026-11-20T14:55:00Z";

/// The folders of what SDKs and browsers sent.
const FOLDERS: &[&str] = &["captures", "edge", "items", "security"];

const EVENT: &str = "accepted/error 1, stored/error 1";
const SESSION: &str = "accepted/session 1, stored/session 1";
const CHECK_IN: &str = "accepted/monitor 1, stored/monitor 1";
const NO_MONITOR: &str = "accepted/monitor 1, filtered/monitor/unknown_monitor 1";
const FEEDBACK: &str = "accepted/feedback 1, stored/feedback 1";
const LOGS: &str = "accepted/log_item 1, stored/log_item 1";
const SPANS: &str = "accepted/span 1, stored/span 1";
const TRANSACTION: &str = "accepted/transaction 1, stored/transaction 1";

/// A file, its status, and what becomes of what is in it.
const OUTCOMES: &[(&str, u16, &str)] = &[
    ("browser11-event-debugid.http", 200, EVENT),
    ("browser11-event.http", 200, EVENT),
    ("browser11-feedback.http", 200, FEEDBACK),
    ("browser11-log.http", 200, LOGS),
    ("browser11-replay-seg0.http", 200, "accepted/replay 2, filtered/replay/not_kept 2"),
    ("browser11-replay-seg1.http", 200, "accepted/replay 2, filtered/replay/not_kept 2"),
    ("browser11-session.http", 200, SESSION),
    ("browser11-spans-v2.http", 200, SPANS),
    ("browser11-tunnel-event.http", 200, EVENT),
    ("browser11-tunnel-session.http", 200, SESSION),
    ("browser11-unhandled.http", 200, EVENT),
    ("chromium-csp-img.http", 200, EVENT),
    ("chromium-csp-inline.http", 200, EVENT),
    ("cli3-monitor-end.http", 200, NO_MONITOR),
    ("cli3-monitor-start.http", 200, NO_MONITOR),
    ("cli3-monitor-upsert.http", 200, CHECK_IN),
    ("cli3-send-envelope.http", 200, EVENT),
    ("cli3-send-event.http", 200, EVENT),
    ("node10-exception.http", 200, EVENT),
    ("node10-message.http", 200, EVENT),
    ("node10-transaction.http", 200, TRANSACTION),
    ("node11-aggregateerror.http", 200, EVENT),
    ("node11-attachments.http", 200, "accepted/attachment 2, accepted/error 1, stored/attachment 2, stored/error 1"),
    ("node11-big-gzip.decoded", 200, EVENT),
    ("node11-checkin.http", 200, CHECK_IN),
    ("node11-client-report.http", 200, "discarded/span/no_parent_span 1"),
    ("node11-exception-chain.http", 200, EVENT),
    ("node11-feedback.http", 200, FEEDBACK),
    ("node11-http-event.http", 200, EVENT),
    ("node11-http-span.http", 200, SPANS),
    ("node11-logs.http", 200, LOGS),
    ("node11-message.http", 200, EVENT),
    ("node11-metrics.http", 200, "accepted/trace_metric 2, filtered/trace_metric/not_kept 2"),
    ("node11-session.http", 200, SESSION),
    ("node11-sessions-aggregate.http", 200, SESSION),
    ("node11-spans-v2.http", 200, SPANS),
    ("node7-exception.http", 200, EVENT),
    ("node7-transaction.http", 200, TRANSACTION),
    ("node8-exception.http", 200, EVENT),
    ("node8-transaction.http", 200, TRANSACTION),
    ("npm-sentry-monitor.http", 200, NO_MONITOR),
    ("py-attachments.decoded", 200, "accepted/attachment 2, accepted/error 1, stored/attachment 2, stored/error 1"),
    ("py-checkin-end.decoded", 200, CHECK_IN),
    ("py-checkin-start.decoded", 200, CHECK_IN),
    ("py-client-report-ratelimited.decoded", 200, "discarded/error/ratelimit_backoff 1"),
    ("py-client-report.decoded", 200, "discarded/error/event_processor 2, discarded/span/buffer_overflow 1"),
    ("py-django-event.decoded", 200, EVENT),
    ("py-exception-br.decoded", 200, EVENT),
    ("py-exception-group.decoded", 200, EVENT),
    ("py-flask-request-gzip.decoded", 200, EVENT),
    ("py-flask-transaction.decoded", 200, TRANSACTION),
    ("py-logging-event.decoded", 200, EVENT),
    ("py-logs.decoded", 200, LOGS),
    ("py-message.decoded", 200, EVENT),
    ("py-metrics.decoded", 200, "accepted/trace_metric 3, filtered/trace_metric/not_kept 3"),
    ("py-session.decoded", 200, SESSION),
    ("py-sessions-aggregate.decoded", 200, SESSION),
    ("py-spans-v2.decoded", 200, SPANS),
    ("py-user-report.decoded", 200, FEEDBACK),
    ("raven-node-store-b64zlib.http", 200, EVENT),
    ("raven-py-store-deflate-message.decoded", 200, EVENT),
    ("rust-error.http", 200, "accepted/error 1, accepted/session 1, stored/error 1, stored/session 1"),
    ("rust-transaction.http", 200, TRANSACTION),
];

/// What command lines asked of the API, as far as it is answered today. What is not here is 404: releases, deploys, uploads,
/// lists of monitors. The two changes of issues find none.
const API: &[(&str, u16)] = &[
    ("cli2-regions.http", 200),
    ("cli3-events-list.http", 200),
    ("cli3-info.http", 200),
    ("cli3-issues-list.http", 200),
    ("cli3-issues-mute.http", 204),
    ("cli3-issues-resolve.http", 204),
    ("cli3-orgs.http", 200),
    ("cli3-pagination-page2.http", 200),
    ("cli3-projects.http", 200),
    ("npm-sentry-auth.http", 200),
    ("npm-sentry-pagination.http", 200),
    ("npm-sentry-project-get.http", 200),
];

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// `bytes` with another key in the captured one's place; it is as long.
fn with_key(key: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    while let Some(at) = find(&bytes, CAPTURED_KEY.as_bytes()) {
        bytes[at..at + key.len()].copy_from_slice(key.as_bytes());
    }
    bytes
}

/// A request whose head was kept: its path, its headers but for those of its length, its body.
fn parse(request: &[u8]) -> (String, Vec<(&str, &str)>, &[u8], &str) {
    let (end, gap) = match (find(request, b"\n\n"), find(request, b"\r\n\r\n")) {
        (Some(one), Some(other)) if other < one => (other, 4),
        (Some(one), _) => (one, 2),
        (None, other) => (other.unwrap(), 4),
    };
    let head = std::str::from_utf8(&request[..end]).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap().to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| {
            !["content-length", "transfer-encoding", "host"].contains(&name.to_ascii_lowercase().as_str())
        })
        .collect();
    (path, headers, &request[end + gap..], method)
}

async fn replay(app: &TestApp, place: &Place, request: Vec<u8>) -> Reply {
    let request = with_key(&place.key, request);
    let (path, headers, body, _) = parse(&request);
    let (_, endpoint) = path.strip_prefix("/api/").unwrap().split_once('/').unwrap();
    let body = if endpoint.starts_with("envelope") { timed(body) } else { body.to_vec() };
    send(app, &format!("/api/{}/{endpoint}", place.project), &headers, body).await
}

/// An envelope whose header says when it was sent, so that its items are as old as they were.
fn timed(body: &[u8]) -> Vec<u8> {
    let end = find(body, b"\n").unwrap_or(body.len());
    let mut header: serde_json::Value = serde_json::from_slice(&body[..end]).unwrap();
    if header.get("sent_at").is_some() {
        return body.to_vec();
    }
    header["sent_at"] = CAPTURED_AT.into();
    [header.to_string().as_bytes(), &body[end..]].concat()
}

/// A body that was kept unpacked, packed as its client packs it.
async fn resend(app: &TestApp, place: &Place, is_raven: bool, body: Vec<u8>) -> Reply {
    let auth = format!("Sentry sentry_key={}, sentry_version=7, sentry_client=x/1", place.key);
    let body = with_key(&place.key, body);
    if is_raven {
        let path = format!("/api/{}/store/", place.project);
        let headers = [("x-sentry-auth", auth.as_str()), ("content-encoding", "deflate")];
        return send(app, &path, &headers, zlib(&body)).await;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&timed(&body)).unwrap();
    let path = format!("/api/{}/envelope/", place.project);
    let headers = [
        ("x-sentry-auth", auth.as_str()),
        ("content-type", "application/x-sentry-envelope"),
        ("content-encoding", "gzip"),
    ];
    send(app, &path, &headers, gzip.finish().unwrap()).await
}

async fn send_capture(app: &TestApp, place: &Place, file: &Path) -> Reply {
    let bytes = fs::read(file).unwrap();
    if file.extension().is_some_and(|extension| extension == "http") {
        replay(app, place, bytes).await
    } else {
        resend(app, place, name(file).starts_with("raven"), bytes).await
    }
}

#[tokio::test]
async fn every_captured_event_is_accepted_and_stored_under_the_id_that_is_told() {
    let app = TestApp::start().await;
    let own = Place { project: app.project.id, key: app.key.public_key.clone() };
    let mut told = Vec::new();
    for file in files("captures") {
        let reply = send_capture(&app, &own, &file).await;
        assert_eq!(reply.status, 200, "{}: {}", name(&file), reply.text());
        told.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let mut found: Vec<String> = stored(&app).await.iter().map(|stored| stored.event_id.to_string()).collect();
    told.sort();
    found.sort();
    assert_eq!(found, told);
}

#[tokio::test]
async fn every_captured_request_of_an_sdk_has_its_outcome() {
    let app = TestApp::start().await;
    let files: BTreeMap<String, PathBuf> =
        FOLDERS.iter().flat_map(|folder| files(folder)).map(|file| (name(&file).to_owned(), file)).collect();
    let stated: Vec<&str> = OUTCOMES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(files.keys().collect::<Vec<_>>(), stated, "every file has a row");
    let mut expected = Vec::new();
    for (number, (name, status, fates)) in OUTCOMES.iter().enumerate() {
        let place = Place::new(&app, number).await;
        let reply = send_capture(&app, &place, &files[*name]).await;
        assert_eq!(reply.status, *status, "{name}: {}", reply.text());
        expected.push((*name, place.project, *fates));
    }
    expect_fates(&app, &expected).await;
}

#[tokio::test]
async fn every_captured_request_of_a_command_line_has_its_answer() {
    let app = TestApp::start().await;
    let acme = organization::insert(&app.app.db, "acme", "Acme").await.unwrap();
    let new = NewProject { organization_id: acme.id, slug: "demo", name: "Demo", platform: "" };
    project::insert(&app.app.db, new).await.unwrap();
    let user = new_user(&app, "cli@example.org", true).await;
    let client = client_of(&app, user, ALL).await;
    let mut found = Vec::new();
    let files = files("api");
    for file in &files {
        let request = fs::read(file).unwrap();
        let (path, headers, body, method) = parse(&request);
        let headers: Vec<_> =
            headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization")).collect();
        let reply = client.send(method, &path, &headers, Bytes::copy_from_slice(body)).await;
        if reply.status >= 400 {
            assert!(reply.json()["detail"].is_string(), "{}", name(file));
        }
        if reply.status != 404 {
            found.push((name(file), reply.status));
        }
    }
    assert_eq!(found, API);
}
