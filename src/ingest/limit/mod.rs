//! Rate limits and quotas: decided in memory, shared through Redis in the background. Off unless somebody sets one.
//!
//! Windows are fixed: they begin at multiples of their length since 1970. What other processes have let through is
//! known some 200 ms later, so that somewhat more than the limit may pass right after a pause; nobody ever waits.

pub(super) mod answer;
mod share;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use self::answer::{Limited, RateLimits, Scope};
use super::key_cache::Known;
use crate::ids::RateLimitId;
use crate::protocol::Category;
use crate::queue::{Counters, Window};
use crate::store::rate_limit::{Covers, RateLimit, Target};

/// What clients hold back when a limit on events is used up.
const ERRORS: &[Category] = &[Category::Default, Category::Error, Category::Security];

/// The limits that apply to a key: its own, its project's, its organization's. Cheap to clone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::ingest) struct Rules(pub(in crate::ingest) [Option<Arc<[RateLimit]>>; 3]);

impl Rules {
    /// True when there is none.
    pub(in crate::ingest) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn iter(&self) -> impl Iterator<Item = &RateLimit> {
        self.0.iter().flatten().flat_map(|rules| rules.iter())
    }
}

/// What has been let through in a limit's window.
#[derive(Debug)]
struct Counter {
    window: Window,
    /// By this process.
    own: u64,
    /// ... of which Redis knows.
    told: u64,
    /// By the others, as far as Redis has told.
    others: u64,
    used_at: Instant,
}

impl Counter {
    fn used(&self) -> u64 {
        self.own.saturating_add(self.others)
    }
}

/// Counts what limits let through.
#[derive(Debug)]
pub(in crate::ingest) struct Limits {
    counters: Mutex<HashMap<RateLimitId, Counter>>,
    /// This process's name among those that share the counts.
    name: String,
    /// There is something to share.
    wake: Arc<Notify>,
}

impl Limits {
    /// Nothing has been let through yet, as far as this process knows.
    pub(in crate::ingest) fn new() -> Self {
        Self { counters: Mutex::default(), name: Uuid::new_v4().simple().to_string(), wake: Arc::new(Notify::new()) }
    }

    /// Shares the counts for as long as somebody holds them. Call inside the runtime.
    pub(in crate::ingest) fn start(self: &Arc<Self>, shared: Counters) {
        tokio::spawn(share::run(Arc::downgrade(self), Arc::clone(&self.wake), shared));
    }

    /// Lets so many items through, or says which limit does not. What crosses the line passes as a whole: else a client
    /// that sends its items together would never get any of them through.
    pub(in crate::ingest) fn take(
        &self,
        key: &Known,
        category: Category,
        quantity: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Limited> {
        if key.limits.is_empty() {
            return Ok(());
        }
        let mut counters = lock(&self.counters);
        let applying = || key.limits.iter().filter(|rule| covers(rule.covers, category));
        let exceeded = applying().filter_map(|rule| {
            let counter = counter(&mut counters, rule, now);
            (counter.used() >= allowed(rule)).then(|| limited(rule, counter.window, now))
        });
        if let Some(longest) = exceeded.max_by_key(|limited| limited.retry_after) {
            self.wake.notify_one();
            return Err(longest);
        }
        for rule in applying() {
            let counter = counter(&mut counters, rule, now);
            counter.own = counter.own.saturating_add(quantity);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The limits of this key that are used up and cover a category; without one, those that cover everything.
    pub(in crate::ingest) fn exhausted(
        &self,
        key: &Known,
        category: Option<Category>,
        now: DateTime<Utc>,
    ) -> RateLimits {
        let mut found = RateLimits::default();
        if key.limits.is_empty() {
            return found;
        }
        let applies = |rule: &&RateLimit| match category {
            Some(category) => covers(rule.covers, category),
            None => rule.covers == Covers::All,
        };
        let mut counters = lock(&self.counters);
        for rule in key.limits.iter().filter(applies) {
            let counter = counter(&mut counters, rule, now);
            if counter.used() >= allowed(rule) {
                found.add(limited(rule, counter.window, now));
            }
        }
        if !found.is_empty() {
            self.wake.notify_one();
        }
        found
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        // Whoever shares the counts has nothing to wait for any more.
        self.wake.notify_one();
    }
}

fn covers(covers: Covers, category: Category) -> bool {
    match covers {
        Covers::Error => matches!(category, Category::Error | Category::Security),
        Covers::All => category != Category::Internal,
    }
}

fn allowed(rule: &RateLimit) -> u64 {
    u64::try_from(rule.allowance.quantity).unwrap_or_default()
}

fn limited(rule: &RateLimit, window: Window, now: DateTime<Utc>) -> Limited {
    let (scope, reason) = match rule.target {
        Target::Key(_) => (Scope::Key, "key_quota"),
        Target::Project(_) => (Scope::Project, "project_quota"),
        Target::Organization(_) => (Scope::Organization, "org_quota"),
    };
    let categories = match rule.covers {
        Covers::Error => ERRORS,
        Covers::All => &[],
    };
    let left = window.ends_at().saturating_sub(now.timestamp()).max(1);
    Limited { scope, categories, reason, retry_after: u64::try_from(left).unwrap_or(1) }
}

/// A rule's counter for the window that it is now.
fn counter<'a>(
    counters: &'a mut HashMap<RateLimitId, Counter>,
    rule: &RateLimit,
    now: DateTime<Utc>,
) -> &'a mut Counter {
    let window = Window::at(rule.id.0, rule.allowance.seconds(), now.timestamp());
    let fresh = || Counter { window, own: 0, told: 0, others: 0, used_at: Instant::now() };
    let counter = counters.entry(rule.id).or_insert_with(fresh);
    // The next window may have begun by another process's clock; one further ahead is of a clock that was wrong.
    let is_past_or_wrong = counter.window.index < window.index || counter.window.index > window.index + 1;
    if counter.window.seconds != window.seconds || is_past_or_wrong {
        *counter = fresh();
    }
    counter.used_at = Instant::now();
    counter
}

/// A panic elsewhere leaves the counters whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrganizationId, ProjectId, ProjectKeyId};
    use crate::store::rate_limit::Allowance;

    fn rule(id: i64, target: Target, covers: Covers, quantity: i64, window_s: i32) -> RateLimit {
        RateLimit { id: RateLimitId(id), target, covers, allowance: Allowance { quantity, window_s } }
    }

    fn known(rules: &[RateLimit]) -> Known {
        Known {
            key_id: ProjectKeyId(3),
            project_id: ProjectId(7),
            organization_id: OrganizationId(1),
            is_active: true,
            limits: Rules([Some(rules.into()), None, None]),
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn what_is_used_up_comes_back_with_the_next_window() {
        let limits = Limits::new();
        let key = known(&[rule(1, Target::Key(ProjectKeyId(3)), Covers::Error, 2, 60)]);
        for _ in 0..2 {
            assert_eq!(limits.take(&key, Category::Error, 1, at(650)), Ok(()));
        }
        let refused = limits.take(&key, Category::Error, 1, at(655)).unwrap_err();
        assert_eq!(refused.to_string(), "5:default;error;security:key:key_quota");
        assert_eq!(limits.take(&key, Category::Session, 1, at(655)), Ok(()), "no event");
        assert_eq!(limits.take(&key, Category::Error, 1, at(660)), Ok(()));
    }

    #[test]
    fn what_one_limit_refuses_uses_up_no_other() {
        let limits = Limits::new();
        let key = known(&[
            rule(1, Target::Organization(OrganizationId(1)), Covers::All, 3, 3600),
            rule(2, Target::Project(ProjectId(7)), Covers::Error, 1, 60),
        ]);
        assert_eq!(limits.take(&key, Category::Error, 1, at(0)), Ok(()));
        for _ in 0..5 {
            let refused = limits.take(&key, Category::Error, 1, at(0)).unwrap_err();
            assert_eq!((refused.scope, refused.retry_after), (Scope::Project, 60));
        }
        assert_eq!(limits.take(&key, Category::Session, 2, at(0)), Ok(()));
        let refused = limits.take(&key, Category::Session, 1, at(0)).unwrap_err();
        assert_eq!(refused.to_string(), "3600::organization:org_quota");
        assert!(limits.take(&key, Category::Internal, 1, at(0)).is_ok(), "what an SDK says of itself is never limited");
        assert!(limits.exhausted(&key, Some(Category::Internal), at(0)).is_empty());
        assert!(!limits.exhausted(&key, Some(Category::Attachment), at(0)).is_empty());
        assert!(!limits.exhausted(&key, None, at(0)).is_empty());
    }

    #[test]
    fn what_crosses_the_line_passes_as_a_whole() {
        let limits = Limits::new();
        let key = known(&[rule(1, Target::Key(ProjectKeyId(3)), Covers::All, 10, 60)]);
        for quantity in [9, 500] {
            assert_eq!(limits.take(&key, Category::LogItem, quantity, at(0)), Ok(()));
        }
        for category in [Category::LogItem, Category::Error] {
            assert!(limits.take(&key, category, 1, at(59)).is_err());
        }
        assert_eq!(limits.take(&key, Category::LogItem, 500, at(60)), Ok(()), "also by itself");
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limits = Limits::new();
        let key = Known { limits: Rules::default(), ..known(&[]) };
        assert_eq!(limits.take(&key, Category::Error, u64::MAX, at(0)), Ok(()));
        assert!(lock(&limits.counters).is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_does_not_open_the_window_again() {
        let limits = Limits::new();
        let key = known(&[rule(1, Target::Key(ProjectKeyId(3)), Covers::All, 1, 60)]);
        assert!(limits.take(&key, Category::Error, 1, at(120)).is_ok());
        assert!(limits.take(&key, Category::Error, 1, at(119)).is_err());
    }
}
