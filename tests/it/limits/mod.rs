//! Rate limits and quotas: off as shipped; what is over one is answered 429 in the way clients understand.

mod settings;

use std::time::{Duration, Instant};

use bytes::Bytes;
use glitchbox::store::project_key;
use glitchbox::store::rate_limit::{self, Allowance, Covers, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::{Reply, TestApp};

/// Long enough that no test sees its window end, as long as that is not near: see [`hour`].
const HOUR: i32 = 3600;

const EVENT: &str = "{}\n{\"type\":\"event\"}\n{\"message\":\"hello\"}\n";

async fn limit(app: &TestApp, target: Target, covers: Covers, quantity: i64, window_s: i32) {
    let allowance = Allowance { quantity, window_s };
    rate_limit::set(app.database.pool(), target, covers, allowance).await.unwrap();
}

async fn send(app: &TestApp, body: impl Into<Bytes>) -> Reply {
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    app.client().post(&path, &[], body).await
}

/// `X-Sentry-Rate-Limits` without the seconds, which must be those to the end of the hour, as `Retry-After` says.
fn limits_of(reply: &Reply) -> String {
    let header = reply.header("x-sentry-rate-limits");
    let limits: Vec<&str> = header.split(", ").collect();
    let mut longest = 0;
    let named: Vec<&str> = limits
        .iter()
        .map(|limit| {
            let (seconds, rest) = limit.split_once(':').unwrap_or_else(|| panic!("{header:?}"));
            let seconds: i64 = seconds.parse().unwrap();
            let left = i64::from(HOUR) - chrono::Utc::now().timestamp().rem_euclid(HOUR.into());
            assert!((0..=2).contains(&(seconds - left)), "{seconds} s are told, {left} are left");
            longest = longest.max(seconds);
            rest
        })
        .collect();
    if reply.status == 429 {
        assert_eq!(reply.header("retry-after"), longest.to_string());
    }
    named.join(", ")
}

/// Lets the hour pass if it is about to.
async fn hour() {
    let left = i64::from(HOUR) - chrono::Utc::now().timestamp().rem_euclid(HOUR.into());
    if left < 30 {
        sleep(Duration::from_secs(u64::try_from(left).unwrap() + 1)).await;
    }
}

#[tokio::test]
async fn nothing_is_limited_as_shipped() {
    let app = TestApp::start().await;
    for _ in 0..50 {
        let reply = send(&app, EVENT).await.expect(200);
        assert_eq!(reply.header("x-sentry-rate-limits"), "");
    }
    assert_eq!(app.redis.command("KEYS limit:*"), "*0", "nothing is counted either");
}

#[tokio::test]
async fn each_scope_has_its_own_limit_and_says_so() {
    hour().await;
    let app = TestApp::start().await;
    for (target, name) in [
        (Target::Key(app.key.id), "key:key_quota"),
        (Target::Project(app.project.id), "project:project_quota"),
        (Target::Organization(app.organization.id), "organization:org_quota"),
    ] {
        // A key of its own, whose limits are asked for with its first event.
        let key = project_key::insert(app.database.pool(), app.project.id, name).await.unwrap();
        let target = if matches!(target, Target::Key(_)) { Target::Key(key.id) } else { target };
        limit(&app, target, Covers::Error, 3, HOUR).await;
        let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, key.public_key);
        for _ in 0..3 {
            app.client().post(&path, &[], EVENT).await.expect(200);
        }
        let reply = app.client().post(&path, &[("origin", "https://shop.example")], EVENT).await.expect(429);
        assert_eq!(limits_of(&reply), format!("default;error;security:{name}"));
        assert_eq!(reply.json()["detail"], "the rate limit is exceeded");
        let exposed = reply.header("access-control-expose-headers");
        assert!(exposed.contains("x-sentry-rate-limits") && exposed.contains("retry-after"), "{exposed}");
        // So it is for the clients of old.
        let store = format!("/api/{}/store/?sentry_key={}", app.project.id, key.public_key);
        let reply = app.client().post(&store, &[], "{\"message\":\"x\"}").await.expect(429);
        assert_eq!(limits_of(&reply), format!("default;error;security:{name}"));
        rate_limit::clear(app.database.pool(), target, None).await.unwrap();
    }
    assert_eq!(app.queued_events().await, 9);
}

#[tokio::test]
async fn what_is_not_limited_of_an_envelope_is_accepted() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 1, HOUR).await;
    limit(&app, Target::Organization(app.organization.id), Covers::All, 4, HOUR).await;
    let session = "{\"type\":\"session\"}\n{}\n";
    let both = format!("{EVENT}{session}");
    let reply = send(&app, both.clone()).await.expect(200);
    assert_eq!(reply.header("x-sentry-rate-limits"), "");
    // The event is over its limit, the session is not.
    let reply = send(&app, both.clone()).await.expect(200);
    assert_eq!(limits_of(&reply), "default;error;security:key:key_quota");
    assert_eq!(reply.header("retry-after"), "", "clients without categories may go on");
    send(&app, format!("{{}}\n{session}")).await.expect(200);
    // Now everything is.
    let reply = send(&app, both).await.expect(429);
    let limits = limits_of(&reply);
    assert!(limits.contains(":organization:org_quota"), "{limits}");
    let reply = send(&app, format!("{{}}\n{session}")).await.expect(429);
    assert_eq!(limits_of(&reply), ":organization:org_quota");
    // What an SDK says of itself always gets through.
    let report = "{\"discarded_events\":[{\"reason\":\"ratelimit_backoff\",\"category\":\"error\",\"quantity\":7}]}";
    send(&app, format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}\n")).await.expect(200);
    let mixed = format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}\n{session}");
    let reply = send(&app, mixed).await.expect(200);
    assert_eq!(limits_of(&reply), ":organization:org_quota");
    app.drain().await;
    counts(&app, "discarded", &[("error", "ratelimit_backoff", 14)]).await;
    let limited = [("error", "key_quota", 1), ("error", "org_quota", 1), ("session", "org_quota", 3)];
    counts(&app, "rate_limited", &limited).await;
}

/// Waits until the ledger has these of an outcome: category, reason and quantity. Counts follow what they count.
async fn counts(app: &TestApp, outcome: &str, expected: &[(&str, &str, i64)]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found: Vec<(String, String, i64)> = sqlx::query_as(
            "select category, reason, sum(quantity)::bigint from outcome_hourly
             where outcome = $1 group by 1, 2 order by 1, 2",
        )
        .bind(outcome)
        .fetch_all(app.database.pool())
        .await
        .unwrap();
        if found.iter().map(|(category, reason, count)| (&**category, &**reason, *count)).eq(expected.iter().copied()) {
            return;
        }
        assert!(Instant::now() < deadline, "{outcome}: {found:?} in place of {expected:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_limited_is_counted_and_not_kept() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Project(app.project.id), Covers::Error, 2, HOUR).await;
    for expected in [200, 200, 429, 429, 429] {
        send(&app, EVENT).await.expect(expected);
    }
    app.drain().await;
    let stored: i64 = sqlx::query_scalar("select count(*) from event").fetch_one(app.database.pool()).await.unwrap();
    assert_eq!(stored, 2);
    counts(&app, "accepted", &[("error", "", 2)]).await;
    counts(&app, "rate_limited", &[("error", "project_quota", 3)]).await;
}

#[tokio::test]
async fn what_goes_with_an_event_shares_its_fate() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 1, HOUR).await;
    let with_attachment = format!("{{}}\n{{\"type\":\"attachment\"}}\nfile\n{}", EVENT.split_once('\n').unwrap().1);
    send(&app, with_attachment.clone()).await.expect(200);
    let reply = send(&app, with_attachment).await.expect(429);
    assert_eq!(limits_of(&reply), "default;error;security:key:key_quota");
    app.drain().await;
    counts(&app, "rate_limited", &[("attachment", "key_quota", 1), ("error", "key_quota", 1)]).await;
    counts(&app, "accepted", &[("attachment", "", 1), ("error", "", 1)]).await;
    // An attachment by itself is no event.
    send(&app, "{}\n{\"type\":\"attachment\"}\nfile\n").await.expect(200);
}

#[tokio::test]
async fn a_window_passes_and_a_limit_that_is_changed_takes_effect() {
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 1, 2).await;
    // At the beginning of a window.
    while chrono::Utc::now().timestamp_millis().rem_euclid(2000) > 500 {
        sleep(Duration::from_millis(20)).await;
    }
    send(&app, EVENT).await.expect(200);
    let reply = send(&app, EVENT).await.expect(429);
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    sleep(Duration::from_secs(seconds)).await;
    send(&app, EVENT).await.expect(200);
    // Switched off while in use.
    rate_limit::clear(app.database.pool(), Target::Key(app.key.id), None).await.unwrap();
    let switched_off = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 10 {
        assert!(switched_off.elapsed() < Duration::from_secs(6), "the limit still holds");
        in_a_row = if send(&app, EVENT).await.status == 200 { in_a_row + 1 } else { 0 };
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_large_body_of_a_key_with_nothing_left_is_refused() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::All, 1, HOUR).await;
    send(&app, EVENT).await.expect(200);
    let reply = send(&app, vec![b' '; 5 * 1024 * 1024]).await.expect(429);
    assert_eq!(limits_of(&reply), ":key:key_quota");
    app.drain().await;
    counts(&app, "rate_limited", &[("error", "key_quota", 1)]).await;
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_read_before_it_is_refused() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::All, 1, HOUR).await;
    send(&app, EVENT).await.expect(200);
    let report = "{\"discarded_events\":[{\"reason\":\"before_send\",\"category\":\"error\",\"quantity\":5}]}";
    let report = format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}\n");
    for (body, answer) in [(report.as_str(), "HTTP/1.1 200"), (EVENT, "HTTP/1.1 429")] {
        let reply = send_in_chunks(&app, body).await;
        assert!(reply.starts_with(answer), "{reply}");
    }
    app.drain().await;
    counts(&app, "discarded", &[("error", "before_send", 5)]).await;
    counts(&app, "rate_limited", &[("error", "key_quota", 1)]).await;
}

async fn send_in_chunks(app: &TestApp, body: &str) -> String {
    let (project, key) = (app.project.id, &app.key.public_key);
    let head = format!(
        "POST /api/{project}/envelope/?sentry_key={key} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let (start, end) = body.split_at(9);
    let pieces = [start, end, ""].map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(format!("{head}{}", pieces.concat()).as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn what_a_stored_event_calls_itself_decides_what_it_is_limited_as() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 1, HOUR).await;
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    let store = async |body: String| app.client().post(&path, &[], body).await;
    let large = |start: &str| format!("{start}\"x\":\"{}\"}}", "x".repeat(100_000));
    store("{}".to_owned()).await.expect(200);
    store("{}".to_owned()).await.expect(429);
    store("{\"type\":\"transaction\"}".to_owned()).await.expect(200);
    // Not read at all.
    store(large("{\"type\":\"transaction\",")).await.expect(429);
    app.drain().await;
    counts(&app, "rate_limited", &[("error", "key_quota", 2)]).await;
    counts(&app, "accepted", &[("error", "", 1), ("transaction", "", 1)]).await;
}

#[tokio::test]
async fn one_container_uses_up_what_is_left_and_no_more_is_refused_for_it() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::All, 10, HOUR).await;
    let logs = "{}\n{\"type\":\"log\",\"item_count\":100}\n{}\n";
    send(&app, EVENT).await.expect(200);
    send(&app, logs).await.expect(200);
    send(&app, logs).await.expect(429);
    app.drain().await;
    // What is kept counts by the entry, which a container is one of.
    counts(&app, "accepted", &[("error", "", 1), ("log_item", "", 1)]).await;
    counts(&app, "rate_limited", &[("log_item", "key_quota", 100)]).await;
}

#[tokio::test]
async fn processes_share_a_limit_and_a_new_one_goes_on_counting() {
    hour().await;
    let app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 10, HOUR).await;
    for _ in 0..6 {
        send(&app, EVENT).await.expect(200);
    }
    let folder = tempfile::tempdir().unwrap();
    let second = crate::ingest_keys::Web::start(&app, &app.database.url(), folder.path());
    let key = &app.key.public_key;
    second.send(key).await.expect(200);
    sleep(Duration::from_millis(600)).await;
    // Seven are used up, whoever let them through.
    for _ in 0..3 {
        second.send(key).await.expect(200);
    }
    second.send(key).await.expect(429);
    sleep(Duration::from_millis(600)).await;
    assert_eq!(send(&app, EVENT).await.expect(429).header("x-sentry-rate-limits").matches("key_quota").count(), 1);
    drop(second);
    let third = crate::ingest_keys::Web::start(&app, &app.database.url(), folder.path());
    let mut let_through = 0;
    let deadline = Instant::now() + Duration::from_secs(5);
    while third.send(key).await.status == 200 {
        let_through += 1;
        assert!(Instant::now() < deadline, "a new process begins anew");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(let_through <= 4, "{let_through} got through before it had learnt of the others");
}

#[tokio::test]
async fn without_redis_each_process_counts_for_itself_and_tells_later() {
    hour().await;
    let mut app = TestApp::start().await;
    limit(&app, Target::Key(app.key.id), Covers::Error, 4, HOUR).await;
    send(&app, EVENT).await.expect(200);
    app.redis.stop();
    for expected in [200, 200, 200, 429, 429] {
        let started = Instant::now();
        send(&app, EVENT).await.expect(expected);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    // It comes back empty, and learns the whole count.
    app.redis.restart();
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let id: i64 = sqlx::query_scalar("select id from rate_limit").fetch_one(app.database.pool()).await.unwrap();
        let window = glitchbox::queue::Window::at(id, HOUR.unsigned_abs(), chrono::Utc::now().timestamp());
        if app.app.queue.counters().totals(&[window]).await == Some(vec![4]) {
            break;
        }
        assert!(Instant::now() < deadline, "the count is not told");
        sleep(Duration::from_millis(100)).await;
    }
    send(&app, EVENT).await.expect(429);
}
