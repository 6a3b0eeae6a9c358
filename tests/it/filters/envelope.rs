//! What goes with an event that is held back; the same item twice; and what can be said of it later.

use std::process::Command;

use bytes::Bytes;
use chrono::Utc;
use glitchbox::ids::EventId;
use glitchbox::protocol::stamped_item::Stamp;
use glitchbox::protocol::{Filter, StampedItem};
use glitchbox::queue::Queue;
use glitchbox::store::filtered_item::{self, FilteredItem, envelope_of};
use serde_json::{Value, json};

use super::{count, new_id, send, settled, switch_on};
use crate::support::TestApp;

const ELSEWHERE: &str = "198.51.100.4";

fn items(message: &str, id: &str) -> Vec<(&'static str, String)> {
    let now = Utc::now().to_rfc3339();
    vec![
        ("event", json!({ "message": message }).to_string()),
        ("attachment", "bytes".to_owned()),
        ("user_report", json!({ "event_id": id, "comments": "c" }).to_string()),
        (
            "session",
            json!({ "sid": new_id(), "status": "ok", "started": now, "attrs": { "release": "a@1" } }).to_string(),
        ),
    ]
}

#[tokio::test]
async fn files_and_reports_go_with_their_event_and_sessions_do_not() {
    let app = TestApp::start().await;
    switch_on(&app, Filter::ErrorMessages, &["noise"]).await;
    for message in ["noise", "news"] {
        let id = new_id();
        send(&app, ELSEWHERE, &id, &items(message, &id)).await.expect(200);
    }
    let expected = [
        "attachment filtered error-message 1",
        "attachment stored  1",
        "error filtered error-message 1",
        "error stored  1",
        "feedback filtered error-message 1",
        "feedback stored  1",
        "session stored  2",
    ];
    assert_eq!(settled(&app, 8).await, expected);
    assert_eq!(count(&app, "select count(*) from attachment").await, 1);
    assert_eq!(count(&app, "select count(*) from user_feedback").await, 1);
}

/// An item as the edge queues it.
fn stamped(app: &TestApp, item_type: &str, event: EventId, received_at: chrono::DateTime<Utc>) -> Stamp {
    Stamp {
        ingest_id: uuid::Uuid::now_v7(),
        project_id: app.project.id,
        item_type: item_type.to_owned(),
        event_id: event,
        received_at,
        received_on: received_at.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: None,
    }
}

async fn enqueue(app: &TestApp, stamp: &Stamp, payload: &str) {
    let item = StampedItem { stamp: stamp.clone(), payload: Bytes::from(payload.to_owned()) };
    app.app.queue.append(Queue::Ingest, item.encode()).await.unwrap();
}

async fn fates(app: &TestApp) -> Vec<String> {
    app.drain().await;
    super::ledger(app, app.project.id).await
}

const FILE: &str = "{\"filename\":\"a.txt\"}\nbytes";

#[tokio::test]
async fn a_file_is_held_back_whether_it_comes_before_or_after_its_event() {
    let app = TestApp::start().await;
    switch_on(&app, Filter::ErrorMessages, &["noise"]).await;
    for file_first in [true, false] {
        let (event, now) = (EventId::random(), Utc::now());
        let order = if file_first { ["attachment", "event"] } else { ["event", "attachment"] };
        for kind in order {
            // Each in a batch of its own.
            let payload = if kind == "event" { "{\"message\":\"noise\"}" } else { FILE };
            enqueue(&app, &stamped(&app, kind, event, now), payload).await;
            app.drain().await;
        }
        // A file of another envelope stays.
        let later = now + chrono::TimeDelta::seconds(1);
        enqueue(&app, &stamped(&app, "attachment", event, later), FILE).await;
    }
    let expected = ["attachment filtered error-message 2", "attachment stored  2", "error filtered error-message 2"];
    assert_eq!(fates(&app).await, expected);
    assert_eq!(count(&app, "select count(*) from attachment").await, 2);
}

#[tokio::test]
async fn what_is_delivered_twice_counts_once_whatever_changed_meanwhile() {
    let app = TestApp::start().await;
    // A project with filters, none of which is on now.
    switch_on(&app, Filter::ErrorMessages, &[]).await;
    let payload = "{\"message\":\"noise\"}";
    let (first, second) = (EventId::random(), EventId::random());
    let stored = stamped(&app, "event", first, Utc::now());
    enqueue(&app, &stored, payload).await;
    assert_eq!(fates(&app).await, ["error stored  1"]);

    // The very same item once more, now that it would be held back.
    let held = stamped(&app, "event", second, Utc::now());
    let item = |stamp: &Stamp| FilteredItem { stamp: stamp.clone(), filter: Filter::ErrorMessages };
    for _ in 0..2 {
        filtered_item::settle(&app.app.db, &[item(&stored), item(&held)]).await.unwrap();
        filtered_item::drop_dependents(&app.app.db, &[envelope_of(&held)]).await.unwrap();
    }
    assert_eq!(fates(&app).await, ["error filtered error-message 1", "error stored  1"]);

    // And one that was held back once more, now that nothing is.
    enqueue(&app, &held, payload).await;
    assert_eq!(fates(&app).await, ["error filtered error-message 1", "error stored  1"]);
    assert_eq!(count(&app, "select count(*) from event").await, 1);
    // A new one of the same event is another matter.
    enqueue(&app, &stamped(&app, "event", second, Utc::now()), payload).await;
    assert_eq!(fates(&app).await, ["error filtered error-message 1", "error stored  2"]);
}

#[tokio::test]
async fn why_says_which_filter_it_was() {
    let app = TestApp::start().await;
    switch_on(&app, Filter::Releases, &["1.*"]).await;
    let id = new_id();
    let event = json!({ "message": "m", "release": "1.2" }).to_string();
    send(&app, ELSEWHERE, &id, &[("event", event)]).await.expect(200);
    app.drain().await;
    let why = |json: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
        command.args(["why", &id]).args(json.then_some("--json")).env_clear();
        command.env("DATA_DIR", &app.app.config.data_dir).env("DATABASE_URL", app.database.url());
        let output = command.env("REDIS_URL", app.redis.url()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let answer: Value = serde_json::from_str(&why(true)).unwrap();
    let fate = &answer["fates"][0];
    assert_eq!(
        (&fate["state"], &fate["reason"], &fate["project"]),
        (&json!("filtered"), &json!("release-version"), &json!("default"))
    );
    assert!(why(false).contains("filtered: release-version"));
}

#[tokio::test]
async fn a_large_file_goes_with_its_event_in_all_its_parts() {
    let app = TestApp::start().await;
    switch_on(&app, Filter::ErrorMessages, &["noise"]).await;
    for message in ["noise", "news"] {
        let items = [("event", json!({ "message": message }).to_string()), ("attachment", "x".repeat(9 * 1024 * 1024))];
        send(&app, ELSEWHERE, &new_id(), &items).await.expect(200);
    }
    let expected = [
        "attachment filtered error-message 1",
        "attachment stored  1",
        "error filtered error-message 1",
        "error stored  1",
    ];
    assert_eq!(settled(&app, 4).await, expected);
    assert_eq!(count(&app, "select sum(octet_length(content))::bigint from attachment").await, 9 * 1024 * 1024);
}
