//! What a batch adds to each issue. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{IssueKey, NewEvent};
use crate::ids::IssueId;
use crate::store::outcome::hour_of;

/// What stored events add to one issue.
pub(super) struct Change<'a> {
    /// Number of events.
    pub(super) events: i64,
    /// Number of users the issue had not reached before; filled in by the store.
    pub(super) new_users: i64,
    /// Earliest and latest by the events' own time.
    pub(super) earliest: &'a NewEvent,
    pub(super) latest: &'a NewEvent,
    /// As above, of the events that name a release.
    pub(super) earliest_released: Option<&'a NewEvent>,
    pub(super) latest_released: Option<&'a NewEvent>,
    /// First 16 bytes of the SHA-256 of each user.
    pub(super) users: HashSet<[u8; 16]>,
    pub(super) tags: HashMap<(&'a str, &'a str), Seen>,
    /// By hour of receipt and environment.
    pub(super) hours: HashMap<(DateTime<Utc>, &'a str), i64>,
}

/// How often and when a value was seen.
pub(super) struct Seen {
    pub(super) times: i64,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
}

/// Groups stored events by issue, in the order in which issues are locked.
pub(super) fn by_issue<'a>(stored: &[(IssueId, &'a NewEvent)]) -> BTreeMap<IssueKey, Change<'a>> {
    let mut changes = BTreeMap::new();
    for &(issue_id, event) in stored {
        changes.entry((event.project_id, issue_id)).or_insert_with(|| Change::of(event)).add(event);
    }
    changes
}

impl<'a> Change<'a> {
    fn of(event: &'a NewEvent) -> Self {
        Self {
            events: 0,
            new_users: 0,
            earliest: event,
            latest: event,
            earliest_released: None,
            latest_released: None,
            users: HashSet::new(),
            tags: HashMap::new(),
            hours: HashMap::new(),
        }
    }

    fn add(&mut self, event: &'a NewEvent) {
        self.events += 1;
        if event.occurred_at < self.earliest.occurred_at {
            self.earliest = event;
        }
        if event.occurred_at > self.latest.occurred_at {
            self.latest = event;
        }
        if event.release.is_some() {
            if self.earliest_released.is_none_or(|earliest| event.occurred_at < earliest.occurred_at) {
                self.earliest_released = Some(event);
            }
            if self.latest_released.is_none_or(|latest| event.occurred_at > latest.occurred_at) {
                self.latest_released = Some(event);
            }
        }
        if let Some(user) = &event.user {
            self.users.insert(user_hash(user));
        }
        for (key, value) in &event.tags {
            let at = event.occurred_at;
            let seen = self.tags.entry((key, value)).or_insert(Seen { times: 0, first: at, last: at });
            seen.times += 1;
            seen.first = seen.first.min(at);
            seen.last = seen.last.max(at);
        }
        let environment = event.environment.as_deref().unwrap_or_default();
        *self.hours.entry((hour_of(event.received_at), environment)).or_default() += 1;
    }
}

fn user_hash(user: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(user.as_bytes()).into();
    let mut hash = [0; 16];
    hash.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    hash
}
