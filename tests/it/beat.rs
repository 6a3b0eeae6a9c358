//! Jobs that one worker does for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::{DateTime, Utc};
use glitchbox::app::App;
use glitchbox::config::Config;
use glitchbox::jobs::BEATS;
use glitchbox::jobs::beat::{Beat, When};
use glitchbox::jobs::clean_up;
use glitchbox::store::job_run;
use tokio::sync::Semaphore;

use crate::support::{TestApp, TestDatabase};

/// A worker's half of an instance, as another process has it.
fn another(app: &TestApp) -> Arc<App> {
    Arc::new(App::connect(app.app.config.clone()).unwrap())
}

fn job(name: &'static str, when: When, run: fn(Arc<App>) -> glitchbox::jobs::beat::Running) -> Beat {
    Beat { name, when, limit: Duration::from_secs(20), run }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_workers_one_runs_a_job_and_the_other_does_not() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static GATE: Semaphore = Semaphore::const_new(0);
    static JOB: std::sync::LazyLock<Beat> = std::sync::LazyLock::new(|| {
        job("together", When::InOneWorker(Duration::from_hours(1)), |app| {
            Box::pin(async move {
                RUNS.fetch_add(1, Ordering::SeqCst);
                // However small the pool is, the job has it.
                job_run::find(&app.db, "together").await?;
                GATE.acquire().await?.forget();
                Ok(())
            })
        })
    });
    let app = TestApp::start_with(&[("DATABASE_POOL", "1")]).await;
    let (one, two) = (Arc::clone(&app.app), another(&app));
    let running = tokio::spawn({
        let one = Arc::clone(&one);
        async move { JOB.take_part(&one).await }
    });
    until("the job starts", async || RUNS.load(Ordering::SeqCst) == 1).await;

    let pause = JOB.take_part(&two).await.unwrap();
    assert_eq!(RUNS.load(Ordering::SeqCst), 1, "it runs already");
    assert!(pause >= Duration::from_secs(10), "looks again only after {pause:?}");
    GATE.add_permits(1);
    running.await.unwrap().unwrap();

    for worker in [&one, &two] {
        let pause = JOB.take_part(worker).await.unwrap();
        assert!(pause > Duration::from_mins(50), "the next turn is an hour after the last, not {pause:?}");
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_daily_job_runs_once_a_day_however_often_the_worker_is_restarted() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let daily = job("daily", When::Daily, |_| {
        Box::pin(async {
            RUNS.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    });
    let app = TestApp::start().await;
    for _ in 0..3 {
        daily.take_part(&another(&app)).await.unwrap();
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    // A day goes by; the worker was away at midnight.
    sqlx::query("update job_run set succeeded_at = succeeded_at - interval '1 day' where name = 'daily'")
        .execute(&app.app.db)
        .await
        .unwrap();
    for _ in 0..3 {
        daily.take_part(&another(&app)).await.unwrap();
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failure_is_noted_and_tried_again_after_a_pause() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let failing = job("failing", When::Daily, |_| {
        Box::pin(async {
            match RUNS.fetch_add(1, Ordering::SeqCst) {
                0 => bail!("the disk is full"),
                1 => panic!("a fault of ours"),
                _ => Ok(()),
            }
        })
    });
    let app = TestApp::start().await;
    let pool = &app.app.db;
    for (runs, reason, seconds) in [(1, "the disk is full", 10), (2, "broke off", 20)] {
        let error = failing.take_part(&app.app).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        let run = job_run::find(pool, "failing").await.unwrap();
        assert_eq!((run.failures, run.succeeded_at), (runs, None));
        assert!(run.error.unwrap().contains(reason));
        let rest = run.retry_at.unwrap() - run.now;
        assert!((seconds - 5..=seconds).contains(&rest.num_seconds()), "{rest}");

        // Another worker leaves it in peace, too.
        failing.take_part(&another(&app)).await.unwrap();
        assert_eq!(RUNS.load(Ordering::SeqCst), usize::try_from(runs).unwrap());
        sqlx::query("update job_run set retry_at = now()").execute(pool).await.unwrap();
    }
    failing.take_part(&app.app).await.unwrap();
    let run = job_run::find(pool, "failing").await.unwrap();
    assert_eq!((run.failures, run.retry_at, run.error), (0, None, None));
    assert!(run.succeeded_at.is_some());
}

#[tokio::test]
async fn a_job_that_hangs_is_broken_off() {
    let hanging =
        Beat { limit: Duration::from_millis(50), ..job("hanging", When::Daily, |_| Box::pin(std::future::pending())) };
    let app = TestApp::start().await;
    let error = hanging.take_part(&app.app).await.unwrap_err().to_string();
    assert!(error.contains("longer than"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_dies_is_free_for_the_next() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static JOB: std::sync::LazyLock<Beat> = std::sync::LazyLock::new(|| {
        job("orphaned", When::Daily, |_| {
            Box::pin(async {
                match RUNS.fetch_add(1, Ordering::SeqCst) {
                    0 => std::future::pending().await,
                    _ => Ok(()),
                }
            })
        })
    });
    let app = TestApp::start().await;
    let (first, second) = (Arc::clone(&app.app), another(&app));
    let running = tokio::spawn(async move { JOB.take_part(&first).await });
    until("the job starts", async || RUNS.load(Ordering::SeqCst) == 1).await;
    running.abort();
    until("the next worker takes over", async || {
        JOB.take_part(&second).await.unwrap();
        RUNS.load(Ordering::SeqCst) == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_of_an_instance_share_the_beat_table() {
    let app = TestApp::start().await;
    let workers = [Arc::clone(&app.app), another(&app), another(&app)];
    let shutdown = glitchbox::shutdown::Shutdown::new();
    for worker in &workers {
        glitchbox::jobs::beat::start(worker, BEATS, &shutdown);
    }
    let succeeded = async || -> Vec<(String, Option<DateTime<Utc>>)> {
        sqlx::query_as("select name, succeeded_at from job_run order by name").fetch_all(&app.app.db).await.unwrap()
    };
    until("the jobs have run", async || {
        let runs = succeeded().await;
        ["make_partitions", clean_up::NAME].iter().all(|name| runs.iter().any(|(known, _)| known == name))
    })
    .await;
    shutdown.stop();
}

#[tokio::test]
async fn after_a_leap_of_the_clock_clean_up_waits_a_day() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let life = |name: &str| (name == "GLITCHTIP_MAX_EVENT_LIFE_DAYS").then(|| "7".to_owned());
    let week = Config::from_lookup(&life).unwrap();
    let is_on_hold = async || clean_up::is_on_hold(pool, &week).await.unwrap();
    let set = async |name: &str, ago: &str| {
        let sql = "insert into job_run (name, succeeded_at) values ($1, now() - $2::interval)
                   on conflict (name) do update set succeeded_at = excluded.succeeded_at";
        sqlx::query(sql).bind(name).bind(ago).execute(pool).await.unwrap();
    };
    assert!(!is_on_hold().await, "nobody has cleaned up before");
    set("clean_up", "6 days").await;
    assert!(!is_on_hold().await);
    set("clean_up", "8 days").await;
    assert!(is_on_hold().await);
    // As the job does at the end of a run; the next one comes too early.
    set("clean_up", "0 days").await;
    assert!(is_on_hold().await);
    set("clean_up_hold", "25 hours").await;
    assert!(!is_on_hold().await, "nobody has set the clock right, so it is");
    // Set back, it had been ahead.
    set("clean_up_hold", "-400 days").await;
    assert!(!is_on_hold().await);
}
