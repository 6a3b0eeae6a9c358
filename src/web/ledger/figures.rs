//! The sums that the page shows, out of the ledger's rows.

use std::collections::{BTreeMap, HashMap};

use crate::ids::ProjectId;
use crate::store::ledger::LedgerTotal;
use crate::store::outcome::Outcome;

/// What became of a number of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Figures {
    pub(super) accepted: i64,
    pub(super) stored: i64,
    pub(super) filtered: i64,
    pub(super) rejected: i64,
    /// Accepted, and not settled yet.
    pub(super) queued: i64,
    pub(super) rate_limited: i64,
    pub(super) discarded: i64,
}

/// Most reasons of an outcome that are told apart: SDKs can make theirs up.
const MAX_CAUSES: usize = 50;

/// Items of one outcome that have a category and a reason in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) category: String,
    pub(super) reason: String,
    pub(super) quantity: i64,
}

/// Why items came to one outcome.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// The most frequent first.
    pub(super) top: Vec<Cause>,
    /// How many further reasons there are.
    pub(super) others: i64,
    /// ... and of how many items.
    pub(super) others_quantity: i64,
}

impl Causes {
    fn new(quantities: HashMap<(String, String), i64>) -> Self {
        let mut top: Vec<Cause> =
            quantities.into_iter().map(|((category, reason), quantity)| Cause { category, reason, quantity }).collect();
        top.sort_by(|a, b| {
            let by_name = || (&a.reason, &a.category).cmp(&(&b.reason, &b.category));
            b.quantity.cmp(&a.quantity).then_with(by_name)
        });
        let rest = top.split_off(top.len().min(MAX_CAUSES));
        let others_quantity = rest.iter().map(|cause| cause.quantity).sum();
        Self { top, others: i64::try_from(rest.len()).unwrap_or(i64::MAX), others_quantity }
    }
}

/// How both sides of the ledger compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Balance {
    /// Accepted in the newest hours and not settled yet.
    pub(super) queued: i64,
    /// Accepted longer ago than that, and still not settled.
    pub(super) overdue: i64,
    /// Settled in the newest hours, while the edge's count of them is still on its way.
    pub(super) ahead: i64,
    /// Settled longer ago than that, and never counted by the edge: not to happen.
    pub(super) surplus: i64,
    /// Settled before the edge began to count.
    pub(super) uncounted: i64,
}

/// Everything the page shows of the ledger.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) total: Figures,
    pub(super) by_project: BTreeMap<ProjectId, Figures>,
    pub(super) by_category: BTreeMap<String, Figures>,
    /// Of what was not stored, by outcome.
    reasons: BTreeMap<Outcome, Causes>,
    pub(super) balance: Balance,
}

/// What was accepted less what was settled, of one project and category.
#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    old: i64,
    recent: i64,
    uncounted: i64,
}

impl Sides {
    fn add(&mut self, outcome: Outcome, total: &LedgerTotal) {
        let sign = match outcome {
            Outcome::Accepted => 1,
            Outcome::Stored | Outcome::Filtered | Outcome::Rejected => -1,
            // Never accepted.
            Outcome::RateLimited | Outcome::Discarded => return,
        };
        self.recent += sign * total.recent;
        self.old += sign * (total.quantity - total.uncounted - total.recent);
        if sign < 0 {
            self.uncounted += total.uncounted;
        }
    }
}

impl Figures {
    fn add(&mut self, outcome: Outcome, quantity: i64) {
        let place = match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Stored => &mut self.stored,
            Outcome::Filtered => &mut self.filtered,
            Outcome::Rejected => &mut self.rejected,
            Outcome::RateLimited => &mut self.rate_limited,
            Outcome::Discarded => &mut self.discarded,
        };
        *place += quantity;
    }
}

impl Summary {
    pub(super) fn new(totals: Vec<LedgerTotal>) -> Self {
        let mut summary = Self::default();
        let mut reasons: BTreeMap<Outcome, HashMap<(String, String), i64>> = BTreeMap::new();
        let mut sides: BTreeMap<(ProjectId, String), Sides> = BTreeMap::new();
        for total in totals {
            let Some(outcome) = outcome(&total.outcome) else { continue };
            summary.total.add(outcome, total.quantity);
            summary.by_project.entry(total.project_id).or_default().add(outcome, total.quantity);
            summary.by_category.entry(total.category.clone()).or_default().add(outcome, total.quantity);
            sides.entry((total.project_id, total.category.clone())).or_default().add(outcome, &total);
            if !matches!(outcome, Outcome::Accepted | Outcome::Stored) && total.quantity > 0 {
                let causes = reasons.entry(outcome).or_default();
                *causes.entry((total.category, total.reason)).or_default() += total.quantity;
            }
        }
        summary.reasons = reasons.into_iter().map(|(outcome, causes)| (outcome, Causes::new(causes))).collect();
        for ((project, _), side) in sides {
            let balance = &mut summary.balance;
            balance.uncounted += side.uncounted;
            balance.overdue += side.old.max(0);
            balance.surplus += (-side.old).max(0);
            balance.queued += side.recent.max(0);
            balance.ahead += (-side.recent).max(0);
            let queued = side.old.max(0) + side.recent.max(0);
            summary.total.queued += queued;
            summary.by_project.entry(project).or_default().queued += queued;
        }
        summary
    }

    /// Why items came to this outcome; none when none did.
    pub(super) fn reasons(&self, outcome: Outcome) -> Option<&Causes> {
        self.reasons.get(&outcome)
    }
}

/// The outcome stored under this name; a later version of the program may know more.
pub(super) fn outcome(name: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(project: i64, category: &str, outcome: &str, reason: &str, quantity: i64) -> LedgerTotal {
        LedgerTotal {
            project_id: ProjectId(project),
            category: category.to_owned(),
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            quantity,
            uncounted: 0,
            recent: quantity,
        }
    }

    fn old(category: &str, outcome: &str, quantity: i64, uncounted: i64) -> LedgerTotal {
        LedgerTotal { uncounted, recent: 0, ..total(1, category, outcome, "", quantity) }
    }

    #[test]
    fn items_are_summed_up_by_project_category_and_reason() {
        let summary = Summary::new(vec![
            total(1, "error", "accepted", "", 10),
            total(1, "error", "stored", "", 7),
            total(1, "error", "filtered", "duplicate", 1),
            total(2, "error", "filtered", "duplicate", 4),
            total(2, "session", "filtered", "not_kept", 9),
            total(2, "error", "of a later version", "", 1),
        ]);
        assert_eq!(summary.total.stored, 7);
        assert_eq!(summary.by_project[&ProjectId(2)].filtered, 13);
        assert_eq!(summary.by_category["session"].filtered, 9);
        assert_eq!(summary.by_project[&ProjectId(1)].queued, 2);
        let reasons: Vec<_> = summary
            .reasons(Outcome::Filtered)
            .unwrap()
            .top
            .iter()
            .map(|one| (one.reason.as_str(), one.quantity))
            .collect();
        assert_eq!(reasons, [("not_kept", 9), ("duplicate", 5)]);
        assert!(summary.reasons(Outcome::Rejected).is_none());
    }

    #[test]
    fn the_rarest_of_many_reasons_are_one_line() {
        let totals = (1..=60).map(|n| total(1, "error", "discarded", &format!("made-up-{n}"), n)).collect();
        let summary = Summary::new(totals);
        let causes = summary.reasons(Outcome::Discarded).unwrap();
        assert_eq!((causes.top.len(), causes.top[49].quantity), (50, 11));
        assert_eq!((causes.others, causes.others_quantity), (10, 55));
    }

    #[test]
    fn the_sides_of_different_categories_do_not_make_up_for_each_other() {
        let balance = Summary::new(vec![
            total(1, "error", "accepted", "", 5),
            total(1, "error", "stored", "", 3),
            total(1, "error", "rate_limited", "", 50),
            total(1, "session", "accepted", "", 1),
            total(1, "session", "filtered", "", 4),
            old("span", "accepted", 9, 0),
            old("span", "filtered", 10, 2),
            old("replay", "rejected", 6, 0),
        ])
        .balance;
        assert_eq!(balance, Balance { queued: 2, ahead: 3, overdue: 1, surplus: 6, uncounted: 2 });
    }
}
