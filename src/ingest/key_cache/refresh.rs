//! Keeps the copy of the keys, and its file, up to date with PostgreSQL.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::copy::{MAX_KEYS, RENEW_EVERY};
use super::{KeyCache, lock};
use crate::store::project_key::{self, KeyRow};
use crate::store::rate_limit::{self, RateLimit};

/// PostgreSQL counts as away when it has not answered for so long. Together with the interval this is less than a
/// key is believed for: nobody has to wait for PostgreSQL to find out.
const SOFT_LIMIT: Duration = Duration::from_secs(1);

/// An attempt ends after this.
const HARD_LIMIT: Duration = Duration::from_secs(5);

/// Two renewals are at least so far apart.
const PAUSE: Duration = Duration::from_millis(500);

/// While PostgreSQL is away it is tried again so often.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Without any use the copy is renewed so often, so that new keys are in it before PostgreSQL goes away.
const IDLE_EVERY: Duration = Duration::from_secs(30);

/// Up to so many keys are all read each time; of more, those in use are, and all once in a while.
const MANY: usize = 2_000;

/// More limits than keys, projects and organizations can have.
const MAX_LIMITS: i64 = 200_000;

/// How often all of many keys are read.
const ALL_OF_MANY_EVERY: Duration = Duration::from_mins(1);

/// How often it is seen whether there are still too many keys to hold them all.
const RECOUNT_EVERY: Duration = Duration::from_mins(10);

/// Two writes of the file are at least so far apart, the larger the longer.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Keys that one more second passes between two writes for.
const KEYS_PER_SECOND: usize = 1_000;

/// What the task remembers from one round to the next.
#[derive(Default)]
struct Rounds {
    last_at: Option<Instant>,
    all_at: Option<Instant>,
    counted_at: Option<Instant>,
    written_at: Option<Instant>,
    is_write_failing: bool,
}

/// Runs until nobody holds the cache any more.
pub(super) async fn run(cache: Weak<KeyCache>, wake: Arc<Notify>, db: PgPool) {
    let mut rounds = Rounds::default();
    if let Some(file) = cache.upgrade().and_then(|cache| cache.file.clone()) {
        drop(spawn_blocking(move || file.clean_up()).await);
    }
    loop {
        let Some(held) = cache.upgrade() else { return };
        rounds.renew(&held, &db).await;
        let wait = rounds.write(&held).await;
        let is_away = lock(&held.copy).is_away();
        // Not held while waiting.
        drop(held);
        sleep(PAUSE).await;
        let longest = if is_away { RETRY_EVERY } else { wait.unwrap_or(IDLE_EVERY) };
        // A time-out is as good a reason to look as a call.
        let _called = timeout(longest.saturating_sub(PAUSE), wake.notified()).await;
    }
}

impl Rounds {
    /// Asks PostgreSQL for what is due, and says so when that changes whether it answers.
    async fn renew(&mut self, cache: &KeyCache, db: &PgPool) {
        let asking = self.ask(cache, db);
        tokio::pin!(asking);
        let outcome = match timeout(SOFT_LIMIT, &mut asking).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                cache.note_absence("no answer in time");
                match timeout(HARD_LIMIT.saturating_sub(SOFT_LIMIT), asking).await {
                    Ok(outcome) => outcome,
                    Err(_elapsed) => return,
                }
            }
        };
        match outcome {
            Ok(()) => {
                if lock(&cache.copy).set_away(false) {
                    tracing::info!("PostgreSQL answers for project keys again");
                }
            }
            Err(error) => cache.note_absence(&error.to_string()),
        }
    }

    async fn ask(&mut self, cache: &KeyCache, db: &PgPool) -> anyhow::Result<()> {
        let now = Instant::now();
        let (len, is_away, used) = {
            let copy = lock(&cache.copy);
            // With some overlap: what was used while the last round went on was not yet asked for.
            let since = self.last_at.map_or(now, |at| at.checked_sub(RENEW_EVERY).unwrap_or(at));
            (copy.len(), copy.is_away(), copy.used_since(since))
        };
        let is_due = |last: Option<Instant>, every| last.is_none_or(|at| now >= at + every);
        let is_too_many = self.counted_at.is_some();
        let all_every = if len <= MANY { Duration::ZERO } else { ALL_OF_MANY_EVERY };
        let is_all_due = !is_too_many && (is_away || is_due(self.all_at, all_every));
        let is_count_due = is_too_many && is_due(self.counted_at, RECOUNT_EVERY);
        if !is_all_due && !is_count_due && !is_away && used.is_empty() {
            return Ok(());
        }
        let mut connection = db.acquire().await?;
        if used.is_empty() {
            // Nobody sends anything: a backend that idles until the next round would only cost memory.
            connection.close_on_drop();
        }
        if is_all_due || is_count_due {
            let limit = i64::try_from(MAX_KEYS).unwrap_or(i64::MAX);
            if project_key::has_more_than(&mut *connection, limit).await? {
                if self.counted_at.is_none() {
                    tracing::warn!(limit, "there are too many project keys to keep a copy of all");
                }
                self.counted_at = Some(now);
                lock(&cache.copy).mark_incomplete();
            } else {
                self.counted_at = None;
                let rows = project_key::list_for_edge(&mut *connection, limit).await?;
                let limits = rate_limit::list(&mut *connection, MAX_LIMITS).await?;
                lock(&cache.copy).replace(&rows, &limits, now);
                self.all_at = Some(now);
            }
        }
        if self.all_at != Some(now) && !used.is_empty() {
            let names: Vec<String> = used.iter().map(|bits| format!("{bits:032x}")).collect();
            let rows = project_key::find_many(&mut *connection, &names).await?;
            let limits = limits_of(&mut connection, &rows).await?;
            lock(&cache.copy).renew(&used, &rows, &limits, now);
        } else if is_away && self.all_at != Some(now) {
            project_key::has_more_than(&mut *connection, 0).await?;
        }
        self.last_at = Some(now);
        Ok(())
    }

    /// Writes the file if it is time and something changed; gives back how long to wait if it is not time yet.
    async fn write(&mut self, cache: &Arc<KeyCache>) -> Option<Duration> {
        let file = cache.file.clone()?;
        let (len, is_changed) = {
            let copy = lock(&cache.copy);
            (copy.len(), copy.is_changed())
        };
        if !is_changed {
            return None;
        }
        let every = WRITE_EVERY + Duration::from_secs((len / KEYS_PER_SECOND) as u64);
        let due_at = self.written_at.map(|at| at + every);
        if let Some(wait) = due_at.map(|at| at.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
        {
            return Some(wait);
        }
        let content = lock(&cache.copy).take_changes()?;
        self.written_at = Some(Instant::now());
        let written = spawn_blocking(move || file.write(&content)).await;
        let failure = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let Some(error) = failure else {
            self.is_write_failing = false;
            return None;
        };
        if !std::mem::replace(&mut self.is_write_failing, true) {
            tracing::warn!(error, "the copy of the project keys cannot be written; tried again");
        }
        lock(&cache.copy).keep_changes();
        Some(every)
    }
}

/// The limits that apply to these keys.
async fn limits_of(connection: &mut PgConnection, rows: &[KeyRow]) -> anyhow::Result<Vec<RateLimit>> {
    let keys: Vec<_> = rows.iter().map(|row| row.key_id).collect();
    let mut projects: Vec<_> = rows.iter().map(|row| row.project_id).collect();
    let mut organizations: Vec<_> = rows.iter().map(|row| row.organization_id).collect();
    projects.sort_unstable();
    projects.dedup();
    organizations.sort_unstable();
    organizations.dedup();
    Ok(rate_limit::list_of(connection, &keys, &projects, &organizations).await?)
}
