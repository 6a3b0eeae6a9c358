//! Work on blocking threads that may hang. A thread cannot be stopped: what it hangs at is told apart, the rest is done
//! again by another thread, and when too many hang, the process must end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Threads that may hang at the same time. Each may take a whole core.
pub(super) const MAX_HUNG: usize = 4;

static HUNG: AtomicUsize = AtomicUsize::new(0);

/// How long one item may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Looks at the thread that must find it at the same item. Looks, not time: a process that was stopped, or starved,
    /// for a minute has not looked meanwhile.
    pub(super) looks: usize,
    /// Time between two looks.
    pub(super) between: Duration,
}

impl Patience {
    /// In words.
    pub(super) fn describe(self) -> String {
        let limit = self.between.as_secs_f64() * f64::from(u32::try_from(self.looks).unwrap_or(u32::MAX));
        format!("processing it took longer than {limit} s")
    }
}

/// Where a thread is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    items: AtomicUsize,
    /// Set by whichever comes first: the thread's end, or the end of patience with it.
    is_decided: AtomicBool,
}

impl Progress {
    /// The next item is done.
    pub(super) fn advance(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
    }

    /// True for the first who asks.
    fn decide(&self) -> bool {
        !self.is_decided.swap(true, Ordering::AcqRel)
    }
}

/// Threads that hang now.
pub(super) fn hung() -> usize {
    HUNG.load(Ordering::Relaxed)
}

/// Does `work` on `items` on a blocking thread; `work` advances the progress after each item, in order. Also gives back
/// the items that it hung at; what it gives back for the others is as if those had not been there.
pub(super) async fn guard<I, T, F>(mut items: Vec<I>, patience: Patience, work: F) -> (Option<T>, Vec<I>)
where
    I: Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(Vec<I>, &Progress) -> T + Clone + Send + 'static,
{
    let mut culprits = Vec::new();
    while !items.is_empty() {
        let progress = Arc::new(Progress::default());
        let (copy, its_own, work) = (items.clone(), Arc::clone(&progress), work.clone());
        let mut thread = spawn_blocking(move || {
            let done = work(copy, &its_own);
            if !its_own.decide() {
                HUNG.fetch_sub(1, Ordering::Relaxed);
            }
            done
        });
        let at = tokio::select! {
            // Panics are caught inside; the runtime cancels blocking tasks only at its end.
            done = &mut thread => return (done.ok(), culprits),
            at = standstill(&progress, patience) => at,
        };
        HUNG.fetch_add(1, Ordering::Relaxed);
        if !progress.decide() {
            HUNG.fetch_sub(1, Ordering::Relaxed);
            return (thread.await.ok(), culprits);
        }
        if at < items.len() {
            culprits.push(items.remove(at));
        }
    }
    (None, culprits)
}

/// Completes with the place at which `progress` has stood still for too long.
async fn standstill(progress: &Progress, patience: Patience) -> usize {
    let mut clock = interval_at(Instant::now() + patience.between, patience.between);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut at, mut looks) = (0, 0);
    loop {
        clock.tick().await;
        let now = progress.items.load(Ordering::Relaxed);
        (at, looks) = if now == at { (at, looks + 1) } else { (now, 0) };
        if looks >= patience.looks {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_told_apart_and_the_rest_is_done() {
        static GATE: AtomicBool = AtomicBool::new(false);
        let patience = Patience { looks: 5, between: Duration::from_millis(20) };
        let work = |items: Vec<u32>, progress: &Progress| {
            let mut done = Vec::new();
            for item in items {
                while item % 10 == 7 && !GATE.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                done.push(item);
                progress.advance();
            }
            done
        };
        let (done, culprits) = guard((0..20).collect(), patience, work).await;
        assert_eq!(culprits, [7, 17]);
        assert_eq!(done.unwrap(), (0..20).filter(|item| item % 10 != 7).collect::<Vec<_>>());
        assert_eq!(hung(), 2);
        // A thread that comes to an end after all hangs no more.
        GATE.store(true, Ordering::Relaxed);
        while hung() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (done, culprits) = guard(vec![7_u32], patience, work).await;
        assert_eq!((done.unwrap(), culprits), (vec![7], vec![]));
        assert_eq!(hung(), 0);
    }
}
