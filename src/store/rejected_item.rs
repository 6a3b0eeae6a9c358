//! Table `rejected_item`: accepted items that could not be stored.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::Result;
use super::outcome::{self, Outcome, OutcomeCount, hour_of};
use crate::ids::{EventId, ProjectId};

/// An item that was accepted and can never be stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RejectedItem {
    /// Names its reception.
    pub ingest_id: Uuid,
    /// The UTC day it was received on.
    pub received_on: NaiveDate,
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// Its event's id.
    pub event_id: EventId,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// The rate-limit category it counts in.
    pub category: String,
    /// The reason as it is counted: one of few words.
    pub reason: String,
    /// What was wrong, in words.
    pub detail: String,
}

/// Longest text kept of what was wrong, in characters.
const MAX_DETAIL: usize = 500;

/// Notes an item as rejected and counts it, both or neither, once for each reception. False when it was noted before, when
/// it has been stored or settled by another delivery, or when its project is gone.
pub async fn reject(pool: &PgPool, item: &RejectedItem) -> Result<bool> {
    let mut transaction = pool.begin().await?;
    let detail: String = item.detail.chars().filter(|character| *character != '\0').take(MAX_DETAIL).collect();
    let done = sqlx::query(
        "insert into rejected_item
             (ingest_id, received_on, project_id, event_id, received_at, category, reason, detail)
         select $1, $2, $3, $4, $5, $6, $7, $8
         where exists (select from project where id = $3)
             and not exists (select from event e where e.project_id = $3 and e.event_id = $4 and e.received_on = $2
                 and e.ingest_id = $1)
             and not exists (select from settled_ingest s where s.received_on = $2 and s.ingest_id = $1)
         on conflict do nothing",
    )
    .bind(item.ingest_id)
    .bind(item.received_on)
    .bind(item.project_id)
    .bind(item.event_id)
    .bind(item.received_at)
    .bind(&item.category)
    .bind(&item.reason)
    .bind(detail)
    .execute(&mut *transaction)
    .await?;
    let is_new = done.rows_affected() > 0;
    if is_new {
        outcome::add(&mut *transaction, &[count(item, 1)]).await?;
    }
    transaction.commit().await?;
    Ok(is_new)
}

/// Takes a rejection and its count back, because the item is to be tried once more; none when there was none. If that
/// comes to nothing, [`reject`] it again.
pub async fn reopen(pool: &PgPool, ingest_id: Uuid) -> Result<Option<RejectedItem>> {
    let mut transaction = pool.begin().await?;
    let item: Option<RejectedItem> = sqlx::query_as(
        "delete from rejected_item where ingest_id = $1
         returning ingest_id, received_on, project_id, event_id, received_at, category, reason, detail",
    )
    .bind(ingest_id)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(item) = &item {
        outcome::add(&mut *transaction, &[count(item, -1)]).await?;
    }
    transaction.commit().await?;
    Ok(item)
}

/// Takes back the rejections of receptions that have been stored after all, by another delivery: what to add to the counts.
pub(super) async fn revoke(db: &mut PgConnection, receptions: &[Uuid]) -> Result<Vec<OutcomeCount>> {
    let items: Vec<RejectedItem> = sqlx::query_as(
        "delete from rejected_item where ingest_id = any($1)
         returning ingest_id, received_on, project_id, event_id, received_at, category, reason, detail",
    )
    .bind(receptions)
    .fetch_all(db)
    .await?;
    Ok(items.iter().map(|item| count(item, -1)).collect())
}

/// The latest rejections of these projects, the latest first; at most `limit`.
pub async fn latest(db: impl PgExecutor<'_>, projects: &[ProjectId], limit: i64) -> Result<Vec<RejectedItem>> {
    let rows = sqlx::query_as(
        "select r.ingest_id, r.received_on, r.project_id, r.event_id, r.received_at, r.category, r.reason, r.detail
         from unnest($1::bigint[]) as p (id)
         cross join lateral (
             select * from rejected_item where project_id = p.id order by received_at desc limit $2
         ) as r
         order by r.received_at desc limit $2",
    )
    .bind(projects)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The rejections of the event with this id, whichever project it was sent to; at most 20.
pub async fn of_event(db: impl PgExecutor<'_>, event: EventId) -> Result<Vec<RejectedItem>> {
    let rows = sqlx::query_as(
        "select ingest_id, received_on, project_id, event_id, received_at, category, reason, detail
         from rejected_item where event_id = $1 order by received_at desc limit 20",
    )
    .bind(event)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Removes at most `limit` rows of days before `day`; says how many went. Their counts stay.
pub async fn delete_before(db: impl PgExecutor<'_>, day: NaiveDate, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from rejected_item where ctid = any (array(
             select ctid from rejected_item where received_on < $1 order by received_on limit $2
             for update skip locked))",
    )
    .bind(day)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

fn count(item: &RejectedItem, quantity: i64) -> OutcomeCount {
    OutcomeCount {
        project_id: item.project_id,
        hour: hour_of(item.received_at),
        category: item.category.clone().into(),
        outcome: Outcome::Rejected,
        reason: item.reason.clone().into(),
        quantity,
    }
}
