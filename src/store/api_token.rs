//! Table `api_token`. Only hashes are stored; making and checking tokens is `auth::api_token`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;

use super::Result;
use super::user::User;
use crate::ids::{TokenId, UserId};

/// A token that stands for a user in the API.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ApiToken {
    /// Its number.
    pub id: TokenId,
    /// Whom it stands for.
    pub user_id: UserId,
    /// Its name for people; may be empty.
    pub label: String,
    /// What it may do (`event:read`, ...).
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ApiToken {
    /// True when the next use of the token is worth noting: the last one was noted over a minute ago.
    pub fn is_use_due(&self) -> bool {
        self.last_used_at.is_none_or(|at| Utc::now() - at > TimeDelta::minutes(1))
    }
}

/// A token with the user it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAndUser {
    /// The token.
    pub token: ApiToken,
    /// Its user.
    pub user: User,
}

/// The token with this SHA-256 and its user, active or not.
pub async fn find_by_hash(db: impl PgExecutor<'_>, token_hash: &[u8]) -> Result<Option<TokenAndUser>> {
    use sqlx::{FromRow, Row};
    let row = sqlx::query(
        "select u.id, u.email, u.name, u.password_hash, u.is_active, u.is_superuser, u.language, u.created_at,
             u.last_login_at, t.id as token_id, t.label, t.scopes, t.created_at as token_created_at, t.last_used_at
         from api_token t join app_user u on u.id = t.user_id
         where t.token_hash = $1",
    )
    .bind(token_hash)
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let user = User::from_row(&row)?;
    let token = ApiToken {
        id: row.try_get("token_id")?,
        user_id: user.id,
        label: row.try_get("label")?,
        scopes: row.try_get("scopes")?,
        created_at: row.try_get("token_created_at")?,
        last_used_at: row.try_get("last_used_at")?,
    };
    Ok(Some(TokenAndUser { token, user }))
}

/// A user's tokens, oldest first, beginning behind `after`; at most `limit`.
pub async fn list_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<TokenId>,
    limit: i64,
) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query_as(
        "select id, user_id, label, scopes, created_at, last_used_at
         from api_token where user_id = $1 and id > coalesce($2, 0) order by id limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Stores a new token's hash.
pub async fn insert(
    db: impl PgExecutor<'_>,
    user: UserId,
    label: &str,
    token_hash: &[u8],
    scopes: &[String],
) -> Result<ApiToken> {
    let row = sqlx::query_as(
        "insert into api_token (user_id, label, token_hash, scopes) values ($1, $2, $3, $4)
         returning id, user_id, label, scopes, created_at, last_used_at",
    )
    .bind(user)
    .bind(label)
    .bind(token_hash)
    .bind(scopes)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// Notes a use of the token, unless one was noted within the last minute.
pub async fn touch(db: impl PgExecutor<'_>, id: TokenId) -> Result<()> {
    sqlx::query(
        "update api_token set last_used_at = now()
         where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes a token of a user; false when there was none.
pub async fn delete(db: impl PgExecutor<'_>, user: UserId, id: TokenId) -> Result<bool> {
    let done =
        sqlx::query("delete from api_token where id = $1 and user_id = $2").bind(id).bind(user).execute(db).await?;
    Ok(done.rows_affected() > 0)
}
