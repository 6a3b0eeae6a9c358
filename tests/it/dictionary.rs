//! The dictionaries that payloads are compressed with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use glitchbox::ids::{EventId, ProjectId};
use glitchbox::jobs::{BEATS, KINDS, runner};
use glitchbox::protocol::{Stamp, StampedItem};
use glitchbox::queue::{Consumer, Queue};
use glitchbox::shutdown::Shutdown;
use glitchbox::store::{event_lookup, payload};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestApp;

const BODY: &str = include_str!("../../benches/corpus/event-3k.json");

/// The corpus event as issue `number % 20`, with values of its own.
fn body(number: usize) -> Value {
    let mut event: Value = serde_json::from_str(BODY).unwrap();
    let issue = number % 20;
    event["exception"]["values"][0]["type"] = format!("Failure{issue}").into();
    event["user"]["id"] = number.to_string().into();
    event["contexts"]["trace"]["trace_id"] = Uuid::new_v4().simple().to_string().into();
    event
}

async fn queue_event(app: &TestApp, number: usize) -> EventId {
    let (event_id, received_at) = (EventId::random(), Utc::now());
    let stamp = Stamp {
        ingest_id: Uuid::now_v7(),
        project_id: app.project.id,
        item_type: "event".to_owned(),
        event_id,
        received_at,
        received_on: received_at.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: None,
    };
    let item = StampedItem { stamp, payload: body(number).to_string().into() };
    app.app.queue.append(Queue::Ingest, item.encode()).await.unwrap();
    event_id
}

async fn train(app: &TestApp) {
    let job = BEATS.iter().find(|beat| beat.name == "train_dictionaries").unwrap();
    (job.run)(Arc::clone(&app.app)).await.unwrap();
}

async fn stored(app: &TestApp, event: EventId) -> Vec<u8> {
    sqlx::query_scalar("select payload from event where event_id = $1")
        .bind(event)
        .fetch_one(&app.app.db)
        .await
        .unwrap()
}

async fn dictionaries(app: &TestApp, project: ProjectId) -> i64 {
    sqlx::query_scalar("select count(*) from payload_dictionary where project_id = $1")
        .bind(project)
        .fetch_one(&app.app.db)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_project_gets_a_dictionary_and_all_its_events_stay_readable() {
    let app = TestApp::start().await;
    let project = app.project.id;
    let before = queue_event(&app, 0).await;
    app.drain().await;
    train(&app).await;
    assert_eq!(dictionaries(&app, project).await, 0, "one event is not enough to learn from");

    for number in 1..1000 {
        queue_event(&app, number).await;
    }
    app.drain().await;
    train(&app).await;
    train(&app).await;
    assert_eq!(dictionaries(&app, project).await, 1);

    let after = queue_event(&app, 1000).await;
    app.drain().await;
    let (plain, packed) = (stored(&app, before).await, stored(&app, after).await);
    assert_eq!(payload::dictionary_id(&plain), None);
    assert!(payload::dictionary_id(&packed).is_some());
    assert!(packed.len() * 4 < plain.len(), "{} bytes with the dictionary, {} without", packed.len(), plain.len());

    for (id, number) in [(before, 0), (after, 1000)] {
        let event = event_lookup::by_id(&app.app.db, project, id).await.unwrap().unwrap();
        let json: Value = serde_json::from_slice(&event.json).unwrap();
        assert_eq!(json["user"]["id"], json!(number.to_string()));
        assert_eq!(serde_json::to_vec(&event.event).unwrap(), event.json, "byte for byte");
    }
    let page = event_lookup::list(&app.app.db, event_lookup::Scope::Project(project), None, 100).await.unwrap();
    assert_eq!(page.items.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_project_that_is_busy_gets_its_dictionary_before_the_next_look() {
    let app = TestApp::start().await;
    let upkeep = Consumer::connect(&app.app.config, Queue::Maintenance, "1").unwrap();
    let its_own = Arc::clone(&app.app);
    tokio::spawn(async move { runner::run(&its_own, KINDS, upkeep, 1, &Shutdown::new()).await });
    queue_event(&app, 0).await;
    app.drain().await;
    for number in 1..2200 {
        queue_event(&app, number).await;
    }
    app.drain().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while dictionaries(&app, app.project.id).await == 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_whose_dictionary_is_gone_is_an_error_and_not_a_wrong_event() {
    let app = TestApp::start().await;
    for number in 0..1000 {
        queue_event(&app, number).await;
    }
    app.drain().await;
    train(&app).await;
    let event = queue_event(&app, 7).await;
    app.drain().await;
    // A copy under a number that nobody has read yet.
    let mut payload = stored(&app, event).await;
    let at = payload.windows(4).position(|bytes| {
        i64::from(u32::from_le_bytes(bytes.try_into().unwrap())) == payload::dictionary_id(&payload).unwrap()
    });
    payload[at.unwrap()] ^= 1;
    sqlx::query("update event set payload = $2 where event_id = $1")
        .bind(event)
        .bind(&payload)
        .execute(&app.app.db)
        .await
        .unwrap();
    let error = event_lookup::by_id(&app.app.db, app.project.id, event).await.unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}
