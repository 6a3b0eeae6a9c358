//! Table `outcome_hourly`: what became of what was sent.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::PgExecutor;

use super::Result;
use crate::ids::ProjectId;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Outcome {
    /// It can be read.
    Stored,
    /// It was dropped on purpose (a duplicate, an inbound filter).
    Filtered,
    /// It could not be taken (malformed, over a limit).
    Rejected,
}

/// A number of items of one project, hour and fate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeCount {
    /// Whose items.
    pub project_id: ProjectId,
    /// The hour they were received in; see [`hour_of`].
    pub hour: DateTime<Utc>,
    /// `error`, `transaction`, `session`, ...: the rate-limit categories of the protocol.
    pub category: &'static str,
    /// What became of them.
    pub outcome: Outcome,
    /// Why; empty for stored ones.
    pub reason: &'static str,
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

/// Adds counts. Rows are locked in one order whoever writes, so that writers never deadlock. Items of a
/// project that is gone are not counted.
pub async fn add(db: impl PgExecutor<'_>, counts: &[OutcomeCount]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into outcome_hourly (project_id, hour, category, outcome, reason, quantity)
         select n.project_id, n.hour, n.category, n.outcome, n.reason, sum(n.quantity)::bigint
         from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             as n (project_id, hour, category, outcome, reason, quantity)
         where exists (select from project p where p.id = n.project_id)
         group by 1, 2, 3, 4, 5
         order by 1, 2, 3, 4, 5
         on conflict (project_id, hour, category, outcome, reason)
             do update set quantity = outcome_hourly.quantity + excluded.quantity",
    )
    .bind(counts.iter().map(|count| count.project_id).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.hour).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.category).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.outcome.as_str()).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.reason).collect::<Vec<_>>())
    .bind(counts.iter().map(|count| count.quantity).collect::<Vec<_>>())
    .execute(db)
    .await?;
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

impl Outcome {
    /// Its name, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Filtered => "filtered",
            Self::Rejected => "rejected",
        }
    }
}
