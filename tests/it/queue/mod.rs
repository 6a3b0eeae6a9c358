//! The queue against a real Redis, and the worker behind it.

mod cli;
mod dead;
mod jobs;
mod overview;
mod poison;
mod take_over;

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use glitchbox::config::Config;
use glitchbox::ids::EventId;
use glitchbox::jobs::store_events;
use glitchbox::protocol::{Stamp, StampedItem};
use glitchbox::queue::{Consumer, Entry, Producer, Queue};
use glitchbox::shutdown::Shutdown;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, TestRedis};

fn config(redis: &TestRedis) -> Config {
    let url = redis.url();
    Config::from_lookup(&|name| (name == "REDIS_URL").then(|| url.clone())).unwrap()
}

async fn consumer(redis: &TestRedis) -> Consumer {
    let consumer = Consumer::connect(&config(redis), Queue::Ingest, "1").unwrap();
    consumer.prepare().await.unwrap();
    consumer
}

fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.clone()).collect()
}

fn payloads(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| entry.data.as_ref()).collect()
}

#[tokio::test]
async fn what_a_consumer_left_unfinished_is_read_first_after_a_restart() {
    let redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    let append = async |data: &'static [u8]| producer.append(Queue::Ingest, Bytes::from_static(data)).await.unwrap();
    append(b"\xff\0one").await;
    append(b"two").await;
    let mut first = consumer(&redis).await;
    assert_eq!(payloads(&first.read(500, true).await.unwrap()), [b"\xff\0one".as_slice(), b"two"]);
    drop(first);
    append(b"three").await;

    let mut second = consumer(&redis).await;
    let pending = second.read(500, true).await.unwrap();
    assert_eq!(payloads(&pending), [b"\xff\0one".as_slice(), b"two"]);
    let new = second.read(500, true).await.unwrap();
    assert_eq!(payloads(&new), [b"three".as_slice()]);
    second.settler().acknowledge(ids(&pending)).await.unwrap();
    assert_eq!(redis.command("XLEN q:ingest"), ":1");
    second.settler().bury(&new[0], "for a reason").await.unwrap();
    assert_eq!(redis.command("XLEN q:ingest"), ":0");
    assert_eq!(redis.command("XLEN q:ingest:dead"), ":1");
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_set_up_again() {
    let mut redis = TestRedis::start();
    let producer = Producer::connect(&config(&redis)).unwrap();
    let mut consumer = consumer(&redis).await;
    assert!(consumer.read(10, true).await.unwrap().is_empty());
    redis.restart();
    producer.append(Queue::Ingest, Bytes::from_static(b"x")).await.unwrap();
    for _ in 0..20 {
        if consumer.read(10, true).await.is_ok_and(|entries| payloads(&entries) == [b"x"]) {
            return;
        }
    }
    panic!("the entry was never read");
}

/// Runs a worker over the application's queue until it is empty.
async fn work(app: &TestApp) {
    let shutdown = Shutdown::new();
    let consumer = Consumer::connect(&app.app.config, Queue::Ingest, "1").unwrap();
    let emptied = async {
        while app.queued_events().await > 0 || app.redis.command("XLEN q:ingest") != ":0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shutdown.drain();
    };
    let working = async { tokio::join!(store_events::run(&app.app, consumer, &shutdown, || ()), emptied) };
    tokio::time::timeout(Duration::from_secs(20), working).await.expect("the queue empties");
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(app.database.pool()).await.unwrap()
}

#[tokio::test]
async fn events_reach_the_database_once_each() {
    let app = TestApp::start().await;
    for number in 0..30 {
        app.send_event(&json!({ "message": "it broke", "extra": { "number": number } })).await.expect(200);
    }
    let twice = json!({ "event_id": "0123456789abcdef0123456789abcdef", "message": "twice" });
    app.send_event(&twice).await.expect(200);
    app.send_event(&twice).await.expect(200);
    work(&app).await;
    assert_eq!(count(&app, "select count(*) from event").await, 31);
    assert_eq!(count(&app, "select count(*) from issue").await, 2);
    assert_eq!(count(&app, "select sum(event_count)::bigint from issue").await, 31);
    assert_eq!(app.redis.command("XLEN q:ingest:dead"), ":0");
}

#[tokio::test]
async fn what_cannot_be_read_goes_to_the_dead_letters_and_the_rest_is_stored() {
    let app = TestApp::start().await;
    for garbage in [&b""[..], b"\x63from the future", b"\x01{}\n{}", b"\x01nonsense"] {
        app.app.queue.append(Queue::Ingest, Bytes::from_static(garbage)).await.unwrap();
    }
    app.send_event(&json!({ "message": "good" })).await.expect(200);
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    app.client().post(&path, &[], "{}\n{\"type\":\"event\"}\nnot JSON\n").await.expect(200);
    work(&app).await;
    assert_eq!(count(&app, "select count(*) from event").await, 1);
    assert_eq!(app.redis.command("XLEN q:ingest:dead"), ":5");
    let rejected = "select sum(quantity)::bigint from outcome_hourly where outcome = 'rejected'";
    assert_eq!(count(&app, rejected).await, 1);
}

/// Puts an event into the queue, past the edge.
async fn append_event(app: &TestApp, event: &serde_json::Value) -> EventId {
    let (event_id, received_at) = (EventId::random(), Utc::now());
    let stamp = Stamp {
        ingest_id: Uuid::now_v7(),
        project_id: app.project.id,
        item_type: StampedItem::EVENT.to_owned(),
        event_id,
        received_at,
        received_on: received_at.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: None,
    };
    let item = StampedItem { stamp, payload: event.to_string().into() };
    app.app.queue.append(Queue::Ingest, item.encode()).await.unwrap();
    event_id
}

/// Says how often the only entry of the queue was given out, the last time to the worker of slot 1.
fn set_deliveries(app: &TestApp, count: u64) {
    app.redis.command("XGROUP CREATE q:ingest workers 0");
    app.redis.command("XREADGROUP GROUP workers worker-1 STREAMS q:ingest >");
    let set = "local id = redis.call('XRANGE', 'q:ingest', '-', '+')[1][1]; \
               return redis.call('XCLAIM', 'q:ingest', 'workers', 'worker-1', 0, id, 'RETRYCOUNT', ARGV[1], 'JUSTID')";
    assert_eq!(app.redis.command(&format!("EVAL \"{set}\" 0 {count}")), "*1");
}

#[tokio::test]
async fn what_ended_the_worker_five_times_is_rejected_and_can_come_back() {
    let app = TestApp::start().await;
    append_event(&app, &json!({ "message": "hello" })).await;
    set_deliveries(&app, 5);
    work(&app).await;
    assert_eq!(count(&app, "select count(*) from event").await, 0);
    let letter = app.app.queue.dead_letters(Queue::Ingest, None, 1).await.unwrap().remove(0);
    assert_eq!(letter.reason, "it ended the worker 5 times");
    let rejected = "select coalesce(sum(quantity), 0)::bigint from outcome_hourly where outcome = 'rejected'";
    assert_eq!(count(&app, rejected).await, 1);
    assert_eq!(count(&app, "select count(*) from rejected_item").await, 1);
}

#[tokio::test]
async fn what_waits_for_the_database_is_excused_meanwhile() {
    let app = TestApp::start().await;
    append_event(&app, &json!({ "message": "hello" })).await;
    set_deliveries(&app, 4);
    let pool = app.database.pool();
    sqlx::query("alter table issue rename to away").execute(pool).await.unwrap();
    let deliveries = "EVAL \"return redis.call('XPENDING', 'q:ingest', 'workers', '-', '+', 1)[1][4]\" 0";
    let back = async {
        while app.redis.command(deliveries) != ":1" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sqlx::query("alter table away rename to issue").execute(pool).await.unwrap();
    };
    tokio::join!(back, work(&app));
    assert_eq!(count(&app, "select count(*) from event").await, 1);
}

#[tokio::test]
async fn a_worker_that_ends_while_the_database_is_away_hands_back_what_it_has() {
    let app = TestApp::start().await;
    for number in 0..3 {
        append_event(&app, &json!({ "message": "hello", "extra": { "number": number } })).await;
    }
    let pool = app.database.pool();
    sqlx::query("alter table issue rename to away").execute(pool).await.unwrap();
    let shutdown = Shutdown::new();
    let consumer = Consumer::connect(&app.app.config, Queue::Ingest, "1").unwrap();
    let ending = async {
        while app.redis.command("EVAL \"return redis.call('XPENDING', 'q:ingest', 'workers')[1]\" 0") != ":3" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // One that comes last may be read while the others wait.
        append_event(&app, &json!({ "message": "hello" })).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        shutdown.drain();
    };
    tokio::join!(store_events::run(&app.app, consumer, &shutdown, || ()), ending);
    let left = "EVAL \"return #redis.call('XPENDING', 'q:ingest', 'workers', '-', '+', 9, ARGV[1])\" 0";
    assert_eq!(app.redis.command(&format!("{left} worker-1")), ":0", "nothing is left under the name of the dead");
    sqlx::query("alter table away rename to issue").execute(pool).await.unwrap();
    work(&app).await;
    assert_eq!(count(&app, "select count(*) from event").await, 4);
}
