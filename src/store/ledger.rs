//! Reads the ledger (`outcome_hourly`): what became of everything that was sent, summed up in several ways.
//!
//! Two numbers stand in it for each item. The edge counts it as `accepted` when it is acknowledged; whoever decides
//! its fate counts it as `stored`, `filtered` or `rejected`. Adding both up would count it twice, so every sum here
//! says which outcomes it takes.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;

use super::Result;
use crate::ids::ProjectId;

/// What is summed up.
#[derive(Debug, Clone)]
pub struct LedgerFilter {
    /// Of these projects.
    pub projects: Vec<ProjectId>,
    /// From the hour that begins at this time.
    pub since: DateTime<Utc>,
    /// Up to the hour before this time.
    pub until: DateTime<Utc>,
    /// These outcomes, by their names as stored.
    pub outcomes: Vec<String>,
    /// These categories; none: all.
    pub categories: Option<Vec<String>>,
    /// These reasons (empty: without one); none: all.
    pub reasons: Option<Vec<String>>,
}

/// What sums can be told apart by, besides the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The project.
    Project,
    /// The category; errors, messages and security reports are one.
    Category,
    /// The outcome.
    Outcome,
    /// The reason.
    Reason,
}

/// One sum: a group in one step of time. What it is not told apart by is none.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerSum {
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The category.
    pub category: Option<String>,
    /// The outcome, as stored.
    pub outcome: Option<String>,
    /// The reason; empty for what has none.
    pub reason: Option<String>,
    /// Which step of time, from 0.
    pub slot: i64,
    /// How many items.
    pub quantity: i64,
}

/// Sums by group and step of time, in no order; at most `limit` of them.
pub async fn sums(
    db: impl PgExecutor<'_>,
    filter: &LedgerFilter,
    by: &[Dimension],
    step: TimeDelta,
    limit: i64,
) -> Result<Vec<LedgerSum>> {
    let rows = sqlx::query_as(
        "select
            case when $7 then project_id end as project_id,
            case when not $8 then null when category in ('default', 'security') then 'error' else category end
                as category,
            case when $9 then outcome end as outcome,
            case when $10 then reason end as reason,
            (extract(epoch from hour)::bigint - extract(epoch from $2)::bigint) / $11 as slot,
            sum(quantity)::bigint as quantity
        from outcome_hourly
        where project_id = any($1) and hour >= $2 and hour < $3 and outcome = any($4)
            and ($5::text[] is null or category = any($5)) and ($6::text[] is null or reason = any($6))
        group by 1, 2, 3, 4, 5
        limit $12",
    )
    .bind(&filter.projects)
    .bind(filter.since)
    .bind(filter.until)
    .bind(&filter.outcomes)
    .bind(&filter.categories)
    .bind(&filter.reasons)
    .bind(by.contains(&Dimension::Project))
    .bind(by.contains(&Dimension::Category))
    .bind(by.contains(&Dimension::Outcome))
    .bind(by.contains(&Dimension::Reason))
    .bind(step.num_seconds().max(1))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// What a project's items of one category came to, by fate and reason.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerTotal {
    /// Whose items.
    pub project_id: ProjectId,
    /// Their category, as stored.
    pub category: String,
    /// What became of them, as stored.
    pub outcome: String,
    /// Why; empty for what has no reason.
    pub reason: String,
    /// How many.
    pub quantity: i64,
    /// Of those, received in hours before the edge's own count began: nothing stands against them.
    pub uncounted: i64,
    /// Of the others, received in the newest hours.
    pub recent: i64,
}

/// Everything that is counted for these projects from `since` on, whatever its outcome; the hours from `recent` on
/// are the newest.
///
/// An instance that was brought up to date has hours whose items were stored and never counted at the edge; the hour
/// in which that count began is among them, since it has only a part of it.
pub async fn totals(
    db: impl PgExecutor<'_>,
    projects: &[ProjectId],
    since: DateTime<Utc>,
    recent: DateTime<Utc>,
) -> Result<Vec<LedgerTotal>> {
    let rows = sqlx::query_as(
        "with begin as materialized (
            select p.project_id,
                case when counted.hour is null then 'infinity' when counted.hour = settled.hour then counted.hour
                    else counted.hour + interval '1 hour' end as hour
            from unnest($1::bigint[]) as p (project_id)
            left join lateral (
                select hour from outcome_hourly o
                where o.project_id = p.project_id and o.hour >= $2 and o.outcome = 'accepted'
                order by hour limit 1
            ) as counted on true
            left join lateral (
                select hour from outcome_hourly o
                where o.project_id = p.project_id and o.hour >= $2
                    and o.outcome in ('accepted', 'stored', 'filtered', 'rejected')
                order by hour limit 1
            ) as settled on true
        )
        select o.project_id, o.category, o.outcome, o.reason, sum(o.quantity)::bigint as quantity,
            coalesce(sum(o.quantity) filter (where o.hour < b.hour), 0)::bigint as uncounted,
            coalesce(sum(o.quantity) filter (where o.hour >= b.hour and o.hour >= $3), 0)::bigint as recent
        from begin b join outcome_hourly o on o.project_id = b.project_id and o.hour >= $2
        group by 1, 2, 3, 4 order by 1, 2, 3, 4",
    )
    .bind(projects)
    .bind(since)
    .bind(recent)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// One row of the ledger as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct LedgerRow {
    /// Whose items.
    pub project_id: ProjectId,
    /// The hour they were received in.
    pub hour: DateTime<Utc>,
    /// Their category.
    pub category: String,
    /// What became of them, as stored.
    pub outcome: String,
    /// Why; empty for what has no reason.
    pub reason: String,
    /// How many.
    pub quantity: i64,
}

/// The rows of every project from the hour `since` on, the newest hours first; at most `limit`.
pub async fn rows_since(db: impl PgExecutor<'_>, since: DateTime<Utc>, limit: i64) -> Result<Vec<LedgerRow>> {
    let rows = sqlx::query_as(
        "select project_id, hour, category, outcome, reason, quantity
        from outcome_hourly where hour >= $1 order by hour desc limit $2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}
