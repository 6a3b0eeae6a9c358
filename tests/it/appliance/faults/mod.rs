//! Faults under load, with exact accounting: each event answered with 200 is stored exactly once, each other answer is
//! explained, the ledger is balanced and all counters are those of the rows.
//!
//! Each kind has a short form, and a long one of many rounds or long outages (`./scripts/test --long`).

mod bad_entries;
mod comparison;
mod disk_full;
mod hangs;
mod kills;
mod midnight;
mod outages;
mod redis_wrapper;
mod slow_fsync;
mod trial;
mod workers;

use trial::Trial;

/// How often a fault is repeated.
#[derive(Debug, Clone, Copy)]
struct Rounds {
    instances: usize,
    /// On each instance. Not many more: a service that fails ten times in a row is given up.
    each: usize,
}

/// Of a short form.
const ONE: Rounds = Rounds { instances: 1, each: 1 };

/// Of a long form.
const TWENTY: Rounds = Rounds { instances: 4, each: 5 };

impl Rounds {
    /// Runs each round on an instance that the ones before have used.
    fn run(self, new: impl Fn() -> Trial, mut round: impl FnMut(&mut Trial, usize)) {
        for instance in 0..self.instances {
            let mut trial = new();
            for number in 0..self.each {
                round(&mut trial, instance * self.each + number);
            }
        }
    }
}
