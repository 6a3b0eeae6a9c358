//! `glitchbox why`: an answer for each fate.

use std::process::{Command, Output};

use bytes::Bytes;
use chrono::Utc;
use glitchbox::ids::EventId;
use glitchbox::protocol::{StampedItem, stamped_item::Stamp};
use glitchbox::queue::{Consumer, Queue};
use glitchbox::store::outcome::Outcome;
use serde_json::{Value, json};

use super::{count, reject};
use crate::support::TestApp;

/// Runs the command against the application's servers.
async fn why(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
    command.arg("why").args(arguments).env_clear();
    command
        .env("DATA_DIR", &app.app.config.data_dir)
        .env("DATABASE_URL", app.database.url())
        .env("REDIS_URL", app.redis.url());
    command.env("GLITCHTIP_DOMAIN", "https://errors.example.com");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The answer and whether the event was found.
async fn ask(app: &TestApp, id: &str) -> (Value, i32) {
    let output = why(app, &[id, "--json"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
    (answer, output.status.code().unwrap())
}

fn item(app: &TestApp, event: EventId) -> StampedItem {
    let now = Utc::now();
    let stamp = Stamp {
        ingest_id: uuid::Uuid::now_v7(),
        project_id: app.project.id,
        item_type: StampedItem::EVENT.to_owned(),
        event_id: event,
        received_at: now,
        received_on: now.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: Some("a browser".to_owned()),
    };
    StampedItem { stamp, payload: Bytes::from_static(b"{}") }
}

async fn enqueue(app: &TestApp, event: EventId) {
    app.app.queue.append(Queue::Ingest, item(app, event).encode()).await.unwrap();
}

#[tokio::test]
async fn a_stored_event_is_named_with_its_issue() {
    let app = TestApp::start().await;
    let id = "0123456789abcdef0123456789abcdef";
    app.send_event(&json!({ "event_id": id, "message": "hello" })).await.expect(200);
    app.drain().await;
    // A transaction that is tried again takes another number.
    let issue = "select id, short_id from issue";
    let (issue, short): (i64, i64) = sqlx::query_as(issue).fetch_one(app.database.pool()).await.unwrap();
    let (short, url) = (format!("DEFAULT-{short}"), format!("https://errors.example.com/issues/{issue}/?event={id}"));
    for form in [id, "01234567-89ab-cdef-0123-456789abcdef", "0123456789ABCDEF0123456789ABCDEF"] {
        let (answer, code) = ask(&app, form).await;
        assert_eq!((code, &answer["found"], &answer["event_id"]), (0, &json!(true), &json!(id)), "{form}");
        let fate = &answer["fates"][0];
        let expected = json!({
            "state": "stored", "issue": short, "url": url, "project": "default", "project_id": app.project.id,
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&fate[name], value, "{name}");
        }
        assert!(fate["received_at"].is_string());
        let grouping = json!([{ "component": "message", "contributes": true, "value": "hello" }]);
        assert_eq!(fate["grouped_by"]["components"], grouping);
    }
    let text = String::from_utf8(why(&app, &[id]).await.stdout).unwrap();
    assert!(text.contains(&format!("is stored: issue {short}, {url}")), "{text}");
    assert!(text.contains("grouped by (version 2):\n  message: hello"), "{text}");
}

#[tokio::test]
async fn an_event_is_found_wherever_it_stands_in_the_queue() {
    let app = TestApp::start().await;
    let (waiting, in_hand, dead) = (EventId::random(), EventId::random(), EventId::random());
    enqueue(&app, dead).await;
    enqueue(&app, in_hand).await;
    let mut consumer = Consumer::connect(&app.app.config, Queue::Ingest, "7").unwrap();
    consumer.prepare().await.unwrap();
    let entries = consumer.read(10, false).await.unwrap();
    consumer.settler().bury(&entries[0], "cannot be read").await.unwrap();
    // Pages of the search are shorter than this.
    for _ in 0..700 {
        enqueue(&app, EventId::random()).await;
    }
    enqueue(&app, waiting).await;

    let state = |answer: &Value| answer["fates"][0]["state"].as_str().unwrap_or_default().to_owned();
    let (answer, code) = ask(&app, &waiting.to_string()).await;
    assert_eq!((state(&answer), code), ("queued".to_owned(), 0), "{answer}");
    let (answer, code) = ask(&app, &in_hand.to_string()).await;
    assert_eq!((state(&answer), code), ("in_hand".to_owned(), 0), "{answer}");
    assert!(answer["fates"][0]["worker"].as_str().unwrap().contains('7'), "{answer}");
    // A worker that ended in order has left it to whoever comes.
    app.redis.command(&format!("XCLAIM q:ingest workers handed-back 0 {}", entries[1].id));
    assert_eq!(state(&ask(&app, &in_hand.to_string()).await.0), "queued");
    let (answer, code) = ask(&app, &dead.to_string()).await;
    assert_eq!((state(&answer), code), ("dead_letter".to_owned(), 0), "{answer}");
    assert_eq!(answer["fates"][0]["reason"], "cannot be read");
}

#[tokio::test]
async fn an_event_that_is_in_the_spool_alone_is_found_there() {
    let mut app = TestApp::start().await;
    app.redis.stop();
    let id = EventId::random().to_string();
    app.send_event(&json!({ "event_id": id, "message": "hello" })).await.expect(200);
    let (answer, code) = ask(&app, &id).await;
    let told = (code, &answer["fates"][0]["state"], &answer["fates"][0]["project"], &answer["unanswered"][0]["part"]);
    assert_eq!(told, (0, &json!("spooled"), &json!("default"), &json!("Redis")));
    let text = String::from_utf8(why(&app, &[&id]).await.stdout).unwrap();
    assert!(text.contains("lies in the spool") && text.contains("Redis could not be asked"), "{text}");
}

#[tokio::test]
async fn a_rejected_event_is_told_with_the_reason() {
    let app = TestApp::start().await;
    let event = EventId::random();
    reject(&app, event, Utc::now(), "malformed", "no end of string").await;
    let (answer, code) = ask(&app, &event.to_string()).await;
    assert_eq!(code, 0);
    let fate = &answer["fates"][0];
    assert_eq!(
        (&fate["state"], &fate["reason"], &fate["detail"]),
        (&json!("rejected"), &json!("malformed"), &json!("no end of string"))
    );
    let text = String::from_utf8(why(&app, &[&event.to_string()]).await.stdout).unwrap();
    assert!(text.contains("could not be stored: error, malformed: no end of string"), "{text}");
}

#[tokio::test]
async fn of_an_unknown_event_the_ledger_says_what_can_be_said() {
    let app = TestApp::start().await;
    count(&app, app.project.id, Utc::now(), ("error", Outcome::RateLimited, "key_quota"), 12).await;
    count(&app, app.project.id, Utc::now(), ("error", Outcome::Stored, ""), 99).await;
    let id = EventId::random().to_string();
    let (answer, code) = ask(&app, &id).await;
    assert_eq!((code, &answer["found"]), (1, &json!(false)));
    let expected = json!([{
        "project": "default", "category": "error", "outcome": "rate_limited", "reason": "key_quota", "quantity": 12,
    }]);
    assert_eq!(answer["ledger"], expected);
    let text = String::from_utf8(why(&app, &[&id]).await.stdout).unwrap();
    assert!(text.contains("is not known here") && text.contains("12 error rate_limited (key_quota)"), "{text}");
}

#[tokio::test]
async fn what_is_away_is_named_and_the_others_answer() {
    let mut app = TestApp::start().await;
    let event = EventId::random();
    reject(&app, event, Utc::now(), "malformed", "no end of string").await;
    app.redis.stop();
    let (answer, code) = ask(&app, &event.to_string()).await;
    assert_eq!((code, &answer["found"], &answer["unanswered"][0]["part"]), (0, &json!(true), &json!("Redis")));
    let (answer, code) = ask(&app, &EventId::random().to_string()).await;
    assert_eq!((code, &answer["unanswered"][0]["part"]), (1, &json!("Redis")));

    app.redis.restart();
    enqueue(&app, event).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
    command.args(["why", &event.to_string(), "--json"]).env_clear().env("REDIS_URL", app.redis.url());
    command.env("DATABASE_URL", "postgres://nobody@%2Fnowhere/nothing");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{answer}");
    assert_eq!(
        (&answer["fates"][0]["state"], &answer["unanswered"][0]["part"]),
        (&json!("queued"), &json!("PostgreSQL"))
    );
}

#[tokio::test]
async fn a_malformed_id_is_named() {
    let app = TestApp::start().await;
    let output = why(&app, &["WEB-42"]).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("WEB-42") && text.contains("32 hexadecimal"), "{text}");
}
