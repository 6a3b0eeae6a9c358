//! Shows the supervisor that this process lives, by the sd_notify protocol (`WATCHDOG=1` within each `WATCHDOG_USEC`).
//!
//! What would report from a thread of its own would report for ever. This runs as a part of the main task, so that it is
//! as stuck as that is; its clock is driven by the runtime's threads; and it does not report while any of those has been at
//! one and the same piece of work since the last look.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::sleep;

use super::notify::Supervisor;

/// Closer to the next report than this, that one is left out.
const CLOSE: Duration = Duration::from_millis(50);

/// What one of the runtime's threads has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// Times it went to sleep and woke up: odd while it sleeps.
    turns: u64,
    busy: Duration,
}

impl Progress {
    fn is_stuck_since(self, before: Self) -> bool {
        self == before && self.turns.is_multiple_of(2)
    }
}

/// Reports for as long as it is polled, if anybody asked for it: `period` is `WATCHDOG_USEC`. To be polled by the task whose
/// life matters.
pub async fn keep_reporting(supervisor: &Supervisor, period: Option<&str>) -> Infallible {
    let period = period.and_then(|text| text.parse().ok()).map(Duration::from_micros);
    let Some(period) = period.filter(|period| !period.is_zero() && supervisor.is_there()) else {
        return std::future::pending().await;
    };
    beat(period / 2, || supervisor.report_life()).await
}

async fn beat(every: Duration, report: impl Fn()) -> Infallible {
    let metrics = Handle::current().metrics();
    let mut before = look(&metrics);
    loop {
        sleep(until_next(every, SystemTime::now())).await;
        let now = look(&metrics);
        let stuck = now.iter().zip(&before).filter(|(now, before)| now.is_stuck_since(**before)).count();
        if stuck == 0 {
            report();
        } else {
            tracing::error!(threads = stuck, "a thread of the runtime is stuck");
        }
        before = now;
    }
}

fn look(metrics: &RuntimeMetrics) -> Vec<Progress> {
    let progress = |worker| Progress {
        turns: metrics.worker_park_unpark_count(worker),
        busy: metrics.worker_total_busy_duration(worker),
    };
    (0..metrics.num_workers()).map(progress).collect()
}

/// Time until the next full period of the clock on the wall: all processes of a machine report together, so that the
/// supervisor wakes up once for all of them.
fn until_next(every: Duration, now: SystemTime) -> Duration {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let every_ns = every.as_nanos().max(1);
    let left = Duration::from_nanos(u64::try_from(every_ns - since % every_ns).unwrap_or(u64::MAX));
    if left < CLOSE.min(every / 4) { left + every } else { left }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    /// Runs `work` on a runtime of two threads whose main task reports; `work` gets the number of reports so far.
    fn with_reports<T>(work: impl FnOnce(Arc<AtomicUsize>) -> T + Send + 'static) -> T
    where
        T: Send + 'static,
    {
        let reports = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reports);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let outcome = runtime.block_on(async move {
            let worked = tokio::task::spawn_blocking(move || work(reports));
            tokio::select! {
                worked = worked => worked.unwrap(),
                never = beat(EVERY, move || {
                    count.fetch_add(1, Ordering::Relaxed);
                }) => match never {},
            }
        });
        runtime.shutdown_background();
        outcome
    }

    fn wait_for_more(reports: &AtomicUsize, most: Duration) -> bool {
        let (before, since) = (reports.load(Ordering::Relaxed), Instant::now());
        while since.elapsed() < most {
            // One that was on its way does not count.
            if reports.load(Ordering::Relaxed) > before + 1 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn an_idle_and_a_busy_process_report_and_one_with_a_stuck_thread_does_not() {
        static RELEASE: AtomicBool = AtomicBool::new(false);
        with_reports(|reports| {
            let patience = Duration::from_secs(20);
            assert!(wait_for_more(&reports, patience), "idle");
            let handle = Handle::current();
            let busy = handle.spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            assert!(wait_for_more(&reports, patience), "busy");
            busy.abort();
            let stuck = handle.spawn(async {
                while !RELEASE.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(!wait_for_more(&reports, EVERY * 10), "with one of two threads stuck");
            RELEASE.store(true, Ordering::Relaxed);
            assert!(wait_for_more(&reports, patience), "after that");
            drop(stuck);
        });
    }

    #[test]
    fn all_processes_of_a_machine_report_at_the_same_moments() {
        let every = Duration::from_secs(4);
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_191_600_000 + millis);
        for (now, left) in [(0, 4_000), (1, 3_999), (3_900, 100), (3_960, 4_040), (4_001, 3_999)] {
            assert_eq!(until_next(every, at(now)), Duration::from_millis(left), "{now}");
        }
    }
}
