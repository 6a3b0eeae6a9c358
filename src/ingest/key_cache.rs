//! Remembers project keys, so that PostgreSQL is asked seldom and may be away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, timeout};

use crate::ids::ProjectId;
use crate::protocol::PublicKey;
use crate::store::project_key;

/// A key that was found is believed so long without asking; disabling it takes effect within that time.
const FOUND_FOR: Duration = Duration::from_secs(5);

/// A key in use is asked for again when it has been believed for so long, while what is known still serves:
/// with steady traffic no request waits for PostgreSQL.
const RENEW_AFTER: Duration = Duration::from_secs(2);

/// A key that was not found is refused so long without asking again.
const MISSING_FOR: Duration = Duration::from_secs(2);

/// While PostgreSQL does not answer, what is known is used for so long before a request waits for it again.
const TROUBLE_FOR: Duration = Duration::from_secs(10);

/// How long PostgreSQL has to answer.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// Entries kept; when there are more, those that have expired go, then those of unknown keys.
const MAX_ENTRIES: usize = 20_000;

/// What the edge must know of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) project_id: ProjectId,
    pub(super) is_active: bool,
}

/// The result of looking for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookUp {
    Known(Known),
    Unknown,
    /// Never seen, and PostgreSQL does not answer.
    Unavailable,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    known: Option<Known>,
    renew_at: Instant,
    fresh_until: Instant,
}

/// The keys seen so far.
#[derive(Debug, Default)]
pub(super) struct KeyCache {
    entries: Mutex<HashMap<PublicKey, Entry>>,
    /// One question at a time for each key; all who wait share the answer.
    questions: Mutex<HashMap<PublicKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl KeyCache {
    /// Looks `key` up, asking PostgreSQL only if what is known is too old. If PostgreSQL does not answer,
    /// old knowledge serves.
    pub(super) async fn find(self: &Arc<Self>, db: &PgPool, key: &PublicKey) -> LookUp {
        if let Some(look_up) = self.fresh(key) {
            if self.is_renewal_due(key) {
                let (cache, db, key) = (Arc::clone(self), db.clone(), key.clone());
                tokio::spawn(async move { cache.ask(&db, &key).await });
            }
            return look_up;
        }
        let question = Arc::clone(lock(&self.questions).entry(key.clone()).or_default());
        let _forgotten_at_the_end = Question { cache: self, key };
        let _asking = question.lock().await;
        // Somebody may have had the answer while we waited.
        match self.fresh(key) {
            Some(look_up) => look_up,
            None => self.ask(db, key).await,
        }
    }

    fn fresh(&self, key: &PublicKey) -> Option<LookUp> {
        let entry = *lock(&self.entries).get(key)?;
        (entry.fresh_until > Instant::now()).then(|| entry.known.map_or(LookUp::Unknown, LookUp::Known))
    }

    /// True for one caller when a key is to be asked for again.
    fn is_renewal_due(&self, key: &PublicKey) -> bool {
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.get_mut(key).filter(|entry| entry.known.is_some() && entry.renew_at <= now) else {
            return false;
        };
        entry.renew_at = now + RENEW_AFTER;
        true
    }

    async fn ask(&self, db: &PgPool, key: &PublicKey) -> LookUp {
        match timeout(ASK_LIMIT, project_key::find(db, key.as_str())).await {
            Ok(Ok(Some(row))) => {
                let known = Known { project_id: row.project_id, is_active: row.is_active };
                self.put(key, Some(known), FOUND_FOR);
                LookUp::Known(known)
            }
            Ok(Ok(None)) => {
                self.put(key, None, MISSING_FOR);
                LookUp::Unknown
            }
            Ok(Err(error)) => self.fall_back(key, &error.to_string()),
            Err(_elapsed) => self.fall_back(key, "no answer in time"),
        }
    }

    fn fall_back(&self, key: &PublicKey, reason: &str) -> LookUp {
        let old = lock(&self.entries).get(key).and_then(|entry| entry.known);
        tracing::warn!(reason, old_answer_serves = old.is_some(), "a project key could not be looked up");
        let Some(known) = old else { return LookUp::Unavailable };
        self.put(key, Some(known), TROUBLE_FOR);
        LookUp::Known(known)
    }

    fn put(&self, key: &PublicKey, known: Option<Known>, fresh_for: Duration) {
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| entry.known.is_some() || entry.fresh_until > now);
            if entries.len() >= MAX_ENTRIES {
                entries.retain(|_, entry| entry.known.is_some());
            }
        }
        entries.insert(key.clone(), Entry { known, renew_at: now + RENEW_AFTER, fresh_until: now + fresh_for });
    }
}

/// An open question; forgotten also when the client leaves before the answer.
struct Question<'a> {
    cache: &'a KeyCache,
    key: &'a PublicKey,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        lock(&self.cache.questions).remove(self.key);
    }
}

/// A panic elsewhere leaves a map whole: every change is one insert or remove.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        PublicKey::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    /// Nothing listens there.
    fn absent_database() -> PgPool {
        PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap()
    }

    #[tokio::test]
    async fn without_postgresql_a_known_key_serves_and_an_unknown_one_is_not_judged() {
        let cache = Arc::new(KeyCache::default());
        assert_eq!(cache.find(&absent_database(), &key()).await, LookUp::Unavailable);
        let known = Known { project_id: ProjectId(7), is_active: true };
        cache.put(&key(), Some(known), Duration::ZERO);
        assert_eq!(cache.find(&absent_database(), &key()).await, LookUp::Known(known));
        // The next one does not wait for PostgreSQL again.
        let started = Instant::now();
        assert_eq!(cache.find(&absent_database(), &key()).await, LookUp::Known(known));
        assert!(started.elapsed() < Duration::from_millis(100));
    }

    #[tokio::test]
    async fn unknown_keys_cannot_fill_the_memory() {
        let cache = Arc::new(KeyCache::default());
        cache.put(&key(), Some(Known { project_id: ProjectId(7), is_active: true }), Duration::ZERO);
        for number in 0..2 * MAX_ENTRIES {
            cache.put(&PublicKey::parse(&format!("{number:032x}")).unwrap(), None, MISSING_FOR);
        }
        let entries = lock(&cache.entries);
        assert!(entries.len() <= MAX_ENTRIES + 1);
        assert!(entries.contains_key(&key()));
    }

    #[test]
    fn a_key_in_use_is_renewed_by_one_caller_before_it_expires() {
        let cache = KeyCache::default();
        let known = Known { project_id: ProjectId(7), is_active: true };
        cache.put(&key(), Some(known), FOUND_FOR);
        assert!(!cache.is_renewal_due(&key()));
        lock(&cache.entries).get_mut(&key()).unwrap().renew_at = Instant::now();
        assert_eq!(cache.fresh(&key()), Some(LookUp::Known(known)));
        assert!(cache.is_renewal_due(&key()));
        assert!(!cache.is_renewal_due(&key()), "one question is enough");
        assert!(RENEW_AFTER + ASK_LIMIT < FOUND_FOR, "an answer comes before anybody has to wait");
    }
}
