//! Removes what has outlived its time, rule by rule, in batches of a fraction of a second. A rule that fails stops
//! no other; the job as a whole has then failed, and is tried again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::app::App;
use crate::config::Config;
use crate::retention::{Kept, start_of};
use crate::store::outcome::{self, Counted};
use crate::store::partition::Table;
use crate::store::{
    self, canary_run, filtered_item, issue_expiry, job_run, kept_item, partition, payload_dictionary, rejected_item,
    session, settled_ingest,
};

/// The job's name in the beat table.
pub const NAME: &str = "clean_up";

/// Since when clean-up is on hold, as if it were a job.
const HOLD: &str = "clean_up_hold";

/// Rows deleted in one statement.
const BATCH: i64 = 5_000;

/// How long the drop of a day may wait for those who read or write events: all others wait behind it.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// A day that cannot be dropped is tried so often in one run.
const DROP_TRIES: u32 = 3;

/// Pause between these tries.
const DROP_PAUSE: Duration = Duration::from_secs(2);

/// What a rule has removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Of what: `event_days`, `log_days`, `span_days`, `attachment_days`, `issues`, `issue_hours`, `issue_tags`, `issue_users`, `payload_dictionaries`,
    /// `outcome_counts`, `transaction_counts`, `sessions`, `settled_receptions`, `filtered_items`, `rejected_items`, `release_sessions`,
    /// `release_session_counts`, `check_ins`, `early_check_ins`, `user_feedback`, `canaries`, `files`.
    pub what: &'static str,
    /// How many.
    pub removed: u64,
    /// Why there may be more left.
    pub error: Option<String>,
}

/// How many went before it ended, and how it ended.
type Done = (u64, store::Result<()>);

/// The job.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    if is_on_hold(&app.db, &app.config).await? {
        return Ok(());
    }
    sum_up(&remove_all(&app.db, &app.config).await)
}

/// True when nothing is to be removed yet: the last clean-up was longer ago than a month, or than the life of events.
/// Either nobody was there for so long, or the clock is ahead and all would go that is there. One day from then on
/// there is time to set the clock right; after that, it is believed.
pub async fn is_on_hold(db: &PgPool, config: &Config) -> anyhow::Result<bool> {
    let last = job_run::find(db, NAME).await?;
    // The daily run may be late by a day and surprise nobody.
    let surprising = TimeDelta::days(i64::from(config.event_life_days).clamp(2, 30));
    if let Some(before) = last.succeeded_at
        && last.now - before > surprising
    {
        let now = last.now;
        tracing::error!(%before, %now, "the clock is far ahead of the last clean-up: it waits a day, in case the clock is wrong");
        job_run::note(db, HOLD).await?;
        return Ok(true);
    }
    let hold = job_run::find(db, HOLD).await?;
    Ok(hold.succeeded_at.is_some_and(|began| began <= hold.now && hold.now - began < TimeDelta::days(1)))
}

/// Logs what was removed; an error when a rule failed.
pub fn sum_up(all: &[Removed]) -> anyhow::Result<()> {
    let counts: Vec<String> =
        all.iter().filter(|one| one.removed > 0).map(|one| format!("{} {}", one.removed, one.what)).collect();
    if !counts.is_empty() {
        tracing::info!(removed = counts.join(", "), "cleaned up");
    }
    let errors: Vec<String> =
        all.iter().filter_map(|one| Some(format!("{}: {}", one.what, one.error.as_ref()?))).collect();
    if errors.is_empty() { Ok(()) } else { Err(anyhow!(errors.join("; "))) }
}

/// Applies every rule to the database.
pub async fn remove_all(db: &PgPool, config: &Config) -> Vec<Removed> {
    let kept = Kept::at(Utc::now(), config);
    let mut all = Vec::new();
    for (what, table, from) in [
        ("event_days", Table::Event, kept.events_from),
        ("log_days", Table::LogRecord, kept.events_from),
        ("span_days", Table::Span, kept.transactions_from),
        ("attachment_days", Table::Attachment, kept.files_from.date_naive()),
    ] {
        all.push(row(what, drop_days(db, table, from).await));
    }
    all.extend(remove_what_hangs_on_events(db, &kept).await);
    for (what, counted, from) in [
        ("outcome_counts", Counted::Others, kept.events_from),
        ("transaction_counts", Counted::Transactions, kept.transactions_from),
    ] {
        let from = start_of(from);
        all.push(row(what, in_batches(|| outcome::delete_before(db, counted, from, BATCH)).await));
    }
    all.push(row("sessions", in_batches(|| session::delete_expired(db, BATCH)).await));
    let day = kept.receptions_from;
    let receptions = in_batches(|| settled_ingest::delete_before(db, day, BATCH)).await;
    all.push(row("settled_receptions", receptions));
    let filtered = in_batches(|| filtered_item::delete_before(db, day, BATCH)).await;
    all.push(row("filtered_items", filtered));
    let rejected = in_batches(|| rejected_item::delete_before(db, kept.events_from, BATCH)).await;
    all.push(row("rejected_items", rejected));
    let (events_from, receptions_from) = (start_of(kept.events_from), start_of(day));
    for (what, kind, from) in [
        ("release_sessions", kept_item::Kind::Sessions, events_from),
        ("release_session_counts", kept_item::Kind::SessionCounts, events_from),
        ("check_ins", kept_item::Kind::CheckIns, events_from),
        ("early_check_ins", kept_item::Kind::EarlyCheckIns, receptions_from),
        ("user_feedback", kept_item::Kind::Feedback, events_from),
    ] {
        all.push(row(what, in_batches(|| kept_item::delete_before(db, kind, from, BATCH)).await));
    }
    let canaries = in_batches(|| canary_run::delete_before(db, receptions_from, BATCH)).await;
    all.push(row("canaries", canaries));
    all
}

async fn drop_days(db: &PgPool, table: Table, from: NaiveDate) -> Done {
    let days = match partition::list(db, table).await {
        Ok(days) => days,
        Err(error) => return (0, Err(error)),
    };
    let mut dropped = 0;
    // The oldest first.
    for day in days.range(..from) {
        let mut tries = 1;
        while let Err(error) = partition::remove(db, table, *day, LOCK_WAIT).await {
            if tries == DROP_TRIES || !error.is_retryable() {
                return (dropped, Err(error));
            }
            tries += 1;
            sleep(DROP_PAUSE).await;
        }
        dropped += 1;
    }
    (dropped, Ok(()))
}

/// As seen from the events that are still there, whatever should have gone.
async fn remove_what_hangs_on_events(db: &PgPool, kept: &Kept) -> Vec<Removed> {
    let days = match partition::list(db, Table::Event).await {
        Ok(days) => days,
        Err(error) => return vec![row("issues", (0, Err(error)))],
    };
    let mut sum = issue_expiry::Removed::default();
    let outcome = remove_issues(db, kept.issues_from(&days), &mut sum).await;
    let replaced_before = kept.dictionaries_from(&days);
    let dictionaries = payload_dictionary::delete_replaced(db, replaced_before).await;
    vec![
        row("issues", (sum.issues, outcome)),
        row("issue_hours", (sum.hours, Ok(()))),
        row("issue_tags", (sum.tags, Ok(()))),
        row("issue_users", (sum.users, Ok(()))),
        row("payload_dictionaries", dictionaries.map_or_else(|error| (0, Err(error)), |removed| (removed, Ok(())))),
    ]
}

async fn remove_issues(db: &PgPool, before: DateTime<Utc>, sum: &mut issue_expiry::Removed) -> store::Result<()> {
    while let Some(removed) = issue_expiry::remove_some(db, before).await? {
        sum.issues += removed.issues;
        sum.hours += removed.hours;
        sum.tags += removed.tags;
        sum.users += removed.users;
    }
    Ok(())
}

/// Repeats `delete` until it finds nothing more for a whole batch.
async fn in_batches<F: Future<Output = store::Result<u64>>>(delete: impl Fn() -> F) -> Done {
    let mut total = 0;
    loop {
        match delete().await {
            Ok(removed) => {
                total += removed;
                if removed < BATCH.unsigned_abs() {
                    return (total, Ok(()));
                }
            }
            Err(error) => return (total, Err(error)),
        }
    }
}

fn row(what: &'static str, (removed, outcome): Done) -> Removed {
    Removed { what, removed, error: outcome.err().map(|error| error.to_string()) }
}
