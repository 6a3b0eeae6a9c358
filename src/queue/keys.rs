//! The names used in Redis.

use std::time::Duration;

/// A work queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Accepted items on their way to the worker.
    Ingest,
    /// Wakes the worker for what somebody waits for on a page; what it is stands in PostgreSQL.
    Notify,
}

/// The consumer group of every queue.
pub(super) const GROUP: &str = "workers";

/// The field of an entry that holds the work.
pub(super) const DATA: &str = "d";

/// Dead letters kept, the latest: whoever may send events can make them, and they must not fill Redis.
pub(super) const MAX_DEAD: i64 = 100;

/// Bytes kept of a dead letter's work: enough to see what is wrong with it.
pub(super) const MAX_DEAD_BYTES: usize = 128 * 1024;

impl Queue {
    /// Every queue there is.
    pub const ALL: [Self; 2] = [Self::Ingest, Self::Notify];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Notify => "notify",
        }
    }

    /// The queue of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// The stream.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Ingest => "q:ingest",
            Self::Notify => "q:notify",
        }
    }

    /// How long a read waits for new work. It ends as soon as there is some; only the idle time between matters:
    /// every end wakes the worker and Redis.
    pub(super) const fn block(self) -> Duration {
        match self {
            Self::Ingest => Duration::from_secs(2),
            Self::Notify => Duration::from_mins(1),
        }
    }

    /// The stream of what can never be done.
    pub(super) const fn dead_key(self) -> &'static str {
        match self {
            Self::Ingest => "q:ingest:dead",
            Self::Notify => "q:notify:dead",
        }
    }

    /// The sorted set of what is to be done later, by its time in ms.
    pub(super) fn delayed_key(self) -> String {
        self.key().to_owned() + ":delayed"
    }

    /// There while nobody shall read the queue.
    pub(super) fn paused_key(self) -> String {
        self.key().to_owned() + ":paused"
    }
}
