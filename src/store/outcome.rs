//! Table `outcome_hourly`: what became of what was sent.

use std::borrow::Cow;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{PgExecutor, PgPool};

use super::{Result, settled_ingest};
use crate::ids::ProjectId;
pub use crate::protocol::Outcome;
use crate::protocol::{Stamp, Tally};

/// A number of items of one project, hour and fate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeCount {
    /// Whose items.
    pub project_id: ProjectId,
    /// The hour they were received in; see [`hour_of`].
    pub hour: DateTime<Utc>,
    /// `error`, `transaction`, `session`, ...: the rate-limit categories of the protocol.
    pub category: Cow<'static, str>,
    /// What became of them.
    pub outcome: Outcome,
    /// Why; empty for stored ones.
    pub reason: Cow<'static, str>,
    /// How many.
    pub quantity: i64,
}

/// Items whose counts live equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Transactions.
    Transactions,
    /// All others.
    Others,
}

/// The start of the hour `time` lies in.
pub fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}

/// Adds counts; a negative quantity takes them back, and what does not fit into 64 bits stays at the most. Rows are locked
/// in one order whoever writes, so that writers never deadlock. Items of a project that is gone are not counted.
pub async fn add(db: impl PgExecutor<'_>, counts: &[OutcomeCount]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into outcome_hourly (project_id, hour, category, outcome, reason, quantity)
         select n.project_id, n.hour, n.category, n.outcome, n.reason, least(sum(n.quantity), 9223372036854775807)::bigint
         from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             as n (project_id, hour, category, outcome, reason, quantity)
         where exists (select from project p where p.id = n.project_id)
         group by 1, 2, 3, 4, 5
         order by 1, 2, 3, 4, 5
         on conflict (project_id, hour, category, outcome, reason)
             do update set
                 quantity = least(outcome_hourly.quantity::numeric + excluded.quantity, 9223372036854775807)::bigint",
    )
    .bind(counts.iter().map(|count| count.project_id).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.hour).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.category.as_ref()).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.outcome.as_str()).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.reason.as_ref()).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.quantity).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Adds what the edge has counted, each tally once: a reception that was settled before changes nothing.
pub async fn settle_tallies(pool: &PgPool, tallies: &[(&Stamp, &Tally)]) -> Result<()> {
    let mut transaction = pool.begin().await?;
    let receptions = tallies.iter().map(|(stamp, _)| (stamp.received_on, stamp.ingest_id)).collect();
    let mut new = settled_ingest::note(&mut transaction, receptions).await?;
    let counts: Vec<OutcomeCount> = tallies
        .iter()
        .filter(|(stamp, _)| new.remove(&stamp.ingest_id))
        .flat_map(|(_, tally)| tally.iter())
        .map(|(key, quantity)| OutcomeCount {
            project_id: key.project_id,
            hour: DateTime::from_timestamp(key.hour, 0).unwrap_or_default(),
            category: key.category.clone(),
            outcome: key.outcome,
            reason: key.reason.clone(),
            quantity: i64::try_from(quantity).unwrap_or(i64::MAX),
        })
        .collect();
    add(&mut *transaction, &counts).await?;
    transaction.commit().await?;
    Ok(())
}

/// Removes at most `limit` counts of hours before `before`; says how many went.
pub async fn delete_before(
    db: impl PgExecutor<'_>,
    counted: Counted,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "delete from outcome_hourly where ctid = any (array(
             select ctid from outcome_hourly where hour < $1 and (category = 'transaction') = $2
             order by hour limit $3 for update skip locked))",
    )
    .bind(before)
    .bind(counted == Counted::Transactions)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
