//! Table `canary_run`: how long an item of our own took from the edge to the database.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Result;

/// A canary that has come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct CanaryRun {
    /// Its reception.
    pub id: Uuid,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// When it was stored, by the worker's clock.
    pub stored_at: DateTime<Utc>,
}

/// Notes canaries; one that was noted before stays as it was.
pub async fn insert(db: impl PgExecutor<'_>, runs: &[CanaryRun]) -> Result<()> {
    sqlx::query(
        "insert into canary_run (id, sent_at, stored_at)
         select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) on conflict do nothing",
    )
    .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
    .bind(runs.iter().map(|run| run.sent_at).collect::<Vec<_>>())
    .bind(runs.iter().map(|run| run.stored_at).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// The canary that was sent last, of those that have come through.
pub async fn latest(db: impl PgExecutor<'_>) -> Result<Option<CanaryRun>> {
    let run = sqlx::query_as("select id, sent_at, stored_at from canary_run order by sent_at desc limit 1")
        .fetch_optional(db)
        .await?;
    Ok(run)
}

/// Removes at most `limit` canaries sent before `before`; says how many went.
pub async fn delete_before(db: impl PgExecutor<'_>, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from canary_run where id = any (array(select id from canary_run where sent_at < $1 limit $2))",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
