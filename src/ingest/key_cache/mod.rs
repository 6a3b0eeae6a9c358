//! Knows every project key, so that no request waits for PostgreSQL, and PostgreSQL may be away, at the start too.
//!
//! ```text
//! spool/keys --at start--> copy in memory <--every 2 s while keys are in use-- PostgreSQL
//!     ^-------when it changed-----'  ^--------a key that is not in it, at once------'
//! ```
//!
//! A key in the copy serves at once. One that is not in it is asked for; while PostgreSQL does not answer it is
//! refused if the copy is complete, and cannot be judged otherwise.

mod copy;
mod file;
mod refresh;
mod rules;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::copy::{Copy, KeyBits, Look};
use self::file::KeyFile;
use super::limit::Rules;
use crate::ids::{OrganizationId, ProjectId, ProjectKeyId};
use crate::protocol::PublicKey;
use crate::store::project_key::{self, KeyRow};
use crate::store::rate_limit::{self, RateLimit};

/// How long PostgreSQL has to answer for a key that is not in the copy.
const ASK_LIMIT: Duration = Duration::from_secs(1);

/// ... and while it is away, or when an older answer can serve.
const SHORT_ASK_LIMIT: Duration = Duration::from_millis(200);

/// What the edge must know of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key_id: ProjectKeyId,
    pub(super) project_id: ProjectId,
    pub(super) organization_id: OrganizationId,
    pub(super) is_active: bool,
    /// What limits how much may be sent with it.
    pub(super) limits: Rules,
}

impl Known {
    /// For somebody who needs no key to write to a project, and whom no key's limits hold back.
    pub(super) fn of_project(organization_id: OrganizationId, project_id: ProjectId) -> Self {
        Self { key_id: ProjectKeyId(0), project_id, organization_id, is_active: true, limits: Rules::default() }
    }
}

impl From<&KeyRow> for Known {
    fn from(row: &KeyRow) -> Self {
        Self {
            key_id: row.key_id,
            project_id: row.project_id,
            organization_id: row.organization_id,
            is_active: row.is_active,
            limits: Rules::default(),
        }
    }
}

/// The result of looking for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LookUp {
    Known(Known),
    Unknown,
    /// Not in a copy that is not complete, and PostgreSQL does not answer.
    Unavailable,
}

/// The keys of the instance.
#[derive(Debug, Default)]
pub(super) struct KeyCache {
    copy: Mutex<Copy>,
    /// One question at a time for each key; all who wait share the answer.
    questions: Mutex<HashMap<KeyBits, Arc<tokio::sync::Mutex<()>>>>,
    file: Option<KeyFile>,
    /// The copy is in use and due for a renewal, or there is something to write.
    wake: Arc<Notify>,
}

impl KeyCache {
    /// Reads the copy of the last process, if there is a sound one.
    pub(super) fn open(path: PathBuf) -> Self {
        let file = KeyFile::new(path);
        let copy = file.read().as_ref().map(Copy::from_file).unwrap_or_default();
        if copy.len() > 0 {
            tracing::info!(keys = copy.len(), is_complete = copy.is_complete(), "project keys read from the spool");
        }
        Self { copy: Mutex::new(copy), file: Some(file), ..Self::default() }
    }

    /// Keeps the copy fresh in the background for as long as somebody holds it. Call inside the runtime.
    pub(super) fn start(self: &Arc<Self>, db: PgPool) {
        tokio::spawn(refresh::run(Arc::downgrade(self), Arc::clone(&self.wake), db));
    }

    /// Looks `key` up, asking PostgreSQL only if it is not in the copy, or the copy is too old although PostgreSQL
    /// is there.
    pub(super) async fn find(&self, db: &PgPool, key: &PublicKey) -> LookUp {
        let bits = copy::bits(key);
        if let Look::Answer(look_up) = self.look(bits) {
            return look_up;
        }
        let question = Arc::clone(lock(&self.questions).entry(bits).or_default());
        let _forgotten_at_the_end = Question { cache: self, bits };
        let _asking = question.lock().await;
        // Somebody may have had the answer while we waited.
        match self.look(bits) {
            Look::Answer(look_up) => look_up,
            Look::Ask { limit } => self.ask(db, key, bits, limit).await,
        }
    }

    fn look(&self, bits: KeyBits) -> Look {
        let mut copy = lock(&self.copy);
        let now = Instant::now();
        if copy.is_renewal_due(now) {
            self.wake.notify_one();
        }
        copy.look(bits, now)
    }

    async fn ask(&self, db: &PgPool, key: &PublicKey, bits: KeyBits, limit: Duration) -> LookUp {
        let asked_at = Instant::now();
        let reason = match timeout(limit, Answer::fetch(db, key)).await {
            Ok(Ok(answer)) => {
                let mut copy = lock(&self.copy);
                let look_up = copy.answered(bits, answer.as_ref(), asked_at);
                if copy.is_changed() {
                    self.wake.notify_one();
                }
                return look_up;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "no answer in time".to_owned(),
        };
        self.note_absence(&reason);
        lock(&self.copy).fall_back(bits, Instant::now())
    }

    /// From now on what is known serves without asking, until a renewal succeeds.
    fn note_absence(&self, reason: &str) {
        let mut copy = lock(&self.copy);
        if copy.set_away(true) {
            let (keys, is_complete) = (copy.len(), copy.is_complete());
            tracing::warn!(reason, keys, is_complete, "PostgreSQL does not answer for project keys; the copy serves");
            self.wake.notify_one();
        }
    }
}

/// What PostgreSQL says of one key.
struct Answer {
    row: KeyRow,
    limits: Vec<RateLimit>,
}

impl Answer {
    async fn fetch(db: &PgPool, key: &PublicKey) -> anyhow::Result<Option<Self>> {
        let Some(row) = project_key::find(db, key.as_str()).await? else { return Ok(None) };
        let limits = rate_limit::list_of(db, &[row.key_id], &[row.project_id], &[row.organization_id]).await?;
        Ok(Some(Self { row, limits }))
    }
}

/// An open question; forgotten also when the client leaves before the answer.
struct Question<'a> {
    cache: &'a KeyCache,
    bits: KeyBits,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        lock(&self.cache.questions).remove(&self.bits);
    }
}

/// A panic elsewhere leaves the copy whole: every change is one insert or remove.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> PublicKey {
        PublicKey::parse(&format!("{number:032x}")).unwrap()
    }

    fn row(number: u32) -> KeyRow {
        KeyRow {
            key_id: ProjectKeyId(number.into()),
            project_id: ProjectId(7),
            organization_id: OrganizationId(1),
            public_key: key(number).as_str().to_owned(),
            is_active: true,
        }
    }

    /// Nothing listens there.
    fn absent_database() -> PgPool {
        PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap()
    }

    #[tokio::test]
    async fn without_postgresql_a_known_key_serves_and_an_unknown_one_is_not_judged() {
        let cache = KeyCache::default();
        assert_eq!(cache.find(&absent_database(), &key(1)).await, LookUp::Unavailable);
        let known = LookUp::Known(Known::from(&row(2)));
        let long_ago = Instant::now().checked_sub(copy::FOUND_FOR).unwrap();
        let answer = Answer { row: row(2), limits: Vec::new() };
        lock(&cache.copy).answered(copy::bits(&key(2)), Some(&answer), long_ago);
        let started = Instant::now();
        assert_eq!(cache.find(&absent_database(), &key(2)).await, known);
        assert!(started.elapsed() < Duration::from_millis(100), "PostgreSQL is known to be away");
    }

    #[tokio::test]
    async fn without_postgresql_an_unknown_key_is_refused_if_the_copy_is_complete() {
        let cache = KeyCache::default();
        lock(&cache.copy).replace(&[row(1)], &[], Instant::now());
        let started = Instant::now();
        assert_eq!(cache.find(&absent_database(), &key(2)).await, LookUp::Unknown);
        assert!(started.elapsed() < ASK_LIMIT + SHORT_ASK_LIMIT);
        let started = Instant::now();
        assert_eq!(cache.find(&absent_database(), &key(3)).await, LookUp::Unknown);
        assert!(started.elapsed() < SHORT_ASK_LIMIT * 2);
    }
}
