//! Items beside events: what SDKs tell of sessions, jobs and users, from the request to its row.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::TestApp;

/// What an SDK sent, as it was sent, with this project's key and number.
fn captured(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/items").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    if file.contains(".http") { text.split_once("\n\n").unwrap().1.to_owned() } else { text }
}

/// The same envelope as if it had been sent now, for those whose header has no time: the others' clocks are put right.
fn fresh(envelope: &str) -> String {
    let (header, rest) = envelope.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(header).unwrap();
    // What the captures were sent at.
    let sent_at = header.get("sent_at").cloned().unwrap_or_else(|| "2026-11-20T14:55:00Z".into());
    header["sent_at"] = sent_at;
    format!("{header}\n{rest}")
}

async fn send(app: &TestApp, envelope: &str) -> Value {
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    app.client().post(&path, &[], envelope.to_owned()).await.expect(200).json()
}

async fn item(app: &TestApp, item_type: &str, payload: &Value) {
    let mut header = json!({ "type": item_type });
    header["length"] = payload.to_string().len().into();
    send(app, &format!("{{}}\n{header}\n{payload}\n")).await;
}

/// The rows of a query as JSON.
async fn rows(app: &TestApp, query: &str) -> Vec<Value> {
    let query = format!("select to_jsonb(q) from ({query}) q");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(app.database.pool()).await.unwrap()
}

/// What became of items: category, outcome, reason, how many.
async fn fates(app: &TestApp) -> Vec<String> {
    let fates = "select category || ' ' || outcome || ' ' || reason || ' ' || sum(quantity) as fate
         from outcome_hourly group by category, outcome, reason order by 1";
    rows(app, fates).await.iter().map(|row| row["fate"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the counts of what was sent are there too.
async fn settled(app: &TestApp, accepted: i64) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        app.drain().await;
        let rows =
            rows(app, "select coalesce(sum(quantity), 0) as n from outcome_hourly where outcome = 'accepted'").await;
        if rows[0]["n"] == json!(accepted) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "accepted so far: {rows:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_sdks_sent_is_stored() {
    let app = TestApp::start().await;
    for file in [
        "browser11-session.http",
        "node11-session.http",
        "node11-sessions-aggregate.http",
        "py-checkin-start.decoded",
        "py-checkin-end.decoded",
        "node11-checkin.http",
        "browser11-feedback.http",
        "py-user-report.decoded",
    ] {
        send(&app, &captured(file)).await;
    }
    settled(&app, 8).await;
    let fates = fates(&app).await;
    let stored: Vec<&String> = fates.iter().filter(|fate| fate.contains("stored")).collect();
    assert_eq!(stored, ["feedback stored  2", "monitor stored  3", "session stored  3"], "{fates:?}");
    let sessions =
        rows(&app, "select release, environment, status, errors from release_session order by release").await;
    assert_eq!(
        sessions,
        [
            json!({ "release": "demo@1.0.0", "environment": "staging", "status": 0, "errors": 1 }),
            json!({ "release": "web@1.0.0", "environment": "staging", "status": 0, "errors": 1 }),
        ]
    );
    let monitors = rows(
        &app,
        "select m.slug, c.environment, c.status, m.config -> 'schedule' ->> 'type' as schedule
         from check_in c join monitor m on m.id = c.monitor_id order by c.status desc",
    )
    .await;
    // Python and Node told of the same monitor; the last configuration counts.
    assert_eq!(
        monitors,
        [
            json!({ "slug": "nightly", "environment": "staging", "status": 1, "schedule": "interval" }),
            json!({ "slug": "nightly", "environment": "staging", "status": 0, "schedule": "interval" }),
        ]
    );
    let feedback = rows(&app, "select kind, id = event_id as own, message from user_feedback order by kind").await;
    assert_eq!(feedback[0], json!({ "kind": 0, "own": true, "message": "c" }));
    assert_eq!(feedback[1]["kind"], 1);
    assert!(rows(&app, "select 1 from issue").await.is_empty(), "feedback is no issue");
}

#[tokio::test]
async fn a_session_goes_on_whatever_the_order_of_its_updates() {
    let app = TestApp::start().await;
    let sid = "0123456789abcdef0123456789abcdef";
    let update = |status: &str, errors: u32, seq: u32, duration: f64| {
        json!({ "sid": sid, "did": "u1", "seq": seq, "status": status, "errors": errors, "duration": duration,
                "attrs": { "release": "a@1" } })
    };
    for payload in [update("crashed", 2, 3, 9.5), update("ok", 0, 1, 1.0), update("ok", 1, 2, 4.0)] {
        item(&app, "session", &payload).await;
        settled(&app, 1).await;
        sqlx::query("update outcome_hourly set quantity = 0 where outcome = 'accepted'")
            .execute(app.database.pool())
            .await
            .unwrap();
    }
    // The same in one batch.
    let other = "fedcba98765432100123456789abcdef";
    let updates = [update("ok", 1, 2, 4.0), update("crashed", 2, 3, 9.5), update("ok", 0, 1, 1.0)];
    let lines: String =
        updates.iter().map(|one| format!("{{\"type\":\"session\"}}\n{one}\n").replace(sid, other)).collect();
    send(&app, &format!("{{}}\n{lines}")).await;
    settled(&app, 3).await;
    let sessions = rows(&app, "select status, errors, sequence, duration_s from release_session").await;
    assert_eq!(sessions, vec![json!({ "status": 4, "errors": 2, "sequence": 3, "duration_s": 9.5 }); 2]);
}

#[tokio::test]
async fn a_run_is_opened_and_closed_once() {
    let app = TestApp::start().await;
    let check_in = |id: &str, status: &str, more: Value| {
        let mut payload = json!({ "monitor_slug": "Job", "status": status });
        if !id.is_empty() {
            payload["check_in_id"] = id.repeat(32).into();
        }
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    let config = json!({ "monitor_config": { "schedule": { "type": "crontab", "value": "@daily" } } });
    for payload in [
        check_in("1", "ok", json!({ "monitor_slug": "nobody's" })),
        check_in("2", "in_progress", config),
        check_in("2", "error", json!({ "duration": 2 })),
        check_in("2", "ok", json!({})),
        check_in("3", "in_progress", json!({})),
        check_in("", "ok", json!({ "monitor_config": { "schedule": "nonsense" } })),
        check_in("", "ok", json!({ "environment": "dev" })),
    ] {
        item(&app, "check_in", &payload).await;
    }
    settled(&app, 7).await;
    let runs = "select environment, status, closed_at is not null as over, duration_ms >= 0 as timed from check_in
         order by environment, opened_at";
    assert_eq!(
        rows(&app, runs).await,
        [
            json!({ "environment": "dev", "status": 1, "over": true, "timed": null }),
            json!({ "environment": "production", "status": 2, "over": true, "timed": true }),
            json!({ "environment": "production", "status": 1, "over": true, "timed": true }),
        ]
    );
    let fates = fates(&app).await;
    for fate in ["monitor filtered already_over 1", "monitor filtered unknown_monitor 1", "monitor stored  5"] {
        assert!(fates.iter().any(|known| known == fate), "{fates:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_run_may_be_received_before_its_beginning() {
    let app = TestApp::start().await;
    let check_in = |slug: &str, id: &str, status: &str| {
        let mut payload = json!({ "monitor_slug": slug, "status": status, "check_in_id": id.repeat(32) });
        if status == "in_progress" {
            // It alone brings the configuration, as in JavaScript.
            payload["monitor_config"] = json!({ "schedule": { "type": "crontab", "value": "@daily" } });
            payload["release"] = "a@1".into();
        } else {
            payload["duration"] = 0.5.into();
        }
        payload
    };
    let mut accepted = 0;
    for (id, status, stored, unknown) in [
        ("1", "ok", 0, 1),
        ("2", "error", 0, 2),
        ("1", "in_progress", 3, 0),
        ("3", "ok", 4, 0),
        ("3", "in_progress", 5, 0),
    ] {
        item(&app, "check_in", &check_in("job", id, status)).await;
        accepted += 1;
        settled(&app, accepted).await;
        let fates = fates(&app).await;
        for (fate, quantity) in [("monitor stored ", stored), ("monitor filtered unknown_monitor", unknown)] {
            let is_so = fates.iter().any(|known| *known == format!("{fate} {quantity}"));
            assert!(is_so || quantity == 0, "{fate} {quantity}: {fates:?}");
        }
    }
    // Both in one batch.
    let lines: String = ["ok", "in_progress"]
        .map(|status| format!("{{\"type\":\"check_in\"}}\n{}\n", check_in("other", "4", status)))
        .concat();
    send(&app, &format!("{{}}\n{lines}")).await;
    settled(&app, 7).await;
    let runs = "select m.slug, c.status, c.closed_at is not null as over, c.duration_ms, c.release
         from check_in c join monitor m on m.id = c.monitor_id order by m.slug, c.check_in_id";
    let run = |slug: &str, status: u8, release: Option<&str>| json!({ "slug": slug, "status": status, "over": true, "duration_ms": 500, "release": release });
    assert_eq!(
        rows(&app, runs).await,
        [run("job", 1, Some("a@1")), run("job", 2, None), run("job", 1, Some("a@1")), run("other", 1, Some("a@1"))]
    );
    let unkept = rows(&app, "select 1 from outcome_hourly where outcome = 'filtered' and quantity <> 0").await;
    assert!(unkept.is_empty());
    assert!(rows(&app, "select 1 from early_check_in").await.is_empty());
}

#[tokio::test]
async fn a_second_report_takes_the_place_of_the_first() {
    let app = TestApp::start().await;
    let event = "0123456789abcdef0123456789abcdef";
    for comments in ["first", "second"] {
        item(&app, "user_report", &json!({ "event_id": event, "comments": comments, "email": "a@example.com" })).await;
        app.drain().await;
    }
    settled(&app, 2).await;
    let reports = rows(&app, "select message, email from user_feedback").await;
    assert_eq!(reports, [json!({ "message": "second", "email": "a@example.com" })]);
}

#[tokio::test]
async fn what_is_of_no_use_is_counted_and_what_is_no_object_rejected() {
    let app = TestApp::start().await;
    item(&app, "session", &json!({ "sid": "0123456789abcdef0123456789abcdef" })).await;
    item(&app, "sessions", &json!({ "attrs": { "release": "a@1" } })).await;
    item(&app, "feedback", &json!({})).await;
    item(&app, "check_in", &json!("no object")).await;
    settled(&app, 4).await;
    let fates = fates(&app).await;
    assert_eq!(
        fates,
        [
            "feedback accepted  1",
            "feedback filtered no_message 1",
            "monitor accepted  1",
            "monitor rejected invalid 1",
            "session accepted  2",
            "session filtered no_release 1",
            "session filtered no_sessions 1",
        ]
    );
}

#[tokio::test]
async fn what_is_older_than_events_live_is_removed() {
    let app = TestApp::start().await;
    for statement in [
        "insert into release_session (project_id, sid, started_at, updated_at, release, status, errors, sequence)
         select p.id, gen_random_uuid(), now() - age * interval '1 day', now(), 'a@1', 0, 0, 0
         from project p, unnest(array[1, 1000]) as age",
        "insert into user_feedback (project_id, kind, id, message, occurred_at, received_at)
         select p.id, 1, gen_random_uuid(), 'm', now(), now() - age * interval '1 day'
         from project p, unnest(array[1, 1000]) as age",
    ] {
        sqlx::query(statement).execute(app.database.pool()).await.unwrap();
    }
    let removed = glitchbox::jobs::clean_up::remove_all(app.database.pool(), &app.app.config).await;
    for what in ["release_sessions", "user_feedback"] {
        let one = removed.iter().find(|one| one.what == what).unwrap();
        assert_eq!((one.removed, &one.error), (1, &None), "{what}");
    }
}

#[tokio::test]
async fn transactions_spans_and_logs_are_stored() {
    let app = TestApp::start().await;
    for file in [
        "node10-transaction.http",
        "rust-transaction.http",
        "py-spans-v2.decoded",
        "browser11-spans-v2.http",
        "node11-logs.http",
        "py-logs.decoded",
    ] {
        send(&app, &fresh(&captured(file))).await;
    }
    settled(&app, 6).await;
    let fates = fates(&app).await;
    for fate in ["span stored  2", "transaction stored  2", "log_item stored  2"] {
        assert!(fates.iter().any(|known| known == fate), "{fates:?}");
    }
    let segments = rows(&app, "select name, op, status from span where is_segment order by name").await;
    insta::assert_json_snapshot!(segments);
    let logs = rows(
        &app,
        "select severity, body, release, attributes ? 'sentry.release' as twice from log_record
         order by body",
    )
    .await;
    insta::assert_json_snapshot!(logs);
    // The same once more is the same.
    let spans = rows(&app, "select count(*) as n from span").await;
    send(&app, &fresh(&captured("py-spans-v2.decoded"))).await;
    settled(&app, 7).await;
    assert_eq!(rows(&app, "select count(*) as n from span").await, spans);
    // Nobody says more than its project: the address was the SDK's to give, or ours to infer.
    let ips = rows(&app, "select 1 from log_record where attributes ->> 'user.ip_address' = '{{auto}}'").await;
    assert!(ips.is_empty());
}

#[tokio::test]
async fn what_comes_of_a_fast_clock_is_stored_as_of_now() {
    let app = TestApp::start().await;
    let fast = chrono::Utc::now() + chrono::TimeDelta::minutes(10);
    let at = |seconds: i64| (fast - chrono::TimeDelta::seconds(seconds)).to_rfc3339();
    let ids = |id: &str| json!({ "trace_id": "0123456789abcdef0123456789abcdef", "span_id": id });
    let mut transaction = json!({ "transaction": "whole", "start_timestamp": at(9), "timestamp": at(5),
        "contexts": { "trace": ids("0123456789abcdef") }, "spans": [ids("00000000000000fd")] });
    transaction["spans"][0]["start_timestamp"] = at(8).into();
    transaction["spans"][0]["timestamp"] = at(7).into();
    transaction["spans"][0]["description"] = "part".into();
    // As browsers send a web vital by itself.
    let mut vital = ids("00000000000000fe");
    vital["start_timestamp"] = at(6).into();
    vital["timestamp"] = at(6).into();
    vital["description"] = "vital".into();
    vital["data"] = json!({ "release": "web@1", "environment": "dev" });
    let sent = json!({ "sent_at": at(0) });
    for header in [sent, json!({})] {
        for (item_type, payload) in [("transaction", &transaction), ("span", &vital)] {
            send(&app, &format!("{header}\n{{\"type\":\"{item_type}\"}}\n{payload}\n")).await;
        }
    }
    settled(&app, 4).await;
    let spans = rows(
        &app,
        "select name, started_at between now() - interval '1 minute' and now() as recent, release, environment
         from span order by name",
    )
    .await;
    let row = |name: &str, release: Option<&str>, environment: Option<&str>| json!({ "name": name, "recent": true, "release": release, "environment": environment });
    let vital = row("vital", Some("web@1"), Some("dev"));
    for wanted in [row("part", None, None), row("whole", None, None), vital] {
        assert!(spans.contains(&wanted), "{spans:?}");
    }
    assert!(spans.iter().all(|span| span["recent"] == true), "{spans:?}");
    let lost = rows(&app, "select 1 from outcome_hourly where outcome = 'filtered' and quantity <> 0").await;
    assert!(lost.is_empty());
}

#[tokio::test]
async fn files_are_stored_with_their_event() {
    let app = TestApp::start().await;
    for file in ["py-attachments.decoded", "node11-attachments.http"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures").join(file);
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(2).position(|window| window == b"\n\n").map_or(0, |end| end + 2);
        let body = if file.contains(".http") { bytes[end..].to_vec() } else { bytes };
        let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
        app.client().post(&path, &[], body).await.expect(200);
    }
    app.drain().await;
    let files = "select name, content_type, kind, size, octet_length(content) = size as whole,
             exists (select from event e where e.event_id = a.event_id) as has_event
         from attachment a order by name, size";
    insta::assert_json_snapshot!(rows(&app, files).await);
    let too_many: String = (0..31).map(|_| "{\"type\":\"attachment\",\"length\":1}\nx\n").collect();
    send(&app, &format!("{{}}\n{too_many}")).await;
    app.drain().await;
    assert_eq!(rows(&app, "select 1 from attachment where size = 1").await.len(), 30);
}

#[tokio::test]
async fn the_largest_file_comes_through_and_a_larger_one_is_refused() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let largest = 20 * 1024 * 1024;
    // No two parts of a file are alike.
    let content = |size: usize| (0..size).map(|at| u8::try_from(at >> 20).unwrap());
    let envelope = |sizes: &[usize]| {
        let mut body = b"{}\n".to_vec();
        for size in sizes {
            body.extend(format!("{{\"type\":\"attachment\",\"length\":{size}}}\n").into_bytes());
            body.extend(content(*size));
            body.push(b'\n');
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&body).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |sizes: &[usize]| app.client().post(&path, &[("content-encoding", "gzip")], envelope(sizes)).await;
    send(&[largest + 1]).await.expect(413);
    // What is too large costs no other: one file, and all together.
    send(&[largest, largest + 1, 7]).await.expect(200);
    send(&[largest, largest, largest]).await.expect(200);
    app.drain().await;
    let files = "select size, count(*) as n, sum(parts)::bigint as parts, bool_and(whole) as whole from (
            select size, count(*) as parts, sum(octet_length(content)) = size and max(part) = count(*) - 1 as whole
            from attachment group by size, coalesce(file_id, ingest_id)) f
         group by size order by size";
    let expected = [
        json!({ "size": 7, "n": 1, "parts": 1, "whole": true }),
        json!({ "size": largest, "n": 3, "parts": 15, "whole": true }),
    ];
    assert_eq!(rows(&app, files).await, expected);
    let stored: Vec<u8> = sqlx::query_scalar(
        "select string_agg(content, ''::bytea order by part) from attachment where size > 7 group by file_id limit 1",
    )
    .fetch_one(app.database.pool())
    .await
    .unwrap();
    assert!(stored.iter().copied().eq(content(largest)), "the parts make the file");
    // A file counts as one.
    let outcomes = "select outcome, reason, quantity from outcome_hourly where category = 'attachment' order by 1, 2";
    assert_eq!(
        rows(&app, outcomes).await,
        [
            json!({ "outcome": "accepted", "reason": "", "quantity": 7 }),
            json!({ "outcome": "filtered", "reason": "too_large", "quantity": 3 }),
            json!({ "outcome": "stored", "reason": "", "quantity": 4 }),
        ]
    );
}

#[tokio::test]
async fn nobody_sends_a_part_of_a_file() {
    let app = TestApp::start().await;
    send(&app, "{}\n{\"type\":\"attachment_part\"}\n{\"part\":1}\n").await;
    app.drain().await;
    assert!(rows(&app, "select 1 from attachment").await.is_empty());
}
