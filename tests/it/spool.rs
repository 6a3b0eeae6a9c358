//! What was answered 200 reaches the database, once, whatever happens on its way; and the ledger says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Reply, TestApp};

/// Sends an event to `client`; its id.
async fn send_to(app: &TestApp, client: &Client, message: &str) -> (String, Reply) {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let envelope = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{}\n", json!({ "message": message }));
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let reply = client.post(&path, &[], envelope).await;
    (id, reply)
}

async fn send(app: &TestApp, message: &str) -> String {
    let (id, reply) = send_to(app, &app.client(), message).await;
    reply.expect(200);
    id
}

/// The ids of all stored events.
async fn stored(app: &TestApp) -> Vec<String> {
    let ids: Vec<String> = sqlx::query_scalar("select replace(event_id::text, '-', '') from event order by 1")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    ids
}

/// `outcome/category/reason` and how many.
async fn ledger(app: &TestApp) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select outcome || '/' || category || '/' || reason, sum(quantity)::bigint from outcome_hourly group by 1 order by 1",
    )
    .fetch_all(app.database.pool())
    .await
    .unwrap()
}

/// The ledger, once it shows what is expected or 20 s have passed: counts follow a second after what they count.
pub(crate) async fn settled_ledger(app: &TestApp, expected: &[(&str, i64)]) {
    let expected: Vec<(String, i64)> = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = ledger(app).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} in place of {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn segments(app: &TestApp) -> Vec<PathBuf> {
    segments_in(&app.app.config.data_dir)
}

fn segments_in(data_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("spool")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_away_shows_in_no_answer() {
    let mut app = TestApp::start().await;
    let mut sent = BTreeSet::from([send(&app, "before").await]);
    app.redis.stop();
    for number in 0..20 {
        let begun = Instant::now();
        sent.insert(send(&app, &format!("number {number}")).await);
        // Whoever waited for Redis would wait for seconds.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    app.client().get("/_health/").await.expect(200);
    app.client().get("/readyz").await.expect(503);
    // It comes back with nothing of what it had.
    app.redis.restart();
    assert_eq!(app.queued_events().await, 21);
    app.drain().await;
    assert_eq!(stored(&app).await, sent.into_iter().collect::<Vec<_>>());
    settled_ledger(&app, &[("accepted/error/", 21), ("stored/error/", 21)]).await;
}

#[tokio::test]
async fn what_redis_loses_is_stored_all_the_same_and_once() {
    let mut app = TestApp::start().await;
    let mut sent = BTreeSet::new();
    for number in 0..10 {
        sent.insert(send(&app, &format!("number {number}")).await);
    }
    assert_eq!(app.queued_events().await, 10);
    // Restarted empty, then emptied while it runs.
    app.redis.restart();
    let begun = Instant::now();
    while app.queued_events().await < 10 {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    app.redis.command("FLUSHALL");
    app.drain().await;
    wait_until("the segments go", || segments(&app).is_empty()).await;
    assert_eq!(stored(&app).await, sent.into_iter().collect::<Vec<_>>());
    settled_ledger(&app, &[("accepted/error/", 10), ("stored/error/", 10)]).await;
}

#[tokio::test]
async fn what_a_process_leaves_behind_is_taken_over() {
    let mut app = TestApp::start().await;
    send(&app, "known").await;
    app.redis.stop();
    let (client, edge, shutdown) = app.another_web();
    let mut sent = BTreeSet::new();
    for number in 0..5 {
        let (id, reply) = send_to(&app, &client, &format!("number {number}")).await;
        reply.expect(200);
        sent.insert(id);
    }
    shutdown.stop();
    drop(edge);
    app.redis.restart();
    let begun = Instant::now();
    while app.queued_events().await < 6 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the segments of the other process stay where they are");
    }
    app.drain().await;
    assert!(stored(&app).await.iter().collect::<BTreeSet<_>>().is_superset(&sent.iter().collect()));
    settled_ledger(&app, &[("accepted/error/", 6), ("stored/error/", 6)]).await;
    wait_until("the segments go", || segments(&app).is_empty()).await;
}

/// A segment with five entries, as a process that was killed has left it; the ids in their order.
async fn left_behind() -> (TestApp, PathBuf, Vec<String>) {
    let mut app = TestApp::start().await;
    app.redis.stop();
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(send(&app, &format!("number {number}")).await);
    }
    let segments = segments(&app);
    // Slow machines may have begun another one.
    assert!(!segments.is_empty());
    (app, segments[0].clone(), sent)
}

#[tokio::test]
async fn a_flipped_byte_costs_one_entry_and_a_cut_what_lies_behind_it() {
    let (source, segment, sent) = left_behind().await;
    let bytes = std::fs::read(&segment).unwrap();
    let in_segment: Vec<&String> = sent.iter().filter(|id| find(&bytes, id.as_bytes()).is_some()).collect();
    let second = find(&bytes, in_segment[1].as_bytes()).unwrap();
    let mut flipped = bytes.clone();
    flipped[second] ^= 0x20;
    let last = find(&bytes, in_segment[in_segment.len() - 1].as_bytes()).unwrap();
    for (damaged, lost) in [(flipped, in_segment[1]), (bytes[..last + 10].to_vec(), in_segment[in_segment.len() - 1])] {
        let app = TestApp::start().await;
        // The key is that of another instance; the stamp carries the project, which has the same number.
        let place = app.app.config.data_dir.join("spool").join(segment.file_name().unwrap());
        std::fs::write(place.with_extension("copy"), &damaged).unwrap();
        std::fs::rename(place.with_extension("copy"), &place).unwrap();
        let begun = Instant::now();
        while app.queued_events().await < in_segment.len() - 1 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the segment is not taken over");
        }
        app.drain().await;
        let stored = stored(&app).await;
        let expected: BTreeSet<&String> = in_segment.iter().copied().filter(|id| *id != lost).collect();
        assert_eq!(stored.iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(app.edge.spool().damaged, 1);
        let count = i64::try_from(expected.len()).unwrap();
        settled_ledger(&app, &[("accepted/error/", count), ("stored/error/", count)]).await;
    }
    drop(source);
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[tokio::test]
async fn a_full_spool_is_answered_429_until_there_is_room() {
    let mut app = TestApp::start_with(&[("MAX_SPOOL_SIZE", "16777216")]).await;
    app.redis.stop();
    let mut sent = BTreeSet::new();
    let text = "x".repeat(900_000);
    let refused = loop {
        let (id, reply) = send_to(&app, &app.client(), &text).await;
        if reply.status != 200 {
            break reply.expect(429);
        }
        sent.insert(id);
        assert!(sent.len() < 25, "it never gets full");
    };
    assert!(sent.len() >= 17, "{}", sent.len());
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=120).contains(&seconds));
    assert_eq!(refused.header("x-sentry-rate-limits"), format!("{seconds}::organization:over_capacity"));
    app.redis.restart();
    app.drain().await;
    wait_until("the segments go", || segments(&app).is_empty()).await;
    sent.insert(send(&app, "room again").await);
    app.drain().await;
    assert_eq!(stored(&app).await, sent.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn everything_that_was_accepted_stands_in_the_ledger() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let id = "0123456789abcdef0123456789abcdef";
    let event = format!("{{\"type\":\"event\"}}\n{{\"event_id\":\"{id}\",\"message\":\"x\"}}\n");
    let report = r#"{"timestamp":1,"discarded_events":[{"reason":"before_send","category":"error","quantity":7},
        {"reason":"sample_rate","category":"transaction","quantity":2}]}"#
        .replace('\n', "");
    let log = "{\"type\":\"log\",\"item_count\":3,\"content_type\":\"application/vnd.sentry.items.log+json\"}\n{\"items\":[]}\n";
    for body in [
        // An event, a second one of the same envelope, a session, and what nobody knows.
        format!(
            "{{\"event_id\":\"{id}\"}}\n{event}{event}{{\"type\":\"session\"}}\n{{}}\n{{\"type\":\"from_the_future\"}}\nx\n"
        ),
        // The same event once more.
        format!("{{\"event_id\":\"{id}\"}}\n{event}"),
        format!("{{}}\n{{\"type\":\"client_report\"}}\n{report}\n"),
        format!("{{}}\n{log}"),
        // A transaction that calls itself an event.
        "{}\n{\"type\":\"event\"}\n{\"type\":\"transaction\"}\n".to_owned(),
        "{}\n{\"type\":\"event\"}\nnot JSON\n".to_owned(),
    ] {
        app.client().post(&path, &[], body).await.expect(200);
    }
    app.drain().await;
    settled_ledger(
        &app,
        &[
            ("accepted/default/", 1),
            ("accepted/error/", 4),
            ("accepted/log_item/", 1),
            ("accepted/session/", 1),
            ("accepted/transaction/", 1),
            ("discarded/error/before_send", 7),
            ("discarded/transaction/sample_rate", 2),
            ("filtered/default/unknown_type", 1),
            ("filtered/error/duplicate", 1),
            ("filtered/error/surplus", 1),
            ("filtered/log_item/no_logs", 1),
            ("filtered/session/no_release", 1),
            ("filtered/transaction/invalid_transaction", 1),
            ("rejected/error/invalid", 1),
            ("stored/error/", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_rejection_counts_once_and_can_be_taken_back() {
    use glitchbox::store::rejected_item::{self, RejectedItem};

    let app = TestApp::start().await;
    let now = chrono::Utc::now();
    let item = RejectedItem {
        ingest_id: uuid::Uuid::now_v7(),
        received_on: now.date_naive(),
        project_id: app.project.id,
        event_id: glitchbox::ids::EventId::random(),
        received_at: now,
        category: "error".to_owned(),
        reason: "invalid".to_owned(),
        detail: "nothing\0 good".to_owned(),
    };
    let db = app.database.pool();
    assert!(rejected_item::reject(db, &item).await.unwrap());
    assert!(!rejected_item::reject(db, &item).await.unwrap());
    assert_eq!(ledger(&app).await, [("rejected/error/invalid".to_owned(), 1)]);
    let latest = rejected_item::latest(db, &[app.project.id], 10).await.unwrap();
    assert_eq!(latest[0].detail, "nothing good");
    assert_eq!(rejected_item::of_event(db, item.event_id).await.unwrap(), latest);
    let back = rejected_item::reopen(db, item.ingest_id).await.unwrap().unwrap();
    assert_eq!(rejected_item::reopen(db, item.ingest_id).await.unwrap(), None);
    assert_eq!(ledger(&app).await, [("rejected/error/invalid".to_owned(), 0)]);
    assert!(rejected_item::reject(db, &back).await.unwrap());
    assert_eq!(rejected_item::latest(db, &[app.project.id], 10).await.unwrap(), latest);
    assert_eq!(ledger(&app).await, [("rejected/error/invalid".to_owned(), 1)]);
}

#[tokio::test]
async fn a_canary_tells_how_long_the_way_is_and_is_nobodys_event() {
    let app = TestApp::start().await;
    app.edge.send_canaries();
    app.drain().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let run = loop {
        if let Some(run) = glitchbox::store::canary_run::latest(app.database.pool()).await.unwrap() {
            break run;
        }
        assert!(Instant::now() < deadline, "no canary has come through");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(run.stored_at >= run.sent_at);
    app.drain().await;
    assert_eq!(ledger(&app).await, []);
    let rows: i64 = sqlx::query_scalar("select (select count(*) from event) + (select count(*) from issue)")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

/// Two deliveries of one reception may meet different fates: after a restart of Redis an entry is there twice.
#[tokio::test]
async fn what_is_stored_by_one_delivery_is_not_rejected_by_another() {
    use glitchbox::store::event_batch;
    use glitchbox::store::rejected_item::{self, RejectedItem};

    let app = TestApp::start().await;
    let db = app.database.pool();
    let rejection = |event: &event_batch::NewEvent| RejectedItem {
        ingest_id: event.ingest_id,
        received_on: event.received_on,
        project_id: event.project_id,
        event_id: event.event_id,
        received_at: event.received_at,
        category: "error".to_owned(),
        reason: "invalid".to_owned(),
        detail: "it ended the worker 5 times".to_owned(),
    };
    let (first, second) = (super::store::event(app.project.id, 1, 0), super::store::event(app.project.id, 1, 1));
    assert!(rejected_item::reject(db, &rejection(&first)).await.unwrap());
    event_batch::write(db, &[first.clone(), second.clone()]).await.unwrap();
    assert!(!rejected_item::reject(db, &rejection(&second)).await.unwrap());
    assert_eq!(rejected_item::of_event(db, first.event_id).await.unwrap(), []);
    let expected = [("rejected/error/invalid", 0), ("stored/error/", 2)];
    assert_eq!(ledger(&app).await, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[tokio::test]
async fn counts_that_do_not_fit_spoil_no_others() {
    use glitchbox::protocol::{Category, Outcome, Stamp, Tally, TallyKey};
    use glitchbox::store::outcome;

    let app = TestApp::start().await;
    let now = chrono::Utc::now();
    for _ in 0..3 {
        let mut tally = Tally::default();
        tally.add(TallyKey::new(app.project.id, now, Category::Error, Outcome::Discarded, "before_send"), u64::MAX / 2);
        tally.add(TallyKey::new(app.project.id, now, Category::Error, Outcome::Accepted, ""), 1);
        let id = uuid::Uuid::now_v7();
        let stamp = Stamp {
            ingest_id: id,
            project_id: glitchbox::ids::ProjectId(0),
            item_type: "tally".to_owned(),
            event_id: glitchbox::ids::EventId(id),
            received_at: now,
            received_on: now.date_naive(),
            sent_at: None,
            client_ip: None,
            user_agent: None,
        };
        outcome::settle_tallies(app.database.pool(), &[(&stamp, &tally)]).await.unwrap();
        outcome::settle_tallies(app.database.pool(), &[(&stamp, &tally)]).await.unwrap();
    }
    let expected = [("accepted/error/", 3), ("discarded/error/before_send", i64::MAX)];
    assert_eq!(ledger(&app).await, expected.map(|(name, count)| (name.to_owned(), count)));
}
