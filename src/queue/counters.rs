//! Counts of what happened in a window of time, shared between processes.
//!
//! | key | what it is |
//! |---|---|
//! | `limit:ID:SECONDS:INDEX` | a hash: what each process has counted in the window that begins `SECONDS * INDEX` after 1970. It expires behind the window |
//!
//! Each process writes its own field, and always the whole count: writing it twice does no harm, and if Redis comes
//! back empty, everybody writes theirs again.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{HashesInterface, KeysInterface};
use fred::types::Value;
use tokio::time::timeout;

use super::Producer;
use super::error::QueueError;

/// How long somebody who looks at a count waits for it.
const TELL_LIMIT: Duration = Duration::from_millis(300);

/// Seconds that a count outlives its window: clocks differ.
const KEEP_S: i64 = 60;

/// A window of time, and what is counted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// What is counted.
    pub id: i64,
    /// Length of the window.
    pub seconds: u32,
    /// How many of that length went before, since 1970.
    pub index: i64,
}

impl Window {
    /// The window of this length, at least a second, that a time is in.
    pub fn at(id: i64, seconds: u32, unix_s: i64) -> Self {
        let seconds = seconds.max(1);
        Self { id, seconds, index: unix_s.div_euclid(seconds.into()) }
    }

    /// The first second behind it.
    pub fn ends_at(self) -> i64 {
        self.index.saturating_add(1).saturating_mul(self.seconds.into())
    }

    fn key(self) -> String {
        format!("limit:{}:{}:{}", self.id, self.seconds, self.index)
    }
}

/// Reads and writes the counts. Cheap to clone.
#[derive(Clone)]
pub struct Counters {
    client: Client,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Producer {
    /// The counts in the same Redis, over the same connection.
    pub fn counters(&self) -> Counters {
        Counters { client: self.client.clone() }
    }
}

impl Counters {
    /// Notes what the process `own_name` has counted so far, and gives back what all others have, in the same order.
    pub async fn exchange(
        &self,
        own_name: &str,
        unix_s: i64,
        counts: &[(Window, u64)],
    ) -> Result<Vec<u64>, QueueError> {
        let pipeline = self.client.pipeline();
        for (window, own) in counts.iter().filter(|(_, own)| *own > 0) {
            let own = i64::try_from(*own).unwrap_or(i64::MAX);
            pipeline.hset::<(), _, _>(window.key(), (own_name, own)).await?;
            let left = window.ends_at().saturating_sub(unix_s).max(0).saturating_add(KEEP_S);
            pipeline.expire::<(), _>(window.key(), left, None).await?;
        }
        for (window, _) in counts {
            pipeline.hgetall::<(), _>(window.key()).await?;
        }
        let mut written = pipeline.try_all::<Value>().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let hashes = written.split_off(written.len().saturating_sub(counts.len()));
        let others = |hash: Value| -> Result<u64, QueueError> {
            let hash: HashMap<String, u64> = hash.convert()?;
            let others = hash.iter().filter(|(name, _)| *name != own_name);
            Ok(others.fold(0, |sum: u64, (_, count)| sum.saturating_add(*count)))
        };
        hashes.into_iter().map(others).collect()
    }

    /// What all processes together have counted, in the same order; none if Redis does not tell at once.
    pub async fn totals(&self, windows: &[Window]) -> Option<Vec<u64>> {
        let counts: Vec<(Window, u64)> = windows.iter().map(|window| (*window, 0)).collect();
        timeout(TELL_LIMIT, self.exchange("", 0, &counts)).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_side_by_side() {
        let window = Window::at(7, 60, 119);
        assert_eq!((window.index, window.ends_at()), (1, 120));
        assert_eq!(Window::at(7, 60, 120).index, 2);
        assert_eq!(window.key(), "limit:7:60:1");
        assert_eq!(Window::at(7, 0, 5), Window::at(7, 1, 5));
    }
}
