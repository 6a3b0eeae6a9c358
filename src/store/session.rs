//! Signed-in browsers: table `session`.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::Result;
use crate::ids::UserId;

/// A session to begin.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// SHA-256 of the cookie's value.
    pub token_hash: &'a [u8; 32],
    /// Who signed in.
    pub user_id: UserId,
    /// After this instant the session is as if it did not exist.
    pub expires_at: DateTime<Utc>,
    /// Where the sign-in came from, for people to recognise.
    pub client_ip: &'a str,
    /// The browser's `User-Agent`, at most 400 characters of it.
    pub user_agent: &'a str,
}

/// A live session.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Session {
    /// Whose it is.
    pub user_id: UserId,
    /// When it was last used, to the nearest few minutes.
    pub last_seen_at: DateTime<Utc>,
}

/// Stores a new session.
pub async fn insert(db: impl PgExecutor<'_>, session: &NewSession<'_>) -> Result<()> {
    sqlx::query(
        "insert into session (token_hash, user_id, expires_at, client_ip, user_agent)
         values ($1, $2, $3, $4, left($5, 400))",
    )
    .bind(session.token_hash.as_slice())
    .bind(session.user_id)
    .bind(session.expires_at)
    .bind(session.client_ip)
    .bind(session.user_agent)
    .execute(db)
    .await?;
    Ok(())
}

/// The session with this hash, unless it has expired.
pub async fn find(db: impl PgExecutor<'_>, token_hash: &[u8; 32]) -> Result<Option<Session>> {
    let row = sqlx::query_as("select user_id, last_seen_at from session where token_hash = $1 and expires_at > now()")
        .bind(token_hash.as_slice())
        .fetch_optional(db)
        .await?;
    Ok(row)
}

/// Notes that the session is in use.
pub async fn touch(db: impl PgExecutor<'_>, token_hash: &[u8; 32]) -> Result<()> {
    sqlx::query("update session set last_seen_at = now() where token_hash = $1")
        .bind(token_hash.as_slice())
        .execute(db)
        .await?;
    Ok(())
}

/// Ends one session; ending one that is gone is no error.
pub async fn delete(db: impl PgExecutor<'_>, token_hash: &[u8; 32]) -> Result<()> {
    sqlx::query("delete from session where token_hash = $1").bind(token_hash.as_slice()).execute(db).await?;
    Ok(())
}

/// Removes at most `limit` sessions that have expired; says how many went.
pub async fn delete_expired(db: impl PgExecutor<'_>, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from session where ctid = any (array(
             select ctid from session where expires_at <= now() order by expires_at limit $1 for update skip locked))",
    )
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
