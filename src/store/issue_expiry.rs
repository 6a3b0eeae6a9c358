//! Issues whose last event is gone, and what living issues have counted for events that are gone.
//!
//! `issue_hourly` says when the events of each issue were received. Its old rows lead to what is to be done, and go
//! only together with it, so a run that is broken off is taken up where it was. An issue is locked before anything
//! of it changes, as the writers of events do it and in their order; so both may run at the same time, and counters
//! are right at every moment.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::Result;
use crate::ids::{IssueId, ProjectId};

/// Issues in one transaction; a batch of events that has one of them waits for so long.
const ISSUES: i64 = 20;

/// Old rows of `issue_hourly` looked at to find them.
const HOURS: i64 = 5_000;

/// Tags, users, and hours deleted in one transaction.
const CHILDREN: i64 = 20_000;

/// A tag knows when an event had it last by the sender's clock. So far may that lie before the event's receipt: an
/// event that says it is older is taken for one of the time of its receipt.
const SENDERS_DELAY: TimeDelta = TimeDelta::days(30);

/// What has been removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Issues without events.
    pub issues: u64,
    /// Rows of `issue_hourly`; those of removed issues included, as in the following.
    pub hours: u64,
    /// Rows of `issue_tag`.
    pub tags: u64,
    /// Rows of `issue_user`.
    pub users: u64,
}

type Key = (ProjectId, IssueId);

/// Removes some of what was received before `before`: issues without a later event, and of the others the counts of
/// those hours and the tag values that no event has any more. None when there is nothing left to remove.
pub async fn remove_some(pool: &PgPool, before: DateTime<Utc>) -> Result<Option<Removed>> {
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let keys = lock(db, before).await?;
    if keys.is_empty() {
        return Ok(None);
    }
    let dead = find_dead(db, &keys, before).await?;
    let users = remove_users(db, &dead).await?;
    let tags = remove_tags(db, &keys, &dead, before).await?;
    let mut removed = Removed { tags, users, ..Removed::default() };
    // An issue can have a million of each: the old hours then stay, to lead here again.
    if users.max(tags) < CHILDREN.unsigned_abs() {
        removed.hours = remove_hours(db, &keys, before).await?;
        removed.issues = remove_issues(db, &dead).await?;
    }
    transaction.commit().await?;
    Ok(Some(removed))
}

/// Locks the issues with the oldest hours.
async fn lock(db: &mut PgConnection, before: DateTime<Utc>) -> Result<Vec<Key>> {
    let keys = sqlx::query_as(
        "select i.project_id, i.id
         from (select distinct project_id, issue_id
               from (select project_id, issue_id from issue_hourly where hour < $1 order by hour limit $2) oldest
               limit $3) old
         join issue i on i.project_id = old.project_id and i.id = old.issue_id
         order by i.project_id, i.id
         for update of i",
    )
    .bind(before)
    .bind(HOURS)
    .bind(ISSUES)
    .fetch_all(db)
    .await?;
    Ok(keys)
}

/// Those of the locked issues that have no later event. A statement of its own: it sees what was written while we
/// waited for the locks.
async fn find_dead(db: &mut PgConnection, keys: &[Key], before: DateTime<Utc>) -> Result<Vec<Key>> {
    let (projects, issues) = columns(keys);
    let dead = sqlx::query_as(
        "select k.project_id, k.issue_id from unnest($1::bigint[], $2::bigint[]) as k (project_id, issue_id)
         where not exists (select from issue_hourly h
             where h.project_id = k.project_id and h.issue_id = k.issue_id and h.hour >= $3)",
    )
    .bind(projects)
    .bind(issues)
    .bind(before)
    .fetch_all(db)
    .await?;
    Ok(dead)
}

async fn remove_users(db: &mut PgConnection, dead: &[Key]) -> Result<u64> {
    let (projects, issues) = columns(dead);
    let removed: Vec<(ProjectId, IssueId, i64)> = sqlx::query_as(
        "with gone as (
             delete from issue_user where ctid = any (array(
                 select u.ctid from unnest($1::bigint[], $2::bigint[]) as k (project_id, issue_id)
                 join issue_user u on u.project_id = k.project_id and u.issue_id = k.issue_id
                 limit $3))
             returning project_id, issue_id
         )
         select project_id, issue_id, count(*) from gone group by project_id, issue_id",
    )
    .bind(projects)
    .bind(issues)
    .bind(CHILDREN)
    .fetch_all(&mut *db)
    .await?;
    sqlx::query(
        "update issue i set user_count = i.user_count - n.users
         from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as n (project_id, id, users)
         where i.project_id = n.project_id and i.id = n.id",
    )
    .bind(removed.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(removed.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(removed.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(removed.iter().map(|row| row.2.unsigned_abs()).sum())
}

async fn remove_tags(db: &mut PgConnection, keys: &[Key], dead: &[Key], before: DateTime<Utc>) -> Result<u64> {
    let (projects, issues) = columns(keys);
    let (_, dead) = columns(dead);
    let done = sqlx::query(
        "delete from issue_tag where ctid = any (array(
             select t.ctid from unnest($1::bigint[], $2::bigint[]) as k (project_id, issue_id)
             join issue_tag t on t.project_id = k.project_id and t.issue_id = k.issue_id
             where t.last_seen < $3 or k.issue_id = any ($4::bigint[])
             limit $5))",
    )
    .bind(projects)
    .bind(issues)
    .bind(before.checked_sub_signed(SENDERS_DELAY).unwrap_or(before))
    .bind(dead)
    .bind(CHILDREN)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

async fn remove_hours(db: &mut PgConnection, keys: &[Key], before: DateTime<Utc>) -> Result<u64> {
    let (projects, issues) = columns(keys);
    let done = sqlx::query(
        "delete from issue_hourly where ctid = any (array(
             select h.ctid from unnest($1::bigint[], $2::bigint[]) as k (project_id, issue_id)
             join issue_hourly h on h.project_id = k.project_id and h.issue_id = k.issue_id
             where h.hour < $3
             limit $4))",
    )
    .bind(projects)
    .bind(issues)
    .bind(before)
    .bind(CHILDREN)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Of the dead those whose last hour is gone: nothing leads to them any more.
async fn remove_issues(db: &mut PgConnection, dead: &[Key]) -> Result<u64> {
    let (projects, issues) = columns(dead);
    let done = sqlx::query(
        "delete from issue i using unnest($1::bigint[], $2::bigint[]) as k (project_id, id)
         where i.project_id = k.project_id and i.id = k.id and not exists (
             select from issue_hourly h where h.project_id = k.project_id and h.issue_id = k.id)",
    )
    .bind(projects)
    .bind(issues)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

fn columns(keys: &[Key]) -> (Vec<ProjectId>, Vec<IssueId>) {
    keys.iter().copied().unzip()
}
