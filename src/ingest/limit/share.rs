//! Tells Redis what this process has let through, and learns what the others have.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::{Limits, lock};
use crate::ids::RateLimitId;
use crate::queue::{Counters, QueueError, Window};

/// Between two exchanges, while limits are in use.
const EVERY: Duration = Duration::from_millis(200);

/// ... and while Redis is away.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// A limit is in use for so long after somebody asked for it.
const IN_USE_FOR: Duration = Duration::from_secs(2);

/// Limits in one exchange; the rest has its turn in the next.
const MAX_AT_ONCE: usize = 1_000;

/// Runs until nobody holds the limits any more.
pub(super) async fn run(limits: Weak<Limits>, wake: Arc<Notify>, shared: Counters) {
    let mut is_away = false;
    loop {
        wake.notified().await;
        loop {
            let Some(held) = limits.upgrade() else { return };
            let due = held.due();
            if due.is_empty() {
                break;
            }
            let outcome = held.exchange(&shared, &due).await;
            drop(held);
            let pause = if outcome.is_ok() { EVERY } else { RETRY_EVERY };
            match outcome {
                Ok(()) if std::mem::take(&mut is_away) => tracing::info!("rate limits are shared again"),
                Err(error) if !std::mem::replace(&mut is_away, true) => {
                    tracing::warn!(%error, "rate limits are not shared at the moment; each process counts for itself");
                }
                _ => {}
            }
            sleep(pause).await;
        }
    }
}

impl Limits {
    /// What there is to tell or to learn; windows that are over are forgotten.
    fn due(&self) -> Vec<(RateLimitId, Window, u64)> {
        let (now, unix_s) = (Instant::now(), Utc::now().timestamp());
        let mut counters = lock(&self.counters);
        counters.retain(|_, counter| counter.window.ends_at() > unix_s);
        let mut due: Vec<_> = counters
            .iter()
            .filter(|(_, counter)| counter.told < counter.own || now < counter.used_at + IN_USE_FOR)
            .map(|(id, counter)| (*id, counter.window, counter.own, counter.told < counter.own))
            .collect();
        // What is not told yet comes first.
        due.sort_by_key(|(_, _, _, is_news)| !is_news);
        due.truncate(MAX_AT_ONCE);
        due.into_iter().map(|(id, window, own, _)| (id, window, own)).collect()
    }

    async fn exchange(&self, shared: &Counters, due: &[(RateLimitId, Window, u64)]) -> Result<(), QueueError> {
        let counts: Vec<(Window, u64)> = due.iter().map(|(_, window, own)| (*window, *own)).collect();
        let others = shared.exchange(&self.name, Utc::now().timestamp(), &counts).await?;
        let mut counters = lock(&self.counters);
        for ((id, window, own), others) in due.iter().zip(others) {
            if let Some(counter) = counters.get_mut(id).filter(|counter| counter.window == *window) {
                counter.told = *own;
                // In one window counts only grow; a Redis that comes back empty learns them anew.
                counter.others = counter.others.max(others);
            }
        }
        Ok(())
    }
}
