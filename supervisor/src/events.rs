//! What has happened, for people and programs who want to know: the last events in memory, and those who follow them.
//! The log has the same at greater length and for longer; here every event has a kind and names its service.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::state::{Change, Level};

/// Most events kept, and most bytes of them.
const MOST: usize = 500;
const MOST_BYTES: usize = 96 * 1024;

/// Events a follower may lag behind before it misses some.
const LAG: usize = 256;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub ts: DateTime<Utc>,
    /// What kind of event: one of those that `supervisor events --help` lists.
    pub kind: Cow<'static, str>,
    /// `info`, `warn` or `error`.
    pub level: Cow<'static, str>,
    /// Of which service; none when it is about the whole appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of which of its generations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Its process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// For people.
    pub text: String,
}

impl Entry {
    /// An event of the appliance, now.
    pub fn new(kind: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self {
            ts: Utc::now(),
            kind: kind.into(),
            level: level.name().into(),
            service: None,
            generation: None,
            pid: None,
            text: text.into(),
        }
    }
}

impl From<Change> for Entry {
    fn from(change: Change) -> Self {
        let Change { kind, level, service, generation, pid, text } = change;
        Self { service, generation, pid, ..Self::new(kind, level, text) }
    }
}

/// The last events, each as a line of JSON.
#[derive(Debug, Default)]
pub struct Events {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
    followers: Vec<mpsc::Sender<Arc<str>>>,
}

impl Events {
    /// Adds one. Secrets have to be out of it by now.
    pub fn add(&self, entry: &Entry) {
        let Ok(line) = serde_json::to_string(entry) else { return };
        let line: Arc<str> = line.into();
        let mut inner = self.lock();
        // Who is too slow misses this one; who has gone is forgotten.
        inner.followers.retain(|follower| {
            !matches!(follower.try_send(Arc::clone(&line)), Err(mpsc::error::TrySendError::Closed(_)))
        });
        inner.bytes += line.len();
        inner.lines.push_back(line);
        while inner.lines.len() > MOST || inner.bytes > MOST_BYTES {
            let Some(gone) = inner.lines.pop_front() else { break };
            inner.bytes -= gone.len();
        }
    }

    /// The last `count`, oldest first; and with `follow` every one from now on, none of them twice.
    pub fn read(&self, count: usize, follow: bool) -> (Vec<Arc<str>>, Option<mpsc::Receiver<Arc<str>>>) {
        let mut inner = self.lock();
        let skip = inner.lines.len().saturating_sub(count);
        let last = inner.lines.iter().skip(skip).map(Arc::clone).collect();
        let next = follow.then(|| {
            let (sender, receiver) = mpsc::channel(LAG);
            inner.followers.push(sender);
            receiver
        });
        (last, next)
    }

    /// There will be no more: true if anybody was following.
    pub fn dismiss(&self) -> bool {
        !std::mem::take(&mut self.lock().followers).is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_and_followers_get_each_new_one_once() {
        let events = Events::default();
        for number in 0..600 {
            events.add(&Entry::new("up", Level::Info, number.to_string()));
        }
        let (last, next) = events.read(2, true);
        let text = |line: &Arc<str>| serde_json::from_str::<Entry>(line).unwrap().text;
        assert_eq!(last.iter().map(text).collect::<Vec<_>>(), ["598", "599"]);
        assert_eq!(events.read(usize::MAX, false).0.len(), MOST);
        let mut next = next.unwrap();
        events.add(&Entry::new("up", Level::Info, "600"));
        assert_eq!(text(&next.try_recv().unwrap()), "600");
        assert!(events.dismiss());
        assert!(matches!(next.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    #[test]
    fn a_few_long_events_take_no_more_memory_than_many_short_ones() {
        let events = Events::default();
        for _ in 0..100 {
            events.add(&Entry::new("unhealthy", Level::Warn, "x".repeat(4_000)));
        }
        assert!(events.read(usize::MAX, false).0.len() < 30);
    }
}
