//! A part of an issue becomes an issue of its own.

use std::collections::HashMap;

use sqlx::PgPool;

use super::{lock_issues, lock_project};
use crate::ids::{EventId, IssueId, ProjectId};
use crate::store::Result;
use crate::store::event_batch::hash_prefix;

/// Most parts of an issue that are listed.
const MAX_PARTS: i64 = 100;

/// Events looked at, the latest first, to show what a part is about.
const LOOK: i64 = 5_000;

/// Events of an issue that were grouped by the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The grouping hash: SHA-256.
    pub hash: Vec<u8>,
    /// The event of it that was received last, unless that is long ago among the issue's events.
    pub latest_event: Option<EventId>,
}

/// Why nothing was split off.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// None of the hashes is the issue's.
    #[error("the issue has no such part")]
    NoSuchPart,
    /// Nothing would be left of the issue.
    #[error("one part has to stay")]
    NothingLeft,
    /// The database said no.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl From<sqlx::Error> for SplitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What the issue is made of, a hundred parts at most.
pub async fn parts(pool: &PgPool, project: ProjectId, issue: IssueId) -> Result<Vec<Part>> {
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar(
        "select hash from issue_hash where project_id = $1 and issue_id = $2 order by hash limit $3",
    )
    .bind(project)
    .bind(issue)
    .bind(MAX_PARTS)
    .fetch_all(pool)
    .await?;
    // Nearly every issue is of one piece, which its latest event tells.
    let look = if hashes.len() > 1 { LOOK } else { 1 };
    let latest: Vec<(i64, EventId)> = sqlx::query_as(
        "select distinct on (hash_prefix) hash_prefix, event_id from (
             select hash_prefix, event_id, received_at from event where project_id = $1 and issue_id = $2
             order by received_at desc, event_id desc limit $3) latest
         where hash_prefix is not null
         order by hash_prefix, received_at desc, event_id desc",
    )
    .bind(project)
    .bind(issue)
    .bind(look)
    .fetch_all(pool)
    .await?;
    let latest: HashMap<i64, EventId> = latest.into_iter().collect();
    let part =
        |hash: Vec<u8>| Part { latest_event: hash_prefix(&hash).and_then(|prefix| latest.get(&prefix).copied()), hash };
    Ok(hashes.into_iter().map(part).collect())
}

/// Makes an issue of the parts with these hashes. Later events with them go there; those that are there follow (see
/// [`super::carry_some`]).
pub async fn split(
    pool: &PgPool,
    project: ProjectId,
    issue: IssueId,
    hashes: &[Vec<u8>],
) -> std::result::Result<IssueId, SplitError> {
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    lock_project(db, project).await?;
    if lock_issues(db, project, &[issue]).await?.is_empty() {
        return Err(SplitError::NoSuchPart);
    }
    let all: Vec<Vec<u8>> = sqlx::query_scalar("select hash from issue_hash where project_id = $1 and issue_id = $2")
        .bind(project)
        .bind(issue)
        .fetch_all(&mut *db)
        .await?;
    let parts: Vec<&Vec<u8>> = all.iter().filter(|hash| hashes.contains(hash)).collect();
    if parts.is_empty() {
        return Err(SplitError::NoSuchPart);
    }
    if parts.len() == all.len() {
        return Err(SplitError::NothingLeft);
    }
    let short_id: i64 = sqlx::query_scalar(
        "update project set next_short_id = next_short_id + 1 where id = $1 returning next_short_id - 1",
    )
    .bind(project)
    .fetch_one(&mut *db)
    .await?;
    // Without counts; its first event describes it.
    let new: IssueId = sqlx::query_scalar(
        "insert into issue (project_id, short_id, kind, level, platform, title, first_seen, last_seen)
         select project_id, $3, kind, level, platform, title, last_seen, first_seen from issue
         where project_id = $1 and id = $2
         returning id",
    )
    .bind(project)
    .bind(issue)
    .bind(short_id)
    .fetch_one(&mut *db)
    .await?;
    sqlx::query("update issue_hash set issue_id = $3 where project_id = $1 and hash = any($2)")
        .bind(project)
        .bind(&parts)
        .bind(new)
        .execute(&mut *db)
        .await?;
    let prefixes: Vec<i64> = parts.iter().filter_map(|hash| hash_prefix(hash)).collect();
    sqlx::query(
        "insert into event_move (project_id, from_issue_id, to_issue_id, hash_prefix)
         select $1, $2, $3, prefix from unnest($4::bigint[]) as n (prefix)",
    )
    .bind(project)
    .bind(issue)
    .bind(new)
    .bind(prefixes)
    .execute(&mut *db)
    .await?;
    transaction.commit().await?;
    Ok(new)
}
