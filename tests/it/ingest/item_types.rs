//! Section B of the protocol, row by row: every type of item, and what becomes of it.

use super::project::{Place, expect_fates};
use super::{rows, send, zlib};
use crate::support::TestApp;

/// An item: what the row is called, the rest of its header, its payload, and what becomes of it. `NOW` in a payload is the
/// time in seconds.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("event", "", r#"{"message":"m"}"#, "accepted/error 1, stored/error 1"),
    (
        "transaction",
        "",
        r#"{"type":"transaction","transaction":"/","start_timestamp":NOW,"timestamp":NOW,"contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"}}}"#,
        "accepted/transaction 1, stored/transaction 1",
    ),
    (
        "span",
        r#","item_count":1,"content_type":"application/vnd.sentry.items.span.v2+json""#,
        r#"{"version":2,"items":[{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","name":"GET /","status":"ok","is_segment":true,"start_timestamp":NOW,"end_timestamp":NOW}]}"#,
        "accepted/span 1, stored/span 1",
    ),
    (
        "span",
        "",
        r#"{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","description":"LCP","op":"ui.webvital.lcp","start_timestamp":NOW,"timestamp":NOW}"#,
        "accepted/span 1, stored/span 1",
    ),
    (
        "session",
        "",
        r#"{"sid":"0123456789abcdef0123456789abcdef","init":true,"status":"ok","attrs":{"release":"a@1"}}"#,
        "accepted/session 1, stored/session 1",
    ),
    (
        "sessions",
        "",
        r#"{"aggregates":[{"started":NOW,"exited":3}],"attrs":{"release":"a@1"}}"#,
        "accepted/session 1, stored/session 1",
    ),
    ("attachment", r#","filename":"a.log""#, "text", "accepted/attachment 1, stored/attachment 1"),
    (
        "client_report",
        "",
        r#"{"timestamp":NOW,"discarded_events":[{"reason":"queue_overflow","category":"error","quantity":3}]}"#,
        "discarded/error/queue_overflow 3",
    ),
    (
        "user_report",
        "",
        r#"{"event_id":"0123456789abcdef0123456789abcdef","comments":"c"}"#,
        "accepted/feedback 1, stored/feedback 1",
    ),
    (
        "feedback",
        "",
        r#"{"type":"feedback","contexts":{"feedback":{"message":"m"}}}"#,
        "accepted/feedback 1, stored/feedback 1",
    ),
    // What an item is called counts for all but events, whatever its payload calls itself.
    (
        "feedback",
        "",
        r#"{"type":"transaction","contexts":{"feedback":{"message":"m"}}}"#,
        "accepted/feedback 1, stored/feedback 1",
    ),
    (
        "event",
        "",
        r#"{"type":"feedback","contexts":{"feedback":{"message":"m"}}}"#,
        "accepted/feedback 1, stored/feedback 1",
    ),
    (
        "check_in",
        "",
        r#"{"monitor_slug":"a","status":"ok","monitor_config":{"schedule":{"type":"crontab","value":"@daily"}}}"#,
        "accepted/monitor 1, stored/monitor 1",
    ),
    ("check_in", "", r#"{"monitor_slug":"a","status":"ok"}"#, "accepted/monitor 1, filtered/monitor/unknown_monitor 1"),
    ("profile", "", r#"{"version":"1"}"#, "accepted/profile 1, filtered/profile/not_kept 1"),
    ("profile_chunk", "", r#"{"version":"2"}"#, "accepted/profile_chunk 1, filtered/profile_chunk/not_kept 1"),
    ("profile_chunk_ui", "", "{}", "accepted/profile_chunk_ui 1, filtered/profile_chunk_ui/not_kept 1"),
    ("replay_event", "", r#"{"type":"replay_event"}"#, "accepted/replay 1, filtered/replay/not_kept 1"),
    (
        "replay_recording",
        r#","length":20"#,
        "{\"segment_id\":0}\n\u{1}\u{2}\u{3}",
        "accepted/replay 1, filtered/replay/not_kept 1",
    ),
    ("replay_video", "", "x", "accepted/replay 1, filtered/replay/not_kept 1"),
    (
        "log",
        r#","item_count":2,"content_type":"application/vnd.sentry.items.log+json""#,
        r#"{"items":[{"timestamp":NOW,"level":"info","body":"b","trace_id":"0123456789abcdef0123456789abcdef"},{"timestamp":NOW,"level":"warn","body":"c"}]}"#,
        "accepted/log_item 1, stored/log_item 1",
    ),
    (
        "trace_metric",
        r#","item_count":5"#,
        r#"{"items":[]}"#,
        "accepted/trace_metric 5, filtered/trace_metric/not_kept 5",
    ),
    ("statsd", "", "a:1|c", "accepted/metric_bucket 1, filtered/metric_bucket/not_kept 1"),
    ("metric_buckets", "", "[]", "accepted/metric_bucket 1, filtered/metric_bucket/not_kept 1"),
    ("metric_meta", "", "{}", "accepted/metric_bucket 1, filtered/metric_bucket/not_kept 1"),
    (
        "raw_security",
        r#","sentry_release":"1""#,
        r#"{"csp-report":{"effective-directive":"img-src"}}"#,
        "accepted/error 1, stored/error 1",
    ),
    (
        "security",
        "",
        r#"{"type":"csp","csp":{"effective_directive":"img-src","blocked_uri":"self"}}"#,
        "accepted/error 1, stored/error 1",
    ),
    ("nel", "", "{}", "accepted/default 1, filtered/default/not_kept 1"),
    ("form_data", "", r#"[["a","b"]]"#, "accepted/default 1, filtered/default/not_kept 1"),
    ("unreal_report", "", "archive", "accepted/attachment 1, accepted/error 1, stored/attachment 1, stored/error 1"),
    ("otel_span", "", "{}", "accepted/span 1, filtered/span/not_kept 1"),
    ("otel_traces_data", "", "{}", "accepted/span 1, filtered/span/not_kept 1"),
    ("integration", "", "{}", "accepted/default 1, filtered/default/unknown_type 1"),
    ("from_the_future", "", "{}", "accepted/default 1, filtered/default/unknown_type 1"),
];

#[tokio::test]
async fn every_type_of_item_is_answered_200_and_kept_or_counted() {
    let app = TestApp::start().await;
    let now = chrono::Utc::now().timestamp().to_string();
    let mut expected = Vec::new();
    for (number, (name, header, payload, fates)) in ROWS.iter().enumerate() {
        let place = Place::new(&app, number).await;
        let envelope = format!("{{}}\n{{\"type\":\"{name}\"{header}}}\n{}\n", payload.replace("NOW", &now));
        let reply = send(&app, &place.path("envelope"), &[], envelope).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        expected.push((*name, place.project, *fates));
    }
    expect_fates(&app, &expected).await;
}

#[tokio::test]
async fn what_cannot_be_read_of_a_kept_type_is_rejected_and_the_rest_of_its_envelope_is_kept() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for (number, (name, category)) in [
        ("session", "session"),
        ("sessions", "session"),
        ("check_in", "monitor"),
        ("user_report", "feedback"),
        ("feedback", "feedback"),
        ("log", "log_item"),
        ("span", "span"),
        ("transaction", "transaction"),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Place::new(&app, number).await;
        let good = "{\"type\":\"attachment\"}\ntext\n";
        let envelope = format!("{{}}\n{{\"type\":\"{name}\"}}\nnonsense\n{good}");
        send(&app, &place.path("envelope"), &[], envelope).await.expect(200);
        let fates =
            format!("accepted/attachment 1, accepted/{category} 1, rejected/{category}/invalid 1, stored/attachment 1");
        expected.push((name, place.project, fates));
    }
    // In the order of the alphabet, whatever the category.
    let sorted = |fates: &str| {
        let mut fates: Vec<&str> = fates.split(", ").collect();
        fates.sort_unstable();
        fates.join(", ")
    };
    let expected: Vec<(&str, _, String)> =
        expected.iter().map(|(name, project, fates)| (*name, *project, sorted(fates))).collect();
    let expected: Vec<_> = expected.iter().map(|(name, project, fates)| (*name, *project, fates.as_str())).collect();
    expect_fates(&app, &expected).await;
}

#[tokio::test]
async fn what_is_lost_at_the_end_of_an_envelope_is_counted_as_one_item() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    let good = "{\"type\":\"replay_event\"}\n{}\n";
    let lost = "accepted/default 1, accepted/replay 1, filtered/replay/not_kept 1, rejected/default/malformed 1";
    for (number, (name, end, fates)) in [
        ("a header that is none", "nonsense\n{}\n{\"type\":\"event\"}\n{}\n", lost),
        ("a length beyond the end", "{\"type\":\"event\",\"length\":9}\n{}\n", lost),
        ("a length before it", "{\"type\":\"event\",\"length\":1}\n{}\n", lost),
        ("nothing", "\n\n", "accepted/replay 1, filtered/replay/not_kept 1"),
        (
            "a name that is not UTF-8",
            "{\"type\":\"attachment\",\"filename\":\"caf\\udce9.log\"}\nx\n",
            "accepted/attachment 1, accepted/replay 1, filtered/replay/not_kept 1, stored/attachment 1",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let place = Place::new(&app, number).await;
        send(&app, &place.path("envelope"), &[], format!("{{}}\n{good}{end}")).await.expect(200);
        expected.push((name, place.project, fates));
    }
    expect_fates(&app, &expected).await;
    let names = rows(&app, "select name from attachment").await;
    assert_eq!(names, [serde_json::json!({ "name": "caf\u{fffd}.log" })]);
}

#[tokio::test]
async fn a_recording_is_binary_and_its_request_has_no_type() {
    let app = TestApp::start().await;
    let place = Place::new(&app, 0).await;
    let recording = [b"{\"segment_id\":0}\n".as_slice(), &zlib(b"[]\n\n\n")].concat();
    let head = format!(
        "{{}}\n{{\"type\":\"replay_event\"}}\n{{}}\n{{\"type\":\"replay_recording\",\"length\":{}}}\n",
        recording.len()
    );
    send(&app, &place.path("envelope"), &[], [head.as_bytes(), &recording, b"\n"].concat()).await.expect(200);
    expect_fates(&app, &[("both", place.project, "accepted/replay 2, filtered/replay/not_kept 2")]).await;
}
