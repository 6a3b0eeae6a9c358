//! What the edge keeps between requests.

use std::sync::Arc;
use std::time::Duration;

use super::canary;
use super::key_cache::KeyCache;
use super::limit::Limits;
use super::mismatch::Mismatches;
use super::spool::{Spool, SpoolState};
use crate::app::App;

/// The keys, what limits let through, and the spool that takes what is accepted. One for each process that takes events.
#[derive(Debug)]
pub struct Edge {
    pub(super) keys: Arc<KeyCache>,
    pub(super) limits: Arc<Limits>,
    pub(super) spool: Spool,
    pub(super) mismatches: Mismatches,
}

/// The spool's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolNumbers {
    /// What this process holds.
    pub state: SpoolState,
    /// Stretches that could not be read, since the start.
    pub damaged: u64,
    /// Nothing more is taken in for want of room.
    pub is_full: bool,
}

impl Edge {
    /// Opens the spool; succeeds with PostgreSQL and Redis away. Call inside the runtime.
    pub fn open(app: &App) -> anyhow::Result<Arc<Self>> {
        let spool = Spool::open(&app.config)?;
        let keys = Arc::new(KeyCache::open(app.config.data_dir.join("spool").join("keys")));
        keys.start(app.db.clone());
        let limits = Arc::new(Limits::new());
        limits.start(app.queue.counters());
        Ok(Arc::new(Self { keys, limits, spool, mismatches: Mismatches::default() }))
    }

    /// Sends a canary now and then, from now on until this is dropped.
    pub fn send_canaries(self: &Arc<Self>) {
        tokio::spawn(canary::run(Arc::downgrade(self)));
    }

    /// How the spool stands.
    pub fn spool(&self) -> SpoolNumbers {
        SpoolNumbers {
            state: self.spool.state(),
            damaged: self.spool.damaged(),
            is_full: self.spool.refuses_for().is_some(),
        }
    }

    /// Waits up to `limit` until all that was accepted is stored; the next process has the rest. Call when no request is
    /// answered any more.
    pub async fn close(&self, limit: Duration) {
        self.spool.close(limit).await;
    }
}
