//! Runs jobs when they are due: each in a task of its own, so that a panic ends the run and not the beat, within its
//! time limit, and again with growing pauses when it fails.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, Days, TimeDelta, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::shutdown::Shutdown;
use crate::store::job_run::{self, JobRun, Turn};

/// A job that failed is tried again after this long, then twice that, and so on.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// The longest pause after a failure.
const LAST_RETRY: Duration = Duration::from_mins(5);

/// While another worker does a job: after this long we see whether it has succeeded.
const RECHECK: Duration = Duration::from_mins(1);

/// No sleep is longer, in case somebody sets the clock.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// So long after midnight UTC does a day begin for [`When::Daily`].
const DAY_BEGINS: TimeDelta = TimeDelta::minutes(10);

/// Daily jobs let the start of the whole instance pass first.
const CALM: Duration = Duration::from_secs(5);

/// What a job comes down to.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Who runs a job, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every worker for itself: at its start, and this long after the end of each run.
    InEachWorker(Duration),
    /// One worker for all: this long after the start of the last run, whichever worker's it was.
    InOneWorker(Duration),
    /// One worker for all, once each UTC day, early in it; a day that nobody was there for is made up for at the
    /// next start.
    Daily,
}

/// A job of the beat table.
pub struct Beat {
    /// For the log and for table `job_run`; unique.
    pub name: &'static str,
    /// Who runs it, and when.
    pub when: When,
    /// A run that takes longer is broken off, and has failed.
    pub limit: Duration,
    /// The job.
    pub run: fn(Arc<App>) -> Running,
}

impl std::fmt::Debug for Beat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beat").field("name", &self.name).field("when", &self.when).finish_non_exhaustive()
    }
}

/// Runs every job of `beats` when it is due, until `shutdown`; runs under way are broken off then.
pub fn start(app: &Arc<App>, beats: &'static [Beat], shutdown: &Shutdown) {
    for beat in beats {
        let (app, shutdown) = (Arc::clone(app), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.draining() => {}
                () = repeat(app, beat) => {}
            }
        });
    }
}

async fn repeat(app: Arc<App>, beat: &Beat) {
    let mut failures = 0;
    if beat.when == When::Daily {
        sleep(CALM).await;
    }
    loop {
        let pause = match beat.when {
            When::InEachWorker(pause) => beat.execute(&app).await.map(|()| pause),
            When::InOneWorker(_) | When::Daily => beat.take_part(&app).await,
        };
        let pause = match pause {
            Ok(pause) => {
                failures = 0;
                pause
            }
            Err(error) => {
                failures += 1;
                let pause = pause_after(failures);
                let error = format!("{error:#}");
                tracing::warn!(job = beat.name, error, failures, retry_s = pause.as_secs(), "a job failed");
                pause
            }
        };
        sleep(pause).await;
    }
}

impl Beat {
    /// Does its part in a job that one worker does for all: runs it when it is due and nobody else does. Says when to
    /// look again.
    pub async fn take_part(&self, app: &Arc<App>) -> anyhow::Result<Duration> {
        if let Some(pause) = pause_until(self.due_in(&job_run::find(&app.db, self.name).await?)) {
            return Ok(pause);
        }
        let Some(turn) = job_run::take_turn(&app.db, self.name).await? else { return Ok(RECHECK) };
        // Another worker may have done it since we looked.
        if let Some(pause) = pause_until(self.due_in(&turn.run)) {
            turn.pass().await?;
            return Ok(pause);
        }
        self.run_in(turn, app).await?;
        Ok(Duration::ZERO)
    }

    /// Runs the job in this turn, due or not, and notes how it went.
    pub async fn run_in(&self, turn: Turn, app: &Arc<App>) -> anyhow::Result<()> {
        let Err(error) = self.execute(app).await else {
            return Ok(turn.succeeded().await?);
        };
        let pause = pause_after(turn.run.failures.saturating_add(1).unsigned_abs());
        // What went wrong matters more than that it could not be noted.
        drop(turn.failed(Utc::now() + pause, &format!("{error:#}")).await);
        Err(error)
    }

    async fn execute(&self, app: &Arc<App>) -> anyhow::Result<()> {
        let run = AbortOnDropHandle::new(tokio::spawn((self.run)(Arc::clone(app))));
        match timeout(self.limit, run).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(anyhow!("the job broke off: {error}")),
            Err(_) => Err(anyhow!("the job took longer than {} s", self.limit.as_secs())),
        }
    }

    /// How long until the job is due, by what is known of its runs; zero: it is.
    fn due_in(&self, run: &JobRun) -> TimeDelta {
        let due = match (run.retry_at, run.succeeded_at) {
            (Some(retry_at), _) => retry_at,
            // Nobody has run it; or with a clock that was ahead of time.
            (None, None) => run.now,
            (None, Some(last)) if last > run.now => run.now,
            (None, Some(last)) => self.next(last),
        };
        due - run.now
    }

    /// When the job is due after a run that began at `last`.
    fn next(&self, last: DateTime<Utc>) -> DateTime<Utc> {
        match self.when {
            When::InEachWorker(pause) | When::InOneWorker(pause) => last + pause,
            When::Daily => {
                let day = (last - DAY_BEGINS).date_naive();
                let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
                next.and_time(chrono::NaiveTime::MIN).and_utc() + DAY_BEGINS
            }
        }
    }
}

fn pause_until(due: TimeDelta) -> Option<Duration> {
    due.to_std().ok().filter(|pause| !pause.is_zero()).map(|pause| pause.min(LONGEST_SLEEP))
}

fn pause_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn beat(when: When) -> Beat {
        Beat { name: "test", when, limit: Duration::from_secs(1), run: |_| Box::pin(async { Ok(()) }) }
    }

    fn run(now: &str, succeeded_at: Option<&str>) -> JobRun {
        JobRun { now: at(now), succeeded_at: succeeded_at.map(at), failures: 0, retry_at: None, error: None }
    }

    #[test]
    fn a_daily_job_is_due_once_for_each_utc_day() {
        let daily = beat(When::Daily);
        for (last, next) in [
            ("2026-11-20T00:10:00Z", "2026-11-21T00:10:00Z"),
            ("2026-11-20T23:59:59Z", "2026-11-21T00:10:00Z"),
            // Before the day has begun, the run counts for the day before.
            ("2026-11-20T00:09:59Z", "2026-11-20T00:10:00Z"),
            // The nights on which clocks are changed, in Europe and in America: UTC knows none.
            ("2026-10-24T00:10:30Z", "2026-10-25T00:10:00Z"),
            ("2026-10-25T00:10:30Z", "2026-10-26T00:10:00Z"),
            ("2026-03-29T00:10:30Z", "2026-03-30T00:10:00Z"),
            ("2026-03-08T00:10:30Z", "2026-03-09T00:10:00Z"),
            ("2026-12-31T12:00:00Z", "2027-01-01T00:10:00Z"),
            ("2028-02-28T12:00:00Z", "2028-02-29T00:10:00Z"),
        ] {
            assert_eq!(daily.next(at(last)), at(next), "after {last}");
        }
    }

    #[test]
    fn what_was_never_run_or_was_missed_is_due_at_once() {
        let (daily, hourly) = (beat(When::Daily), beat(When::InOneWorker(Duration::from_hours(1))));
        for job in [&daily, &hourly] {
            assert_eq!(pause_until(job.due_in(&run("2026-11-20T12:00:00Z", None))), None);
            assert_eq!(pause_until(job.due_in(&run("2026-11-20T12:00:00Z", Some("2026-11-10T12:00:00Z")))), None);
            // A clock that was years ahead must not put the job to sleep for years.
            assert_eq!(pause_until(job.due_in(&run("2026-11-20T12:00:00Z", Some("2031-01-01T00:00:00Z")))), None);
        }
        let due = hourly.due_in(&run("2026-11-20T12:20:00Z", Some("2026-11-20T12:00:00Z")));
        assert_eq!(pause_until(due), Some(Duration::from_mins(40)));
        let due = daily.due_in(&run("2026-11-20T12:00:00Z", Some("2026-11-20T00:10:00Z")));
        assert_eq!(pause_until(due), Some(LONGEST_SLEEP));
    }

    #[test]
    fn pauses_after_failures_grow_to_a_limit() {
        let pauses: Vec<u64> = [1, 2, 3, 5, 6, 100, u32::MAX].map(|n| pause_after(n).as_secs()).to_vec();
        assert_eq!(pauses, [10, 20, 40, 160, 300, 300, 300]);
        let failed = JobRun { retry_at: Some(at("2026-11-20T12:00:10Z")), ..run("2026-11-20T12:00:00Z", None) };
        assert_eq!(pause_until(beat(When::Daily).due_in(&failed)), Some(Duration::from_secs(10)));
    }
}
