//! `glitchbox queue ...`, run as people run it.

use std::process::{Command, Output};

use bytes::Bytes;
use glitchbox::jobs::{Job, SendTests};
use glitchbox::queue::Queue;
use serde_json::{Value, json};

use super::{append_event, count, set_deliveries, work};
use crate::support::TestApp;

fn run(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
    command.arg("queue").args(arguments).env_clear();
    command.env("DATABASE_URL", app.database.url()).env("REDIS_URL", app.redis.url());
    command.output().unwrap()
}

fn ok(app: &TestApp, arguments: &[&str]) -> String {
    let output = run(app, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(app: &TestApp, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(app, &[arguments, &["--json"]].concat())).unwrap()
}

fn fails(app: &TestApp, arguments: &[&str]) -> String {
    let output = run(app, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn queues_are_listed_paused_and_resumed() {
    let app = TestApp::start().await;
    app.app.queue.append(Queue::Ingest, Bytes::from_static(b"x")).await.unwrap();
    (SendTests {}).enqueue_in(&app.app.queue, std::time::Duration::from_hours(1)).await.unwrap();
    assert!(ok(&app, &["pause", "ingest"]).contains("queue ingest is paused"));
    let all = json(&app, &["list"]);
    assert_eq!(all.as_array().unwrap().len(), Queue::ALL.len());
    assert_eq!((&all[0]["queue"], &all[0]["length"], &all[0]["paused"]), (&json!("ingest"), &json!(1), &json!(true)));
    assert!(all[0]["oldest_s"].as_u64().unwrap() < 60);
    assert_eq!(
        (&all[1]["queue"], &all[1]["delayed"], &all[1]["oldest_s"]),
        (&json!("notify"), &json!(1), &json!(null))
    );
    assert_eq!(json(&app, &["resume", "ingest"])["paused"], false);
    let text = ok(&app, &["list"]);
    assert!(text.starts_with("QUEUE  ") && text.lines().nth(1).unwrap().contains("ingest       1       0"), "{text}");
    let delayed = json(&app, &["show", "notify", "--delayed"]);
    assert_eq!(delayed[0]["job"], "send_tests");

    let error = fails(&app, &["show", "ingset"]);
    assert!(
        error.contains("ingest, notify, maintenance") && error.contains("a similar value exists: 'ingest'"),
        "{error}"
    );
}

#[tokio::test]
async fn a_dead_letter_is_shown_retried_and_discarded() {
    let app = TestApp::start().await;
    let id = append_event(&app, &json!({ "message": "hello" })).await;
    set_deliveries(&app, 5);
    work(&app).await;
    app.app.queue.append(Queue::Ingest, Bytes::from_static(b"\x63from the future")).await.unwrap();
    work(&app).await;
    let letters = json(&app, &["show", "ingest", "--dead"]);
    assert_eq!(letters.as_array().unwrap().len(), 2);
    let [event, future] = [&letters[0], &letters[1]];
    assert_eq!((&event["item_type"], &event["event_id"], &event["attempts"]), (&json!("event"), &json!(id), &json!(6)));
    assert_eq!(event["project"], json!(app.project.id));
    assert_eq!((&future["event_id"], &future["size"], &future["cut"]), (&json!(null), &json!(16), &json!(false)));
    assert!(ok(&app, &["show", "ingest", "--limit", "1"]).contains("it ended the worker 5 times"));

    let rejected = "select coalesce(sum(quantity), 0)::bigint from outcome_hourly where outcome = 'rejected'";
    assert_eq!(count(&app, rejected).await, 1);
    // Redis takes nothing in: it stays where it was, and counted.
    app.redis.command("CONFIG SET maxmemory 1");
    assert!(fails(&app, &["retry", "ingest", event["id"].as_str().unwrap()]).contains("maxmemory"));
    app.redis.command("CONFIG SET maxmemory 0");
    assert_eq!(count(&app, rejected).await, 1);
    assert_eq!(count(&app, "select count(*) from rejected_item").await, 1);
    assert_eq!(json(&app, &["retry", "ingest", event["id"].as_str().unwrap()])["retried"], 1);
    assert_eq!(count(&app, rejected).await, 0, "it is queued again");
    work(&app).await;
    assert_eq!(count(&app, "select count(*) from event").await, 1);

    assert!(fails(&app, &["retry", "ingest", "5-5"]).contains("there is no dead letter `5-5`"));
    assert!(fails(&app, &["discard", "ingest", "what"]).contains("there is no dead letter `what`"));
    assert!(fails(&app, &["retry", "ingest"]).contains("required"));
    assert!(ok(&app, &["retry", "ingest", "--all"]).contains("1 dead letter went back into queue ingest"));
    work(&app).await;
    assert_eq!(json(&app, &["discard", "ingest", "--all"])["discarded"], 1);
    assert_eq!(json(&app, &["show", "ingest"]), json!([]));
}

#[tokio::test]
async fn without_redis_a_command_says_so() {
    let mut app = TestApp::start().await;
    app.redis.stop();
    assert!(fails(&app, &["list"]).contains("cannot reach the queues at REDIS_URL"));
}
