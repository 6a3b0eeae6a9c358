//! A.12 of the protocol, row by row: the largest of its kind is accepted, and one byte more is answered 413.

use serde_json::json;

use super::project::{Place, expect_fates};
use super::{ID, eventually, send};
use crate::support::TestApp;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A body of so many bytes.
type Body<'b> = &'b dyn Fn(usize) -> String;

/// JSON of so many bytes.
fn object(size: usize) -> String {
    format!("{{\"x\":\"{}\"}}", "x".repeat(size - 8))
}

fn item(kind: &str, size: usize) -> String {
    let payload = if matches!(kind, "log" | "span") { container(size) } else { object(size) };
    format!("{{}}\n{{\"type\":\"{kind}\",\"length\":{size}}}\n{payload}\n")
}

/// A container of so many bytes, its records a megabyte each.
fn container(size: usize) -> String {
    let mut text = String::from("{\"version\":2,\"items\":[");
    while text.len() + 2 * MIB < size {
        text = text + &object(MIB) + ",";
    }
    text.clone() + &object(size - text.len() - 2) + "]}"
}

#[tokio::test]
async fn the_largest_item_of_each_type_is_accepted_and_a_larger_one_is_413() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    // Packed, since a whole request is no larger than the largest file.
    let packed_headers = [("content-encoding", "zstd")];
    let packed = |kind: &str, size: usize| zstd::encode_all(item(kind, size).as_bytes(), 1).unwrap();
    for (kind, largest) in [
        ("event", MIB),
        ("security", MIB),
        ("raw_security", MIB),
        ("transaction", MIB),
        ("feedback", MIB),
        ("user_report", MIB),
        ("session", MIB),
        ("sessions", MIB),
        ("check_in", MIB),
        ("log", 12 * MIB),
        ("span", 12 * MIB),
        ("attachment", 20 * MIB),
    ] {
        let reply = send(&app, &path, &packed_headers, packed(kind, largest)).await;
        assert_eq!(reply.status, 200, "{kind} of {largest}: {}", reply.text());
        let reply = send(&app, &path, &packed_headers, packed(kind, largest + 1)).await;
        assert_eq!(reply.status, 413, "{kind} of {largest} and one: {}", reply.text());
    }
    // What nothing keeps is as large as a request may be.
    for kind in
        ["profile", "profile_chunk", "replay_event", "replay_recording", "replay_video", "trace_metric", "statsd"]
    {
        send(&app, &path, &[], item(kind, 10 * MIB)).await.expect(200);
    }
    // A dump that is too large is still a crash: its event is kept without it.
    send(&app, &path, &packed_headers, packed("unreal_report", 20 * MIB + 1)).await.expect(200);
    // A client report that is too large is nobody's, and SDKs are told nothing about it.
    send(&app, &path, &[], item("client_report", 100 * KIB + 1)).await.expect(200);
}

#[tokio::test]
async fn a_large_container_is_stored_record_by_record() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let record = |number: usize| {
        json!({ "timestamp": 1_790_000_000, "level": "info", "body": format!("line {number}"),
        "attributes": { "ballast": { "type": "string", "value": "x".repeat(2 * KIB) },
                            "ratio": { "type": "double", "value": 0.5 } } })
    };
    let logs: Vec<_> = (0..2_500).map(record).collect();
    // A bare number, as old clients for Python send it, costs no record.
    let payload = json!({ "version": 2, "items": logs }).to_string().replacen(":0.5", ":NaN", 1);
    assert!(payload.contains(":NaN"));
    assert!(payload.len() > 5 * MIB);
    let container = json!({ "type": "log", "length": payload.len(), "item_count": logs.len() });
    let session =
        "{\"type\":\"session\"}\n{\"sid\":\"7c7b6585-f901-4351-bf8d-02711b721929\",\"attrs\":{\"release\":\"a\"}}\n";
    let files = "{\"type\":\"attachment\",\"length\":1}\nx\n".repeat(31);
    // What is one too many of its kind does not keep the others out.
    send(&app, &path, &[], format!("{{}}\n{files}{container}\n{payload}\n{session}")).await.expect(200);
    let distinct = "select count(distinct body) as n, count(*) as all from log_record where body like 'line %'";
    eventually(&app, distinct, &json!([{ "n": 2_500, "all": 2_500 }])).await;
    crate::spool::settled_ledger(
        &app,
        &[
            ("accepted/attachment/", 31),
            ("accepted/log_item/", 3),
            ("accepted/session/", 1),
            ("filtered/attachment/too_large", 1),
            ("stored/attachment/", 30),
            ("stored/log_item/", 3),
            ("stored/session/", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_largest_request_of_each_endpoint_is_accepted_and_a_larger_one_is_413() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let path = |endpoint: &str| format!("/api/{project}/{endpoint}/?sentry_key={key}");
    let feedback = "/api/0/projects/default/default/user-feedback/".to_owned() + &format!("?sentry_key={key}");
    let report = |size: usize| {
        let head = format!("{{\"event_id\":\"{ID}\",\"comments\":\"");
        format!("{head}{}\"}}", "x".repeat(size - head.len() - 2))
    };
    let check_in = |size: usize| format!("{{\"status\":\"ok\",\"x\":\"{}\"}}", "x".repeat(size - 22));
    let padded = |size: usize, body: &str| format!("{body}{}", " ".repeat(size - body.len()));
    let dump = |size: usize| format!("MDMP{}", "x".repeat(size - 4));
    let rows: [(&str, String, &str, usize, u16, Body<'_>); 7] = [
        ("a stored event", path("store"), "application/json", MIB, 200, &object),
        ("a report of a browser", path("security"), "application/json", MIB, 200, &|size| padded(size, "[]")),
        ("reports on the network", path("nel"), "application/json", MIB, 200, &|size| padded(size, "[]")),
        ("a check-in", path("cron/a"), "application/json", 100 * KIB, 202, &check_in),
        ("user feedback", feedback, "application/json", 100 * KIB, 200, &report),
        ("a minidump", path("minidump"), "application/x-dmp", 20 * MIB, 200, &dump),
        ("an envelope", path("envelope"), "", 20 * MIB, 200, &|size| padded(size, "{}")),
    ];
    for (name, path, content_type, largest, status, body) in rows {
        let headers = [("content-type", content_type)];
        let reply = send(&app, &path, &headers, body(largest)).await;
        assert_eq!(reply.status, status, "{name} of {largest}: {}", reply.text());
        let reply = send(&app, &path, &headers, body(largest + 1)).await;
        assert_eq!(reply.status, 413, "{name} of {largest} and one: {}", reply.text());
        // The same after unpacking.
        let packed = zstd::encode_all(body(largest + 1).as_bytes(), 1).unwrap();
        let packed_headers = [("content-type", content_type), ("content-encoding", "zstd")];
        if largest <= MIB {
            send(&app, &path, &packed_headers, packed).await.expect(413);
        }
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_costs_only_what_goes_with_it_and_is_counted() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    let large = object(MIB + 1);
    let session = r#"{"sid":"7c7b6585-f901-4351-bf8d-02711b721929","init":true,"attrs":{"release":"a"}}"#;
    // Before the event and behind it.
    let beside = [("attachment", "x"), ("user_report", "{}"), ("profile", "{}"), ("form_data", "[]")]
        .map(|(kind, payload)| format!("{{\"type\":\"{kind}\"}}\n{payload}\n"))
        .concat();
    let independent = format!("{{\"type\":\"session\"}}\n{session}\n");
    let counted =
        "accepted/attachment 1, accepted/default 1, accepted/error 1, accepted/feedback 1, accepted/profile 1, ";
    let filtered = "filtered/attachment/too_large 1, filtered/default/too_large 1, filtered/error/too_large 1, \
                    filtered/feedback/too_large 1, filtered/profile/too_large 1";
    let with_session = format!("{counted}accepted/session 1, {filtered}, stored/session 1");
    let alone = format!("{counted}{filtered}");
    let event = |kind: &str| format!("{{\"type\":\"{kind}\"}}\n{large}\n");
    let report = "{\"type\":\"raw_security\"}\n{\"csp-report\":{\"effective-directive\":\"img-src\"}}\n";
    for (number, (name, endpoint, body, status, fates)) in [
        ("among others", "envelope", format!("{{}}\n{beside}{independent}{}", event("event")), 200, with_session),
        ("with what goes with it", "envelope", format!("{{}}\n{}{beside}", event("security")), 413, alone),
        (
            "alone",
            "envelope",
            format!("{{}}\n{}", event("event")),
            413,
            "accepted/error 1, filtered/error/too_large 1".to_owned(),
        ),
        (
            "a report beside another",
            "envelope",
            format!("{{}}\n{}{report}", event("raw_security")),
            200,
            "accepted/error 1, accepted/security 1, filtered/security/too_large 1, stored/error 1".to_owned(),
        ),
        ("stored", "store", large.clone(), 413, "accepted/error 1, filtered/error/too_large 1".to_owned()),
        (
            "a stored transaction",
            "store",
            large.replacen('{', "{\"type\":\"transaction\",", 1),
            413,
            "accepted/transaction 1, filtered/transaction/too_large 1".to_owned(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Place::new(&app, number).await;
        let reply = send(&app, &place.path(endpoint), &[], body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        expected.push((name, place.project, fates));
    }
    let expected: Vec<_> = expected.iter().map(|(name, project, fates)| (*name, *project, fates.as_str())).collect();
    expect_fates(&app, &expected).await;
}

#[tokio::test]
async fn of_many_small_ones_as_many_are_kept_as_there_may_be() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let files = "{\"type\":\"attachment\",\"length\":1}\nx\n".repeat(31);
    send(&app, &path, &[], format!("{{}}\n{files}")).await.expect(200);
    let events = "{\"type\":\"event\"}\n{}\n".repeat(3);
    send(&app, &path, &[], format!("{{}}\n{events}")).await.expect(200);
    let items = "{\"type\":\"profile\"}\n\n".repeat(10_001);
    send(&app, &path, &[], format!("{{}}\n{items}")).await.expect(200);
    app.drain().await;
    crate::spool::settled_ledger(
        &app,
        &[
            ("accepted/attachment/", 31),
            ("accepted/default/", 1),
            ("accepted/error/", 3),
            ("accepted/profile/", 10_000),
            ("filtered/attachment/too_large", 1),
            ("filtered/default/surplus", 1),
            ("filtered/error/surplus", 2),
            ("filtered/profile/not_kept", 10_000),
            ("stored/attachment/", 30),
            ("stored/error/", 1),
        ],
    )
    .await;
}
