use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::process::tests::stamp;
use crate::protocol::kept_item::{
    CheckIn, CheckInStatus, Feedback, FeedbackKind, MonitorConfig, Schedule, SessionCount, SessionStatus, SessionUpdate,
};
use crate::protocol::parse_envelope;

fn read_as(item_type: &str, payload: &Value) -> Result<KeptItem, Unkept> {
    let stamp = Stamp { item_type: item_type.to_owned(), ..stamp() };
    read(&stamp, &payload.to_string().into())
}

fn session(payload: &Value) -> SessionUpdate {
    let Ok(KeptItem::Session(update)) = read_as("session", payload) else { panic!("{payload}") };
    update
}

fn check_in(payload: &Value) -> CheckIn {
    let Ok(KeptItem::CheckIn(check_in)) = read_as("check_in", payload) else { panic!("{payload}") };
    check_in
}

/// What a real SDK sent, received as it was sent.
fn captured(file: &str) -> KeptItem {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/items").join(file);
    let bytes = Bytes::from(fs::read(path).unwrap());
    let end = bytes.windows(2).position(|window| window == b"\n\n").map_or(0, |end| end + 2);
    let body = if file.contains(".http") { bytes.slice(end..) } else { bytes };
    let envelope = parse_envelope(&body).unwrap();
    let item = envelope.items.into_iter().find(|item| crate::protocol::StampedItem::is_kept(&item.item_type)).unwrap();
    let mut stamp = Stamp { item_type: item.item_type, sent_at: envelope.header.sent_at, ..stamp() };
    stamp.received_at = stamp.sent_at.unwrap_or("2026-11-20T15:00:00Z".parse().unwrap());
    stamp.event_id = envelope.header.event_id.unwrap_or(stamp.event_id);
    read(&stamp, &item.payload).unwrap()
}

#[test]
fn items_of_real_sdks_are_read_as_before() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/items");
    let mut files: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    for file in files {
        insta::assert_debug_snapshot!(file.split('.').next().unwrap(), captured(&file));
    }
}

#[test]
fn a_session_needs_an_id_and_a_release() {
    let attrs = json!({ "release": "a@1" });
    for (payload, reason) in [
        (json!({ "sid": "0123456789abcdef0123456789abcdef" }), "no_release"),
        (json!({ "sid": "0123456789abcdef0123456789abcdef", "attrs": { "release": "latest" } }), "no_release"),
        (json!({ "attrs": attrs, "status": "ok" }), "no_session_id"),
        (json!({ "attrs": attrs, "status": "exited", "started": "2026-11-15T11:59:59Z" }), "too_old"),
        (json!({ "attrs": attrs, "status": "exited", "started": "2026-11-20T12:02:00Z" }), "in_the_future"),
    ] {
        assert_eq!(read_as("session", &payload), Err(Unkept::Filtered(reason)), "{payload}");
    }
    // Over before its first update.
    assert_eq!(session(&json!({ "attrs": attrs, "status": "exited" })).status, SessionStatus::Exited);
    assert!(matches!(read_as("session", &json!([])), Err(Unkept::Rejected(_))));
}

#[test]
fn states_of_sessions_are_read_kindly() {
    for (status, errors, wanted) in [
        (json!("ok"), json!(3), (SessionStatus::Ok, 3)),
        (json!("Crashed"), json!(null), (SessionStatus::Crashed, 1)),
        (json!("unhandled"), json!(0), (SessionStatus::Unhandled, 1)),
        (json!("errored"), json!("2"), (SessionStatus::Exited, 2)),
        (json!("abnormal"), json!(-1), (SessionStatus::Abnormal, 0)),
        (json!("from the future"), json!(99_999_999_999_u64), (SessionStatus::Exited, i32::MAX)),
        (json!(null), json!({}), (SessionStatus::Ok, 0)),
    ] {
        let sid = "01234567-89ab-cdef-0123-456789abcdef";
        let update = session(&json!({ "sid": sid, "status": status, "errors": errors, "attrs": { "release": 7 } }));
        assert_eq!((update.status, update.errors), wanted, "{status}");
        assert_eq!(update.release, "7");
    }
}

#[test]
fn updates_are_ordered_and_users_told_apart() {
    let update = |more: Value| {
        let mut payload = json!({ "sid": "0123456789abcdef0123456789abcdef", "attrs": { "release": "a@1" } });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        session(&payload)
    };
    assert_eq!(update(json!({ "init": true, "seq": 9 })).sequence, 0);
    assert_eq!(update(json!({ "seq": 9 })).sequence, 9);
    let at = "2026-11-20T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    assert_eq!(update(json!({})).sequence, at.timestamp_millis());
    let users = [json!("a@b.c"), json!(42), json!("42"), json!(null), json!("")];
    let [a, number, text, none, empty] = users.map(|did| update(json!({ "did": did })).user);
    assert!(a.is_some() && a != number && number == text && none.is_none() && empty.is_none());
    assert_ne!(user_hash(ProjectId(1), "a"), user_hash(ProjectId(2), "a"));
}

#[test]
fn numbers_of_sessions_are_limited_and_empty_ones_left_out() {
    let payload = json!({
        "attrs": { "release": "a@1", "environment": "prod" },
        "aggregates": [
            { "started": "2026-11-20T11:59:00Z", "exited": 5, "crashed": 0 },
            { "started": "2026-11-20T11:58:00Z", "exited": 0 },
            { "started": "2026-11-01T11:58:00Z", "exited": 1 },
            "no object",
            { "started": "2026-11-20T11:58:30Z", "did": "u", "errored": 5_000_000_000_u64 },
        ],
    });
    let Ok(KeptItem::SessionCounts(counts)) = read_as("sessions", &payload) else { panic!() };
    let [first, second] = counts.as_slice() else { panic!("{counts:?}") };
    let nothing = SessionCount { exited: 0, errored: 0, ..first.clone() };
    assert_eq!(*first, SessionCount { exited: 5, ..nothing.clone() });
    assert!(second.user.is_some() && second.errored <= 1_000_000_000, "{second:?}");
    let empty = json!({ "attrs": { "release": "a@1" }, "aggregates": {} });
    assert_eq!(read_as("sessions", &empty), Err(Unkept::Filtered("no_sessions")));
}

#[test]
fn a_check_in_needs_a_monitor_and_little_else() {
    assert_eq!(read_as("check_in", &json!({ "status": "ok" })), Err(Unkept::Filtered("no_monitor")));
    let least = check_in(&json!({ "monitor_slug": "Nightly Job", "check_in_id": "0".repeat(32) }));
    assert_eq!((least.slug.as_str(), least.id, least.status), ("nightly-job", None, CheckInStatus::Unknown));
    assert_eq!((least.environment.as_str(), least.duration_ms, least.config), ("production", None, None));
    let missed = check_in(&json!({ "monitor_slug": "a", "status": "missed", "duration": 1.5 }));
    assert_eq!((missed.status, missed.duration_ms), (CheckInStatus::Unknown, Some(1_500)));
}

#[test]
fn a_configuration_that_cannot_be_one_is_none() {
    let config =
        |config: Value| check_in(&json!({ "monitor_slug": "a", "status": "ok", "monitor_config": config })).config;
    let interval =
        config(json!({ "schedule": { "type": "interval", "value": "2", "unit": "hours" }, "max_runtime": null }));
    let wanted = MonitorConfig {
        schedule: Schedule::Interval { value: 2, unit: "hour" },
        checkin_margin: 1,
        max_runtime: 30,
        timezone: "UTC".to_owned(),
        failure_issue_threshold: 1,
        recovery_threshold: 1,
        owner: None,
    };
    assert_eq!(interval, Some(wanted));
    let crontab =
        config(json!({ "schedule": { "type": "crontab", "value": "0  3 * * *" }, "timezone": "Asia/Shanghai" }));
    assert_eq!(crontab.unwrap().schedule, Schedule::Crontab { value: "0 3 * * *".to_owned() });
    for faulty in [
        json!({}),
        json!({ "schedule": "0 3 * * *" }),
        json!({ "schedule": { "type": "crontab", "value": "every day" } }),
        json!({ "schedule": { "type": "interval", "value": 0, "unit": "day" } }),
        json!({ "schedule": { "type": "interval", "value": 1, "unit": "second" } }),
        json!({ "schedule": { "type": "crontab", "value": "@daily" }, "timezone": "<script>" }),
    ] {
        assert_eq!(config(faulty.clone()), None, "{faulty}");
    }
}

#[test]
fn what_users_write_needs_a_message() {
    let feedback = |payload: &Value| -> Feedback {
        let Ok(KeptItem::Feedback(feedback)) = read_as("feedback", payload) else { panic!("{payload}") };
        feedback
    };
    for (item_type, payload) in [
        ("user_report", json!({ "event_id": "0123456789abcdef0123456789abcdef", "comments": "  " })),
        ("feedback", json!({ "contexts": { "feedback": { "contact_email": "a@b.c" } } })),
        ("feedback", json!({ "contexts": [] })),
    ] {
        assert_eq!(read_as(item_type, &payload), Err(Unkept::Filtered("no_message")), "{payload}");
    }
    let one = feedback(&json!({
        "contexts": { "feedback": {
            "message": "x".repeat(5_000), "contact_email": "no address", "url": "javascript:alert(1)",
            "associated_event_id": "0123456789ABCDEF0123456789ABCDEF",
        } },
        "user": { "email": "kept@only.if.none", "name": "N" },
    }));
    assert_eq!((one.kind, one.message.chars().count()), (FeedbackKind::Feedback, 4_096));
    assert_eq!((one.email, one.url, one.name.as_deref()), (None, None, Some("N")));
    assert_eq!(one.event_id.unwrap().to_string(), "0123456789abcdef0123456789abcdef");
}

#[test]
fn secrets_are_taken_out_here_too() {
    let log = json!({ "items": [{
        "body": "login failed: password=hunter2hunter2", "attributes": {
            "db.password": { "type": "string", "value": "s3cr3t-value" }, "user.id": { "type": "string", "value": "7" } },
    }] });
    let Ok(KeptItem::Logs(records)) = read_as("log", &log) else { panic!() };
    let text = format!("{records:?}");
    assert!(!text.contains("hunter2") && !text.contains("s3cr3t-value"), "{text}");
    assert_eq!(records[0].attributes["user.id"], "7");
    let span = json!({
        "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef", "op": "http.client",
        "description": "GET https://u:p4ssw0rdp4ss@example.com/", "start_timestamp": "2026-11-20T11:59:59Z",
        "timestamp": "2026-11-20T12:00:00Z", "data": { "authorization": "Bearer abcdefghijklmnop" },
    });
    let Ok(KeptItem::Spans(spans)) = read_as("span", &span) else { panic!() };
    let text = format!("{spans:?}");
    assert!(!text.contains("p4ssw0rd") && !text.contains("abcdefghijklmnop"), "{text}");
    assert_eq!((spans[0].duration_ms, spans[0].span_id), (1_000.0, 0x0123_4567_89ab_cdef));
}

#[test]
fn an_end_may_be_rounded_to_before_its_beginning() {
    let span = |end: &str| {
        json!({
            "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef",
            "start_timestamp": 1_795_175_999.518_727_3, "timestamp": end,
        })
    };
    let Ok(KeptItem::Spans(spans)) = read_as("span", &span("2026-11-20T11:59:59.518727200Z")) else { panic!() };
    assert!(spans[0].duration_ms.abs() < 1e-9, "{}", spans[0].duration_ms);
    assert!(read_as("span", &span("2026-11-20T11:59:59.518717200Z")).is_err());
}

/// The spans of an item that a client sent at a time of its own.
fn spans_sent(
    item_type: &str,
    payload: &Value,
    sent_at: Option<DateTime<Utc>>,
) -> Vec<crate::protocol::kept_item::Span> {
    let stamp = Stamp { item_type: item_type.to_owned(), sent_at, ..stamp() };
    match read(&stamp, &payload.to_string().into()) {
        Ok(KeptItem::Spans(spans)) => spans,
        other => panic!("{other:?} of {payload}"),
    }
}

#[test]
fn a_clock_that_is_fast_costs_no_span() {
    let (received, second) = (stamp().received_at, chrono::TimeDelta::seconds(1));
    for fast in [2, 30, 54, 56, 60 * 24 * 365 * 70].map(chrono::TimeDelta::minutes) {
        let now = received + fast;
        let time = |seconds: i32| (now - second * seconds).to_rfc3339();
        let ids = json!({ "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef" });
        let mut inner = ids.clone();
        inner["span_id"] = "00000000000000ff".into();
        inner["start_timestamp"] = time(8).into();
        inner["timestamp"] = time(6).into();
        let transaction = json!({ "start_timestamp": time(10), "timestamp": time(5), "contexts": { "trace": ids },
            "spans": [inner] });
        let current = |id: &str, start: i32, end: i32| {
            json!({ "trace_id": ids["trace_id"], "span_id": id,
            "start_timestamp": time(start), "end_timestamp": time(end) })
        };
        let container = json!({ "items": [current("00000000000000ff", 8, 6), current("0123456789abcdef", 10, 5)] });
        for sent_at in [Some(now), None] {
            // Without the time of sending, the end is now.
            let began = if sent_at.is_some() { received - second * 10 } else { received - second * 5 };
            let spans = spans_sent("transaction", &transaction, sent_at);
            assert_eq!((spans[0].started_at, spans[1].started_at), (began, began + second * 2), "{fast} {sent_at:?}");
            let spans = spans_sent("span", &container, sent_at);
            assert_eq!((spans[1].started_at, spans[0].started_at), (began, began + second * 2), "{fast} {sent_at:?}");
            let spans = spans_sent("span", &inner, sent_at);
            assert_eq!(spans[0].started_at, if sent_at.is_some() { began + second * 2 } else { received - second * 2 });
        }
    }
    let log = json!({ "items": [{ "body": "a", "timestamp": "2026-11-20T12:05:00Z" }, { "body": "b", "timestamp": "2026-11-20T12:05:30Z" }] });
    let Ok(KeptItem::Logs(records)) = read_as("log", &log) else { panic!() };
    assert_eq!([records[0].logged_at, records[1].logged_at], [received - second * 30, received]);
    let sid = "0123456789abcdef0123456789abcdef";
    let update = session(&json!({ "sid": sid, "attrs": { "release": "a@1" }, "started": "2026-11-20T12:05:00Z",
        "timestamp": "2026-11-20T12:05:30Z" }));
    assert_eq!((update.started_at, update.updated_at), (received - second * 30, received));
}

#[test]
fn a_span_sent_by_itself_says_what_its_transaction_would() {
    let span = |data: Value| {
        json!({ "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef",
        "op": "ui.webvital.cls", "start_timestamp": 1_795_175_990.5, "timestamp": 1_795_175_990.5, "exclusive_time": 0,
        "segment_id": "0123456789abcdef", "is_segment": true, "data": data })
    };
    let one = |data: Value| spans_sent("span", &span(data), None).remove(0);
    // As `startStandaloneWebVitalSpan` of the browser's SDK fills it in.
    let sent = one(json!({ "release": "web@1.2.0", "environment": "staging", "transaction": "/shop/item",
        "user": "ann@example.com", "client.address": "{{auto}}", "replay_id": "r" }));
    assert_eq!((sent.release.as_deref(), sent.environment.as_deref()), (Some("web@1.2.0"), Some("staging")));
    let attributes = Value::Object(sent.attributes);
    assert_eq!(
        attributes,
        json!({ "sentry.segment.name": "/shop/item", "user.email": "ann@example.com", "replay_id": "r",
            "user.ip_address": "203.0.113.9" })
    );
    let sent = one(json!({ "release": "other", "sentry.release": "web@1.3.0", "user": "7" }));
    assert_eq!((sent.release.as_deref(), &sent.attributes["user.id"]), (Some("web@1.3.0"), &json!("7")));
    assert!(!sent.attributes.contains_key("user.ip_address"), "nobody asked for it");
}

#[test]
fn addresses_in_transactions_are_inferred_as_the_sdk_wants() {
    let (connection, remote, auto, own) =
        (Some("203.0.113.9"), Some("192.0.2.7"), Some("{{auto}}"), Some("198.51.100.3"));
    for (setting, platform, given, request, wanted) in [
        (Some("auto"), "javascript", None, None, connection),
        (Some("auto"), "python", auto, remote, remote),
        (Some("auto"), "python", own, remote, own),
        (Some("never"), "javascript", auto, remote, None),
        (Some("never"), "javascript", own, None, own),
        (Some("sometimes"), "javascript", auto, None, None),
        (None, "python", auto, remote, connection),
        (None, "python", None, remote, remote),
        (None, "python", None, None, None),
        (None, "javascript", None, None, connection),
    ] {
        let payload = json!({
            "contexts": { "trace": { "trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef" } },
            "start_timestamp": "2026-11-20T11:59:59Z", "timestamp": "2026-11-20T12:00:00Z", "platform": platform,
            "user": { "ip_address": given }, "sdk": { "settings": { "infer_ip": setting } },
            "request": { "env": { "REMOTE_ADDR": request } },
        });
        let spans = spans_sent("transaction", &payload, None);
        let found = spans[0].attributes.get("user.ip_address").and_then(Value::as_str);
        assert_eq!(found, wanted, "{payload}");
    }
}

#[test]
fn one_span_of_another_time_costs_no_other() {
    let span = |id: &str, year: &str| {
        json!({ "trace_id": "0123456789abcdef0123456789abcdef", "span_id": id,
        "start_timestamp": format!("{year}-11-20T12:09:00Z"), "end_timestamp": format!("{year}-11-20T12:10:00Z") })
    };
    let payload = json!({ "items": [span("00000000000000fe", "2026"), span("00000000000000ff", "9999")] });
    let began = stamp().received_at - chrono::TimeDelta::minutes(1);
    let spans = spans_sent("span", &payload, None);
    assert_eq!([spans[0].started_at, spans[1].started_at], [began; 2]);
    let old = json!({ "items": [span("00000000000000fe", "2025")] });
    assert_eq!(read_as("span", &old), Err(Unkept::Filtered("no_spans")));
}

#[test]
fn logs_belong_to_the_span_that_they_name_in_an_attribute() {
    let log = json!({ "items": [{
        "body": "b", "attributes": { "sentry.trace.parent_span_id": { "type": "string", "value": "00000000000000ff" } },
    }] });
    let Ok(KeptItem::Logs(records)) = read_as("log", &log) else { panic!() };
    assert_eq!((records[0].span_id, records[0].attributes.len()), (Some(255), 0));
}

proptest::proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused(
        item_type in proptest::sample::select(vec!["session", "sessions", "check_in", "user_report", "feedback"]),
        payload in proptest::prelude::any::<Vec<u8>>(),
        text in "\\PC*",
        number in proptest::prelude::any::<f64>(),
    ) {
        let stamp = Stamp { item_type: item_type.to_owned(), ..stamp() };
        let _any = read(&stamp, &payload.into());
        let odd = json!({
            "sid": text, "seq": number, "errors": number, "duration": number, "started": number, "status": text,
            "attrs": { "release": text, "environment": text }, "aggregates": [{ "started": number, "exited": number }],
            "monitor_slug": text, "check_in_id": text,
            "monitor_config": { "schedule": { "type": "crontab", "value": text }, "max_runtime": number },
            "event_id": text, "comments": text, "email": text, "contexts": { "feedback": { "message": text, "url": text } },
        });
        let _any = read(&stamp, &odd.to_string().into());
    }
}
