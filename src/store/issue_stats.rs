//! Events of issues over time: the small bar charts of lists and pages.

use std::collections::HashMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::PgPool;

use super::Result;
use crate::ids::{IssueId, ProjectId};

/// Equal steps of time with the number of events in each: (seconds since 1970 of its start, events),
/// oldest first, without gaps.
pub type Series = Vec<(i64, i64)>;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The last 24 hours up to `now` in 24 steps, the current hour last; every issue asked for has a series.
pub async fn hourly_24h(
    pool: &PgPool,
    issues: &[(ProjectId, IssueId)],
    now: DateTime<Utc>,
) -> Result<HashMap<IssueId, Series>> {
    series(pool, issues, now, HOUR, 24).await
}

/// The last 14 UTC days up to `now` in 14 steps, today last; every issue asked for has a series.
pub async fn daily_14d(
    pool: &PgPool,
    issues: &[(ProjectId, IssueId)],
    now: DateTime<Utc>,
) -> Result<HashMap<IssueId, Series>> {
    series(pool, issues, now, DAY, 14).await
}

async fn series(
    pool: &PgPool,
    issues: &[(ProjectId, IssueId)],
    now: DateTime<Utc>,
    step: i64,
    steps: usize,
) -> Result<HashMap<IssueId, Series>> {
    if issues.is_empty() {
        return Ok(HashMap::new());
    }
    let last = now.duration_trunc(TimeDelta::seconds(step)).unwrap_or(now);
    let first = last - TimeDelta::seconds(step) * i32::try_from(steps.saturating_sub(1)).unwrap_or_default();
    let (projects, ids): (Vec<ProjectId>, Vec<IssueId>) = issues.iter().copied().unzip();
    let counted: Vec<(IssueId, i64, i64)> = sqlx::query_as(
        "select h.issue_id, (extract(epoch from h.hour)::bigint / $4) * $4, sum(h.event_count)::bigint
        from unnest($1::bigint[], $2::bigint[]) as wanted(project_id, issue_id)
        join issue_hourly h using (project_id, issue_id)
        where h.hour >= $3
        group by 1, 2",
    )
    .bind(&projects)
    .bind(&ids)
    .bind(first)
    .bind(step)
    .fetch_all(pool)
    .await?;

    let start = first.timestamp();
    let empty: Series = (start..).step_by(usize::try_from(step).unwrap_or(1)).take(steps).map(|at| (at, 0)).collect();
    let mut by_issue: HashMap<IssueId, Series> = ids.into_iter().map(|id| (id, empty.clone())).collect();
    for (issue, at, count) in counted {
        let slot = usize::try_from((at - start) / step).unwrap_or(usize::MAX);
        if let Some((_, events)) = by_issue.get_mut(&issue).and_then(|series| series.get_mut(slot)) {
            *events = count;
        }
    }
    Ok(by_issue)
}
