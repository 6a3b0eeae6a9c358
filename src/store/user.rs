//! Table `app_user`.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::Result;
use crate::ids::UserId;

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// The sign-in name, in lower case.
    pub email: String,
    /// Name for people; may be empty.
    pub name: String,
    /// None: cannot sign in with a password.
    pub password_hash: Option<PasswordHash>,
    /// False: neither session nor token is accepted.
    pub is_active: bool,
    /// Owner of every organization.
    pub is_superuser: bool,
    /// `en`, `zh-CN`, or empty for what the browser asks for.
    pub language: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last signed in with a password.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// A password's Argon2id hash in PHC form; never shown.
#[derive(Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The fields of a new user.
#[derive(Debug, Clone, Copy)]
pub struct NewUser<'a> {
    /// Its address; stored in lower case.
    pub email: &'a str,
    /// Its name, or empty.
    pub name: &'a str,
    /// None: cannot sign in with a password.
    pub password_hash: Option<&'a PasswordHash>,
    /// Owner of every organization.
    pub is_superuser: bool,
}

/// The form in which an address is stored and looked up.
pub fn normalize_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// One user by number.
pub async fn find(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<User>> {
    let row = sqlx::query_as(
        "select id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at
         from app_user where id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// One user by address, in any case.
pub async fn find_by_email(db: impl PgExecutor<'_>, email: &str) -> Result<Option<User>> {
    let row = sqlx::query_as(
        "select id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at
         from app_user where email = $1",
    )
    .bind(normalize_email(email))
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// All users by number, beginning behind `after`; at most `limit`.
pub async fn list(db: impl PgExecutor<'_>, after: Option<UserId>, limit: i64) -> Result<Vec<User>> {
    let rows = sqlx::query_as(
        "select id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at
         from app_user where id > coalesce($1, 0) order by id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The oldest active superuser: whom the banner names.
pub async fn first_superuser(db: impl PgExecutor<'_>) -> Result<Option<User>> {
    let row = sqlx::query_as(
        "select id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at
         from app_user where is_superuser and is_active order by id limit 1",
    )
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// How many active superusers there are besides `id`: an instance must not lose its last one.
pub async fn count_other_superusers(db: impl PgExecutor<'_>, id: UserId) -> Result<i64> {
    let count = sqlx::query_scalar("select count(*) from app_user where is_superuser and is_active and id <> $1")
        .bind(id)
        .fetch_one(db)
        .await?;
    Ok(count)
}

/// Makes a user; `Duplicate("app_user_email_key")` when the address is taken.
pub async fn insert(db: impl PgExecutor<'_>, new: NewUser<'_>) -> Result<User> {
    let row = sqlx::query_as(
        "insert into app_user (email, name, password_hash, is_superuser) values ($1, $2, $3, $4)
         returning id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at",
    )
    .bind(normalize_email(new.email))
    .bind(new.name)
    .bind(new.password_hash)
    .bind(new.is_superuser)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// What `update` changes; none leaves a field as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserChange<'a> {
    /// A new address; stored in lower case.
    pub email: Option<&'a str>,
    /// A new name.
    pub name: Option<&'a str>,
    /// A new language, or empty for what the browser asks for.
    pub language: Option<&'a str>,
    /// Whether the account works.
    pub is_active: Option<bool>,
    /// Whether it owns everything.
    pub is_superuser: Option<bool>,
}

/// Changes a user; none when there is no such one.
pub async fn update(db: impl PgExecutor<'_>, id: UserId, change: UserChange<'_>) -> Result<Option<User>> {
    let row = sqlx::query_as(
        "update app_user set
             email = coalesce($2, email), name = coalesce($3, name), language = coalesce($4, language),
             is_active = coalesce($5, is_active), is_superuser = coalesce($6, is_superuser)
         where id = $1
         returning id, email, name, password_hash, is_active, is_superuser, language, created_at, last_login_at",
    )
    .bind(id)
    .bind(change.email.map(normalize_email))
    .bind(change.name)
    .bind(change.language)
    .bind(change.is_active)
    .bind(change.is_superuser)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Sets a new password and ends every session of the user, in one statement.
pub async fn set_password(db: impl PgExecutor<'_>, id: UserId, hash: &PasswordHash) -> Result<()> {
    sqlx::query(
        "with ended as (delete from session where user_id = $1)
         update app_user set password_hash = $2 where id = $1",
    )
    .bind(id)
    .bind(hash)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes a sign-in.
pub async fn touch_login(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query("update app_user set last_login_at = now() where id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Deletes a user with memberships, sessions and tokens; false when there was none.
pub async fn delete(db: impl PgExecutor<'_>, id: UserId) -> Result<bool> {
    let done = sqlx::query("delete from app_user where id = $1").bind(id).execute(db).await?;
    Ok(done.rows_affected() > 0)
}
