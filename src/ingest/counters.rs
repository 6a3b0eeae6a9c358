//! How much of what passed the edge of this process, since its start.

use std::sync::atomic::{AtomicU64, Ordering};

/// The process's totals.
pub static TOTALS: Totals = Totals::new();

/// Counts that only grow.
#[derive(Debug)]
pub struct Totals {
    events: AtomicU64,
    surplus_events: AtomicU64,
    other_items: AtomicU64,
    unknown_items: AtomicU64,
    refused: AtomicU64,
}

/// The totals at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Events put into the spool.
    pub events: u64,
    /// Further events of an envelope, of which only the first counts.
    pub surplus_events: u64,
    /// Items of known types that are not kept (sessions, transactions, ...).
    pub other_items: u64,
    /// Items of types we have never heard of.
    pub unknown_items: u64,
    /// Requests answered with an error.
    pub refused: u64,
}

impl Totals {
    const fn new() -> Self {
        Self {
            events: AtomicU64::new(0),
            surplus_events: AtomicU64::new(0),
            other_items: AtomicU64::new(0),
            unknown_items: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn surplus_event(&self) {
        self.surplus_events.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn other_item(&self) {
        self.other_items.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unknown_item(&self) {
        self.unknown_items.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as they are now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            events: self.events.load(Ordering::Relaxed),
            surplus_events: self.surplus_events.load(Ordering::Relaxed),
            other_items: self.other_items.load(Ordering::Relaxed),
            unknown_items: self.unknown_items.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
