//! Writes a batch of processed events in one transaction.
//!
//! Several workers may write batches that overlap in every way. Locks are therefore taken in one order by
//! all of them: projects (only to make issues), issues, events, the roll-ups of the locked issues, and last
//! the outcomes, each sorted by its key; so nobody deadlocks. What is counted is decided by which events
//! PostgreSQL says it has really inserted, so a batch that comes twice counts once.

mod adopt;
mod aggregate;
mod insert;
mod issue;
mod recount;
mod repeat;
mod rollup;
mod state;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

pub use self::adopt::Earlier;
pub(in crate::store) use self::recount::{describe, recount};

use super::outcome::{Outcome, OutcomeCount, hour_of};
use super::{Result, StoreError, notice, outcome, partition, rejected_item, settled_ingest};
use crate::ids::{EventId, IssueId, ProjectId};
use crate::protocol::{EventKind, Level};

/// How often a batch is begun anew after a missing partition or an issue deleted under its feet.
const ATTEMPTS: usize = 4;

/// The rate-limit category of everything in table `event`.
const CATEGORY: &str = "error";

/// One event, ready to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// With the project and the date, the primary key: a second reception changes nothing.
    pub event_id: EventId,
    /// The edge's stamp.
    pub ingest_id: Uuid,
    /// The edge's stamp.
    pub received_at: DateTime<Utc>,
    /// The edge's stamp; the partition.
    pub received_on: NaiveDate,
    /// The event's own time, corrected for clock drift.
    pub occurred_at: DateTime<Utc>,
    /// What it is made of.
    pub kind: EventKind,
    /// Its severity.
    pub level: Level,
    /// `python`, `javascript`, ...; `other` when unknown.
    pub platform: String,
    /// The SDK's environment.
    pub environment: Option<String>,
    /// The SDK's release.
    pub release: Option<String>,
    /// Grouping hash (SHA-256).
    pub hash: [u8; 32],
    /// Version of the algorithm that made `hash`.
    pub hash_version: i16,
    /// One line for lists.
    pub title: String,
    /// Where it happened, one line.
    pub culprit: String,
    /// `type`, `value`, `filename`, `function` of the main exception.
    pub metadata: serde_json::Value,
    /// The SDK's logger name, or empty.
    pub logger: String,
    /// Some mechanism says `handled: false`.
    pub is_unhandled: bool,
    /// Tags to roll up per issue, derived ones included; keys are unique.
    pub tags: Vec<(String, String)>,
    /// `id:…`, `username:…`, `email:…` or `ip:…`: whom the event happened to.
    pub user: Option<String>,
    /// The normalised event, compressed by `store::payload`.
    pub payload: Vec<u8>,
}

/// What became of a batch. `stored + duplicates + redelivered + orphaned` is the length of the batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Events that can now be read.
    pub stored: usize,
    /// Events whose id another event of the project and day already has.
    pub duplicates: usize,
    /// Receptions that were settled before: nothing was changed or counted for them.
    pub redelivered: usize,
    /// Events of projects that are gone.
    pub orphaned: usize,
    /// Issues that these events made.
    pub new_issues: Vec<(ProjectId, IssueId)>,
    /// Resolved issues that these events opened again.
    pub regressed: Vec<(ProjectId, IssueId)>,
}

/// The primary key of an event.
type EventKey = (ProjectId, EventId, NaiveDate);
/// The primary key of an issue.
type IssueKey = (ProjectId, IssueId);
/// What an event is grouped by.
type HashKey = (ProjectId, [u8; 32]);

impl NewEvent {
    fn key(&self) -> EventKey {
        (self.project_id, self.event_id, self.received_on)
    }

    /// The first 8 bytes of the hash: what a part of a merged issue is told by.
    fn hash_prefix(&self) -> Option<i64> {
        hash_prefix(&self.hash)
    }

    fn hash_key(&self) -> HashKey {
        (self.project_id, self.hash)
    }
}

/// As column `hash_prefix` has it.
pub(in crate::store) fn hash_prefix(hash: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(*hash.first_chunk()?))
}

/// Why an attempt ended without a commit.
enum Failure {
    /// A day has no partition yet.
    NoPartition,
    /// An issue was deleted between its look-up and its lock.
    IssueGone,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Stores `events` (typically some hundreds) and everything that is counted for them, or nothing at all.
///
/// Missing partitions are made. [`StoreError::Data`] means that some event cannot be stored as it is; the
/// others can, in a batch without it.
///
/// An event whose hash nobody has met is looked up by its `earlier` ones before an issue is made for it.
pub async fn write_with(pool: &PgPool, events: &[NewEvent], earlier: Earlier) -> Result<BatchReport> {
    if events.is_empty() {
        return Ok(BatchReport::default());
    }
    for _ in 0..ATTEMPTS {
        match attempt(pool, events, earlier).await {
            Ok(report) => return Ok(report),
            Err(Failure::NoPartition) => {
                let days: BTreeSet<NaiveDate> = events.iter().map(|event| event.received_on).collect();
                partition::ensure_days(pool, &days.into_iter().collect::<Vec<_>>()).await?;
            }
            Err(Failure::IssueGone) => {}
            Err(Failure::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Conflict(sqlx::Error::RowNotFound))
}

/// As [`write_with`], of events that no earlier version of the grouping knows.
pub async fn write(pool: &PgPool, events: &[NewEvent]) -> Result<BatchReport> {
    write_with(pool, events, |_| Vec::new()).await
}

/// Settles events that came too late to be kept: they are counted as filtered, each reception once. For those whose
/// day has been dropped, or is about to be.
pub async fn expire(pool: &PgPool, events: &[NewEvent]) -> Result<()> {
    let mut transaction = pool.begin().await?;
    let receptions = events.iter().map(|event| (event.received_on, event.ingest_id)).collect();
    let mut noted = settled_ingest::note(&mut transaction, receptions).await?;
    let counts: Vec<OutcomeCount> = events
        .iter()
        .filter(|event| noted.remove(&event.ingest_id))
        .map(|event| OutcomeCount {
            project_id: event.project_id,
            hour: hour_of(event.received_at),
            category: CATEGORY.into(),
            outcome: Outcome::Filtered,
            reason: "expired".into(),
            quantity: 1,
        })
        .collect();
    outcome::add(&mut *transaction, &counts).await?;
    transaction.commit().await?;
    Ok(())
}

async fn attempt(pool: &PgPool, events: &[NewEvent], earlier: Earlier) -> std::result::Result<BatchReport, Failure> {
    // The first reception of each event, in the order of the key; and the others.
    let mut firsts: BTreeMap<EventKey, &NewEvent> = BTreeMap::new();
    let mut repeats = Vec::new();
    for event in events {
        match firsts.entry(event.key()) {
            Entry::Vacant(vacant) => drop(vacant.insert(event)),
            Entry::Occupied(_) => repeats.push(event),
        }
    }

    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let issues = issue::find_or_create(pool, db, firsts.values().copied(), earlier).await?;
    let placed: Vec<(IssueId, &NewEvent)> =
        firsts.values().filter_map(|event| Some((*issues.by_hash.get(&event.hash_key())?, *event))).collect();
    let states = state::lock(db, &placed).await?;

    let inserted = insert::events(db, &placed).await?;
    let (stored, refused): (Vec<_>, Vec<_>) =
        placed.iter().copied().partition(|(_, event)| inserted.contains(&event.key()));

    let mut changes = aggregate::by_issue(&stored);
    rollup::add_users(db, &mut changes).await?;
    let regressed = state::apply(db, &changes, &states).await?;
    rollup::add_tags(db, &changes).await?;
    rollup::add_hours(db, &changes).await?;
    let new_issues = issue::keep_used(db, issues.created, &changes).await?;
    notice::insert(db, &new_issues, &regressed).await?;

    let refused = refused.iter().map(|(_, event)| *event);
    let known = repeats.iter().copied().filter(|event| issues.by_hash.contains_key(&event.hash_key()));
    let candidates: Vec<&NewEvent> = refused.chain(known).collect();
    let duplicates = repeat::settle(db, &candidates, &firsts, &inserted).await?;
    let settled: Vec<Uuid> = stored.iter().map(|(_, event)| event.ingest_id).collect();
    let mut counts = rejected_item::revoke(db, &settled).await?;
    counts.extend(outcome_counts(&stored, &duplicates));
    outcome::add(&mut *db, &counts).await?;
    transaction.commit().await?;

    Ok(BatchReport {
        stored: stored.len(),
        duplicates: duplicates.len(),
        redelivered: candidates.len() - duplicates.len(),
        orphaned: events.len() - stored.len() - candidates.len(),
        new_issues,
        regressed,
    })
}

fn outcome_counts(stored: &[(IssueId, &NewEvent)], duplicates: &[&NewEvent]) -> Vec<OutcomeCount> {
    let stored = stored.iter().map(|(_, event)| (*event, Outcome::Stored, ""));
    let duplicates = duplicates.iter().map(|event| (*event, Outcome::Filtered, "duplicate"));
    let mut counts: HashMap<(ProjectId, DateTime<Utc>, Outcome, &'static str), i64> = HashMap::new();
    for (event, outcome, reason) in stored.chain(duplicates) {
        *counts.entry((event.project_id, hour_of(event.received_at), outcome, reason)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((project_id, hour, outcome, reason), quantity)| OutcomeCount {
            project_id,
            hour,
            category: CATEGORY.into(),
            outcome,
            reason: reason.into(),
            quantity,
        })
        .collect()
}
