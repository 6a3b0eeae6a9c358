//! What is rolled up per issue: users, tags, hours. The issues are locked, so each row has one writer.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::IssueKey;
use super::aggregate::Change;
use crate::ids::{IssueId, ProjectId};
use crate::store::Result;

/// Notes the users of the batch, and in each change how many of them are new to its issue.
pub(super) async fn add_users(db: &mut PgConnection, changes: &mut BTreeMap<IssueKey, Change<'_>>) -> Result<()> {
    let mut rows: Vec<(ProjectId, IssueId, &[u8])> = Vec::new();
    for ((project_id, issue_id), change) in changes.iter() {
        rows.extend(change.users.iter().map(|user| (*project_id, *issue_id, user.as_slice())));
    }
    if rows.is_empty() {
        return Ok(());
    }
    // In the order of the index: neighbours share a page.
    rows.sort_unstable();
    let new_users: Vec<(ProjectId, IssueId, i64)> = sqlx::query_as(
        "with added as (
             insert into issue_user (project_id, issue_id, user_hash)
             select * from unnest($1::bigint[], $2::bigint[], $3::bytea[])
             on conflict do nothing
             returning project_id, issue_id
         )
         select project_id, issue_id, count(*) from added group by project_id, issue_id",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    for (project_id, issue_id, count) in new_users {
        if let Some(change) = changes.get_mut(&(project_id, issue_id)) {
            change.new_users = count;
        }
    }
    Ok(())
}

/// Counts the tags of the batch.
pub(super) async fn add_tags(db: &mut PgConnection, changes: &BTreeMap<IssueKey, Change<'_>>) -> Result<()> {
    let mut rows = Vec::new();
    for (issue, change) in changes {
        let begin = rows.len();
        rows.extend(change.tags.iter().map(|((key, value), seen)| (*issue, *key, *value, seen)));
        if let Some(added) = rows.get_mut(begin..) {
            added.sort_unstable_by_key(|(_, key, value, _)| (*key, *value));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into issue_tag (project_id, issue_id, key, value, times_seen, first_seen, last_seen)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[])
         on conflict (project_id, issue_id, key, value) do update set
             times_seen = issue_tag.times_seen + excluded.times_seen,
             first_seen = least(issue_tag.first_seen, excluded.first_seen),
             last_seen = greatest(issue_tag.last_seen, excluded.last_seen)",
    )
    .bind(rows.iter().map(|((project_id, _), ..)| *project_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|((_, issue_id), ..)| *issue_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, key, _, _)| *key).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, value, _)| *value).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., seen)| seen.times).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., seen)| seen.first).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., seen)| seen.last).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Counts the events of the batch by hour of receipt and environment.
pub(super) async fn add_hours(db: &mut PgConnection, changes: &BTreeMap<IssueKey, Change<'_>>) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .flat_map(|(issue, change)| {
            change.hours.iter().map(move |((hour, environment), n)| (*issue, *hour, *environment, *n))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into issue_hourly (project_id, issue_id, hour, environment, event_count)
         select * from unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[], $5::bigint[])
         on conflict (project_id, issue_id, hour, environment)
             do update set event_count = issue_hourly.event_count + excluded.event_count",
    )
    .bind(rows.iter().map(|((project_id, _), ..)| *project_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|((_, issue_id), ..)| *issue_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, hour, ..)| *hour).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, environment, _)| *environment).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., events)| *events).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
