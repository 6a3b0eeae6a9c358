//! Events that go from one issue to another, with what was counted for them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::aggregate::{self, Change};
use super::{Failure, IssueKey, NewEvent, rollup, state};
use crate::ids::{IssueId, ProjectId};
use crate::store::{Result, StoreError};

/// Counts the events, which are of issue `from` and were stored before, for issue `to` of the same project, and no longer
/// for `from`. Users stay counted for both, since nobody knows whether `from` has other events of theirs. Both issues are locked.
/// [`StoreError::Conflict`]: one of them is gone.
pub(in crate::store) async fn recount(
    db: &mut PgConnection,
    from: IssueKey,
    to: IssueId,
    events: &[NewEvent],
) -> Result<()> {
    let placed: Vec<(IssueId, &NewEvent)> = events.iter().map(|event| (to, event)).collect();
    let states = match state::lock(db, &placed).await {
        Ok(states) => states,
        Err(Failure::Store(error)) => return Err(error),
        Err(Failure::IssueGone | Failure::NoPartition) => {
            return Err(StoreError::Conflict(sqlx::Error::RowNotFound));
        }
    };
    let mut changes = aggregate::by_issue(&placed);
    rollup::add_users(db, &mut changes).await?;
    state::apply(db, &changes, &states).await?;
    rollup::add_tags(db, &changes).await?;
    rollup::add_hours(db, &changes).await?;
    for change in changes.values() {
        subtract(db, from, change).await?;
    }
    Ok(())
}

/// Makes a locked issue of the event's project look like this event, its latest.
pub(in crate::store) async fn describe(db: &mut PgConnection, issue: IssueId, event: &NewEvent) -> Result<()> {
    sqlx::query(
        "update issue set kind = $3, level = $4, platform = $5, logger = $6, title = $7, culprit = $8, metadata = $9,
             is_unhandled = $10
         where project_id = $1 and id = $2",
    )
    .bind(event.project_id)
    .bind(issue)
    .bind(event.kind.code())
    .bind(event.level.code())
    .bind(&event.platform)
    .bind(&event.logger)
    .bind(&event.title)
    .bind(&event.culprit)
    .bind(Json(&event.metadata))
    .bind(event.is_unhandled)
    .execute(&mut *db)
    .await?;
    sqlx::query("update issue_text set document = $3 where project_id = $1 and issue_id = $2")
        .bind(event.project_id)
        .bind(issue)
        .bind(state::document(event))
        .execute(db)
        .await?;
    Ok(())
}

async fn subtract(db: &mut PgConnection, (project, issue): IssueKey, change: &Change<'_>) -> Result<()> {
    sqlx::query("update issue set event_count = greatest(event_count - $3, 0) where project_id = $1 and id = $2")
        .bind(project)
        .bind(issue)
        .bind(change.events)
        .execute(&mut *db)
        .await?;
    subtract_tags(db, project, issue, change).await?;
    let hours: Vec<(&(DateTime<Utc>, &str), &i64)> = change.hours.iter().collect();
    // Rows of zero stay: they are what leads to an issue when its time is over.
    sqlx::query(
        "update issue_hourly h set event_count = greatest(h.event_count - n.events, 0)
         from unnest($3::timestamptz[], $4::text[], $5::bigint[]) as n (hour, environment, events)
         where h.project_id = $1 and h.issue_id = $2 and h.hour = n.hour and h.environment = n.environment",
    )
    .bind(project)
    .bind(issue)
    .bind(hours.iter().map(|((hour, _), _)| *hour).collect::<Vec<_>>())
    .bind(hours.iter().map(|((_, environment), _)| *environment).collect::<Vec<_>>())
    .bind(hours.iter().map(|(_, events)| **events).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

async fn subtract_tags(db: &mut PgConnection, project: ProjectId, issue: IssueId, change: &Change<'_>) -> Result<()> {
    let tags: Vec<(&str, &str, i64)> =
        change.tags.iter().map(|((key, value), seen)| (*key, *value, seen.times)).collect();
    let (keys, values): (Vec<&str>, Vec<&str>) = tags.iter().map(|(key, value, _)| (*key, *value)).unzip();
    sqlx::query(
        "update issue_tag t set times_seen = t.times_seen - n.times
         from unnest($3::text[], $4::text[], $5::bigint[]) as n (key, value, times)
         where t.project_id = $1 and t.issue_id = $2 and t.key = n.key and t.value = n.value",
    )
    .bind(project)
    .bind(issue)
    .bind(&keys)
    .bind(&values)
    .bind(tags.iter().map(|(_, _, times)| *times).collect::<Vec<_>>())
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "delete from issue_tag t using unnest($3::text[], $4::text[]) as n (key, value)
         where t.project_id = $1 and t.issue_id = $2 and t.key = n.key and t.value = n.value and t.times_seen <= 0",
    )
    .bind(project)
    .bind(issue)
    .bind(&keys)
    .bind(&values)
    .execute(db)
    .await?;
    Ok(())
}
