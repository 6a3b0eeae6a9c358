//! How long to wait before a service that failed is started again.

use super::types::{Millis, State};
use crate::plan::Backoff;

impl State {
    /// Delay after so many failures in a row: none after the first, then doubling up to the cap, less up to a quarter
    /// of jitter so that services that fell together do not come back together.
    pub(super) fn delay(&mut self, rules: Backoff, failures: u32) -> Millis {
        if failures <= 1 {
            return 0;
        }
        let doublings = (failures - 2).min(32);
        let full = rules.base_ms.saturating_mul(1 << doublings).min(rules.max_ms);
        full - self.random() % (full / 4 + 1)
    }

    /// xorshift64: good enough to spread restarts, and the same for the same seed.
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan;

    #[test]
    fn delays_double_to_the_cap_with_at_most_a_quarter_of_jitter() {
        let mut state = State::new(Arc::new(plan::parse(plan::DEFAULT).unwrap()), 42);
        let rules = Backoff { base_ms: 250, max_ms: 30_000, healthy_ms: 0, attempts: 0 };
        assert_eq!(state.delay(rules, 1), 0);
        for (failures, full) in [(2, 250), (3, 500), (4, 1_000), (8, 16_000), (9, 30_000), (60, 30_000)] {
            for _ in 0..50 {
                let delay = state.delay(rules, failures);
                assert!(delay <= full && delay >= full - full / 4, "{failures}: {delay}");
            }
        }
    }
}
