//! The names used in Redis.

use std::time::Duration;

/// A work queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Accepted items on their way to the worker.
    Ingest,
    /// What somebody waits for on a page.
    Notify,
    /// What nobody waits for.
    Maintenance,
}

/// The consumer group of every queue.
pub(super) const GROUP: &str = "workers";

/// The field of an entry that holds the work.
pub(super) const DATA: &str = "d";

/// The consumer that is nobody: what is pending under its name was handed back, and is there for whoever comes first.
pub(super) const HANDED_BACK: &str = "handed-back";

/// Dead letters kept, the latest: whoever may send events can make them, and they must not fill Redis.
pub(super) const MAX_DEAD: usize = 1000;

/// Bytes kept of one: whatever the edge accepts fits in.
pub(super) const MAX_DEAD_BYTES: usize = 2 * 1024 * 1024;

/// Bytes kept of all of a queue's.
pub(super) const MAX_DEAD_TOTAL: usize = 8 * 1024 * 1024;

impl Queue {
    /// Every queue there is.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Notify, Self::Maintenance];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Notify => "notify",
            Self::Maintenance => "maintenance",
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
            Self::Maintenance => "q:maintenance",
        }
    }

    /// How long a read waits for new work. It ends as soon as there is some; only the idle time between matters:
    /// every end wakes the worker and Redis.
    pub(super) const fn block(self) -> Duration {
        match self {
            Self::Ingest => Duration::from_secs(10),
            Self::Notify | Self::Maintenance => Duration::from_mins(1),
        }
    }

    /// The stream of what can never be done.
    pub(super) const fn dead_key(self) -> &'static str {
        match self {
            Self::Ingest => "q:ingest:dead",
            Self::Notify => "q:notify:dead",
            Self::Maintenance => "q:maintenance:dead",
        }
    }

    /// How many bytes the dead letters take.
    pub(super) fn dead_bytes_key(self) -> String {
        self.dead_key().to_owned() + ":bytes"
    }

    /// The sorted set of what is to be done later, by its time in ms.
    pub(super) fn delayed_key(self) -> String {
        self.key().to_owned() + ":delayed"
    }

    /// There while a task with this key waits.
    pub(super) fn dedup_key(self, key: &str) -> String {
        format!("{}:dedup:{key}", self.key())
    }

    /// There while nobody shall read the queue.
    pub(super) fn paused_key(self) -> String {
        self.key().to_owned() + ":paused"
    }
}
