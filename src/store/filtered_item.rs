//! Table `filtered_item`: accepted events and transactions that a filter of their project held back; and how items of all
//! kinds that were held back are settled.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::outcome::{self, Outcome, OutcomeCount, hour_of};
use super::{Result, rejected_item, settled_ingest};
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Category, Filter, Stamp, StampedItem};

/// An accepted item that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredItem {
    /// The edge's stamp.
    pub stamp: Stamp,
    /// What held it back.
    pub filter: Filter,
}

/// What was held back, as it is noted.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FilteredNote {
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// The rate-limit category it counts in.
    pub category: String,
    /// The filter's name.
    pub reason: String,
}

/// What the items of one envelope have in common.
pub type EnvelopeKey = (ProjectId, EventId, DateTime<Utc>);

impl FilteredItem {
    /// True if files and reports in its envelope go with it.
    pub fn decides(&self) -> bool {
        matches!(self.stamp.item_type.as_str(), "event" | "transaction")
    }

    /// Its envelope.
    pub fn envelope(&self) -> EnvelopeKey {
        envelope_of(&self.stamp)
    }

    fn category(&self) -> &'static str {
        Category::of_item_type(&self.stamp.item_type).as_str()
    }
}

/// The envelope that an item came in.
pub fn envelope_of(stamp: &Stamp) -> EnvelopeKey {
    (stamp.project_id, stamp.event_id, stamp.received_at)
}

/// Notes items as held back and counts them, once for each reception: one that was stored or settled by another delivery
/// stays what it is.
pub async fn settle(pool: &PgPool, items: &[FilteredItem]) -> Result<()> {
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let stored = stored_receptions(db, items).await?;
    let receptions = items.iter().map(|item| (item.stamp.received_on, item.stamp.ingest_id));
    let mut new = settled_ingest::note(db, receptions.filter(|(_, id)| !stored.contains(id)).collect()).await?;
    let items: Vec<&FilteredItem> = items.iter().filter(|item| new.remove(&item.stamp.ingest_id)).collect();
    insert(db, &items).await?;
    let mut counts = Counts::default();
    // A file counts once, by its first part.
    for item in items.iter().filter(|item| item.stamp.item_type != StampedItem::FILE_PART) {
        counts.add(item.stamp.project_id, item.stamp.received_at, item.category(), item.filter.id(), 1);
    }
    let settled: Vec<Uuid> = items.iter().map(|item| item.stamp.ingest_id).collect();
    let mut counts = counts.into_vec(Outcome::Filtered);
    counts.extend(rejected_item::revoke(db, &settled).await?);
    outcome::add(db, &counts).await?;
    transaction.commit().await?;
    Ok(())
}

/// Which receptions are events that can be read.
async fn stored_receptions(db: &mut PgConnection, items: &[FilteredItem]) -> Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select e.ingest_id
         from unnest($1::bigint[], $2::uuid[], $3::date[], $4::uuid[]) as n (project_id, event_id, received_on, ingest_id)
         join event e on e.project_id = n.project_id and e.event_id = n.event_id and e.received_on = n.received_on
             and e.ingest_id = n.ingest_id",
    )
    .bind(items.iter().map(|item| item.stamp.project_id.0).collect::<Vec<i64>>())
    .bind(items.iter().map(|item| item.stamp.event_id.0).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.stamp.received_on).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.stamp.ingest_id).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().collect())
}

async fn insert(db: &mut PgConnection, items: &[&FilteredItem]) -> Result<()> {
    let items: Vec<&FilteredItem> = items.iter().copied().filter(|item| item.decides()).collect();
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into filtered_item (ingest_id, received_on, project_id, event_id, received_at, category, reason)
         select n.* from unnest($1::uuid[], $2::date[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[])
             as n (ingest_id, received_on, project_id, event_id, received_at, category, reason)
         where exists (select from project p where p.id = n.project_id)
         order by n.ingest_id
         on conflict do nothing",
    )
    .bind(items.iter().map(|item| item.stamp.ingest_id).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.stamp.received_on).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.stamp.project_id.0).collect::<Vec<i64>>())
    .bind(items.iter().map(|item| item.stamp.event_id.0).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.stamp.received_at).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.category()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.filter.id()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Takes back the files and reports of envelopes whose event was held back: stored by another worker, or before. Whoever
/// stores either side asks for it afterwards, so nothing stays whichever comes last; and asking twice changes nothing.
pub async fn drop_dependents(pool: &PgPool, envelopes: &[EnvelopeKey]) -> Result<()> {
    if envelopes.is_empty() {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    let dropped: Vec<(ProjectId, DateTime<Utc>, String, String)> = sqlx::query_as(
        "with held as (
             select distinct on (f.project_id, f.event_id, f.received_at)
                 f.project_id, f.event_id, f.received_at, f.received_on, f.reason
             from unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) as n (project_id, event_id, received_at)
             join filtered_item f
                 on f.event_id = n.event_id and f.project_id = n.project_id and f.received_at = n.received_at
         ), file as (
             delete from attachment a using held h
             where a.project_id = h.project_id and a.received_on = h.received_on and a.event_id = h.event_id
                 and a.received_at = h.received_at
             returning a.project_id, a.received_at, 'attachment' as category, h.reason, a.part
         ), report as (
             delete from user_feedback r using held h
             where r.project_id = h.project_id and r.kind = 0 and r.id = h.event_id and r.received_at = h.received_at
             returning r.project_id, r.received_at, 'feedback' as category, h.reason
         )
         select project_id, received_at, category, reason from file where part = 0
         union all select * from report",
    )
    .bind(envelopes.iter().map(|(project, ..)| project.0).collect::<Vec<i64>>())
    .bind(envelopes.iter().map(|(_, event, _)| event.0).collect::<Vec<_>>())
    .bind(envelopes.iter().map(|(.., at)| *at).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await?;
    let (mut filtered, mut stored) = (Counts::default(), Counts::default());
    for (project, at, category, reason) in &dropped {
        filtered.add(*project, *at, category, reason, 1);
        stored.add(*project, *at, category, "", -1);
    }
    let mut counts = filtered.into_vec(Outcome::Filtered);
    counts.extend(stored.into_vec(Outcome::Stored));
    outcome::add(&mut *transaction, &counts).await?;
    transaction.commit().await?;
    Ok(())
}

/// What was held back of the event with this id, whichever project it was sent to; at most 20.
pub async fn of_event(db: impl PgExecutor<'_>, event: EventId) -> Result<Vec<FilteredNote>> {
    let rows = sqlx::query_as(
        "select project_id, received_at, category, reason from filtered_item
         where event_id = $1 order by received_at desc limit 20",
    )
    .bind(event)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Removes at most `limit` rows of days before `day`; says how many went. Their counts stay.
pub async fn delete_before(db: impl PgExecutor<'_>, day: NaiveDate, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from filtered_item where ctid = any (array(
             select ctid from filtered_item where received_on < $1 order by received_on limit $2
             for update skip locked))",
    )
    .bind(day)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Quantities by project, hour, category and reason.
#[derive(Default)]
struct Counts<'a>(BTreeMap<(ProjectId, DateTime<Utc>, &'a str, &'a str), i64>);

impl<'a> Counts<'a> {
    fn add(&mut self, project: ProjectId, at: DateTime<Utc>, category: &'a str, reason: &'a str, quantity: i64) {
        *self.0.entry((project, hour_of(at), category, reason)).or_default() += quantity;
    }

    fn into_vec(self, outcome: Outcome) -> Vec<OutcomeCount> {
        let count = |((project_id, hour, category, reason), quantity): ((_, _, &str, &str), _)| OutcomeCount {
            project_id,
            hour,
            category: category.to_owned().into(),
            outcome,
            reason: reason.to_owned().into(),
            quantity,
        };
        self.0.into_iter().map(count).collect()
    }
}
