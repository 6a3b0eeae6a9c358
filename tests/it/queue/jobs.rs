//! Jobs: later, once, within their time, again after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use glitchbox::app::App;
use glitchbox::jobs::{Job, Kind, Retry, runner};
use glitchbox::queue::{Consumer, Queue};
use glitchbox::shutdown::Shutdown;
use serde::{Deserialize, Serialize};

use crate::support::TestApp;

const SOON: Retry = Retry { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(1) };

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn start(app: &TestApp, kinds: &'static [Kind], slot: &str) -> (Shutdown, tokio::task::JoinHandle<()>) {
    let shutdown = Shutdown::new();
    let consumer = Consumer::connect(&app.app.config, Queue::Maintenance, slot).unwrap();
    let (app, its_own) = (Arc::clone(&app.app), shutdown.clone());
    let task = tokio::spawn(async move { runner::run(&app, kinds, consumer, 4, &its_own).await });
    (shutdown, task)
}

/// Does as its argument says, and counts its runs.
macro_rules! job {
    ($name:ident, $runs:ident, |$args:ident| $body:expr) => {
        static $runs: AtomicUsize = AtomicUsize::new(0);

        #[derive(Serialize, Deserialize)]
        struct $name {
            arg: u64,
        }

        impl Job for $name {
            const NAME: &'static str = stringify!($name);
            const QUEUE: Queue = Queue::Maintenance;
            const RETRY: Retry = SOON;
            const TIMEOUT: Duration = Duration::from_millis(300);

            fn dedup_key(&self) -> Option<String> {
                (self.arg == 77).then(|| "77".to_owned())
            }

            async fn run(self, _: Arc<App>) -> anyhow::Result<()> {
                $runs.fetch_add(1, Ordering::SeqCst);
                let $args = self.arg;
                $body
            }
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_panics_and_hangs_are_tried_again_and_then_buried() {
    job!(Failing, RUNS, |how| match how {
        0 => bail!("the disk is full"),
        1 => panic!("a fault of ours"),
        _ => {
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    static KINDS: &[Kind] = &[Kind::of::<Failing>()];
    let app = TestApp::start().await;
    for arg in 0..3 {
        assert!(Failing { arg }.enqueue(&app.app.queue).await.unwrap());
    }
    let (shutdown, task) = start(&app, KINDS, "1");
    until("all are buried", async || app.redis.command("XLEN q:maintenance:dead") == ":3").await;
    assert_eq!(RUNS.load(Ordering::SeqCst), 9);
    let letters = app.app.queue.dead_letters(Queue::Maintenance, None, 10).await.unwrap();
    for reason in ["failed 3 times: the disk is full", "failed 3 times: it broke off", "longer than 0.3 s"] {
        assert!(letters.iter().any(|letter| letter.reason.contains(reason)), "{reason}: {letters:?}");
    }
    assert_eq!(app.redis.command("XLEN q:maintenance"), ":0");
    assert_eq!(app.redis.command("ZCARD q:maintenance:delayed"), ":0");
    shutdown.drain();
    tokio::time::timeout(Duration::from_secs(3), task).await.expect("it ends at once").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_jobs_run_once_each_when_their_time_has_come() {
    job!(Late, RUNS, |_arg| Ok(()));
    static KINDS: &[Kind] = &[Kind::of::<Late>()];
    let app = TestApp::start().await;
    let workers = [start(&app, KINDS, "1"), start(&app, KINDS, "2")];
    for arg in 0..300 {
        Late { arg }.enqueue_in(&app.app.queue, Duration::from_secs(3)).await.unwrap();
    }
    Late { arg: 0 }.enqueue_in(&app.app.queue, Duration::from_hours(1)).await.unwrap();
    let delayed = app.app.queue.delayed(Queue::Maintenance, 500).await.unwrap();
    assert_eq!(delayed.len(), 301);
    assert!(delayed[0].due > chrono::Utc::now() && delayed[0].due < delayed[300].due);
    assert!(serde_json::from_slice::<serde_json::Value>(&delayed[0].data).unwrap()["job"] == "Late");
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
    until("they run", async || RUNS.load(Ordering::SeqCst) >= 300).await;
    until("they are settled", async || app.redis.command("XLEN q:maintenance") == ":0").await;
    assert_eq!(RUNS.load(Ordering::SeqCst), 300);
    assert_eq!(app.redis.command("ZCARD q:maintenance:delayed"), ":1");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_is_not_taken_in_again_but_one_that_runs_is() {
    job!(Once, RUNS, |_arg| Ok(()));
    static KINDS: &[Kind] = &[Kind::of::<Once>()];
    let app = TestApp::start().await;
    let queue = &app.app.queue;
    assert!(Once { arg: 77 }.enqueue(queue).await.unwrap());
    assert!(!Once { arg: 77 }.enqueue(queue).await.unwrap());
    assert!(Once { arg: 1 }.enqueue(queue).await.unwrap(), "another one");
    let (shutdown, _) = start(&app, KINDS, "1");
    until("both have run", async || RUNS.load(Ordering::SeqCst) == 2).await;
    assert!(Once { arg: 77 }.enqueue(queue).await.unwrap());
    until("again", async || RUNS.load(Ordering::SeqCst) == 3).await;
    shutdown.drain();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_goes_to_the_dead_letters_whole() {
    job!(Known, RUNS, |_arg| Ok(()));
    static KINDS: &[Kind] = &[Kind::of::<Known>()];
    let app = TestApp::start().await;
    let entries = [
        r#"{"v":9,"job":"Known","version":1,"args":{}}"#,
        r#"{"v":1,"job":"Known","version":2,"args":{"arg":1}}"#,
        r#"{"v":1,"job":"Known","version":1,"args":{"arg":"x"}}"#,
        r#"{"v":1,"job":"Unknown","version":1,"args":{}}"#,
        "test",
    ];
    for entry in entries {
        app.app.queue.append(Queue::Maintenance, entry.into()).await.unwrap();
    }
    Known { arg: 1 }.enqueue(&app.app.queue).await.unwrap();
    let (_shutdown, _) = start(&app, KINDS, "1");
    until("the good one runs", async || RUNS.load(Ordering::SeqCst) == 1).await;
    until("the others are buried", async || app.redis.command("XLEN q:maintenance:dead") == ":5").await;
    let mut letters = app.app.queue.dead_letters(Queue::Maintenance, None, 10).await.unwrap();
    letters.sort_by(|one, other| one.entry_id.cmp(&other.entry_id));
    let kept: Vec<&[u8]> = letters.iter().map(|letter| letter.data.as_ref()).collect();
    assert_eq!(kept, entries.map(str::as_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_runner_finishes_what_runs_and_hands_back_the_rest() {
    job!(Slow, RUNS, |_arg| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    });
    static KINDS: &[Kind] = &[Kind::of::<Slow>()];
    let app = TestApp::start().await;
    for arg in 0..12 {
        Slow { arg }.enqueue(&app.app.queue).await.unwrap();
    }
    let (shutdown, task) = start(&app, KINDS, "1");
    until("some run", async || RUNS.load(Ordering::SeqCst) > 0).await;
    shutdown.drain();
    task.await.unwrap();
    let done = RUNS.load(Ordering::SeqCst);
    assert!(done < 12);
    assert_eq!(app.redis.command("XLEN q:maintenance"), format!(":{}", 12 - done));
    let (_shutdown, _) = start(&app, KINDS, "2");
    until("another worker does them", async || app.redis.command("XLEN q:maintenance") == ":0").await;
    assert_eq!(RUNS.load(Ordering::SeqCst), 12);
}
