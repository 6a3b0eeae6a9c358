//! The limits of the copy, by whose they are.

use std::collections::HashMap;
use std::sync::Arc;

use super::Known;
use crate::ingest::limit::Rules;
use crate::store::rate_limit::{RateLimit, Target};

/// Every limit that is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RuleTable(HashMap<Target, Arc<[RateLimit]>>);

impl RuleTable {
    pub(super) fn new(limits: &[RateLimit]) -> Self {
        let mut lists: HashMap<Target, Vec<RateLimit>> = HashMap::new();
        for limit in limits {
            lists.entry(limit.target).or_default().push(*limit);
        }
        Self(lists.into_iter().map(|(target, list)| (target, list.into())).collect())
    }

    /// Takes over what is said of these targets; true when that is news.
    pub(super) fn replace(&mut self, targets: impl IntoIterator<Item = Target>, limits: &[RateLimit]) -> bool {
        if self.0.is_empty() && limits.is_empty() {
            return false;
        }
        let mut new = Self::new(limits).0;
        let mut is_news = false;
        for target in targets {
            let list = new.remove(&target);
            is_news |= self.0.get(&target) != list.as_ref();
            match list {
                Some(list) => self.0.insert(target, list),
                None => self.0.remove(&target),
            };
        }
        is_news
    }

    /// Those that apply to a key.
    pub(super) fn of(&self, key: &Known) -> Rules {
        if self.0.is_empty() {
            return Rules::default();
        }
        Rules(targets(key).map(|target| self.0.get(&target).cloned()))
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<RateLimit> {
        self.0.values().flat_map(|list| list.iter().copied()).collect()
    }
}

/// Whose limits apply to a key.
pub(super) fn targets(key: &Known) -> [Target; 3] {
    [Target::Key(key.key_id), Target::Project(key.project_id), Target::Organization(key.organization_id)]
}
