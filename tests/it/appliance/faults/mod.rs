//! Faults under load, with exact accounting: each event answered with 200 is stored exactly once, each other answer is
//! explained, the ledger is balanced and all counters are those of the rows.
//!
//! Each kind has a short form, and a long one of many rounds or long outages (`./scripts/test --long`).

mod bad_entries;
mod comparison;
mod disk_full;
mod kills;
mod midnight;
mod outages;
mod redis_wrapper;
mod slow_fsync;
mod trial;
mod workers;

use trial::Trial;

/// Rounds of a long form.
const ROUNDS: usize = 20;
