//! Table `organization`.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use super::Result;
use crate::ids::{OrganizationId, UserId};

/// A tenant: people and projects belong to it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Organization {
    /// Its number.
    pub id: OrganizationId,
    /// Its name in addresses; unique in the instance.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// One organization by its number.
pub async fn find(db: impl PgExecutor<'_>, id: OrganizationId) -> Result<Option<Organization>> {
    let row = sqlx::query_as("select id, slug, name, created_at from organization where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row)
}

/// One organization by slug or number, as addresses may carry either.
pub async fn find_by_slug_or_id(db: impl PgExecutor<'_>, slug_or_id: &str) -> Result<Option<Organization>> {
    let row = sqlx::query_as("select id, slug, name, created_at from organization where slug = $1 or id = $2")
        .bind(slug_or_id)
        .bind(slug_or_id.parse::<i64>().ok())
        .fetch_optional(db)
        .await?;
    Ok(row)
}

/// All organizations by number, beginning behind `after`; at most `limit`.
pub async fn list(db: impl PgExecutor<'_>, after: Option<OrganizationId>, limit: i64) -> Result<Vec<Organization>> {
    let rows = sqlx::query_as(
        "select id, slug, name, created_at from organization where id > coalesce($1, 0) order by id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The organizations a user is a member of, by number, beginning behind `after`; at most `limit`.
pub async fn list_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<OrganizationId>,
    limit: i64,
) -> Result<Vec<Organization>> {
    let rows = sqlx::query_as(
        "select o.id, o.slug, o.name, o.created_at
         from member m join organization o on o.id = m.organization_id
         where m.user_id = $1 and o.id > coalesce($2, 0)
         order by o.id limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// How many organizations there are.
pub async fn count(db: impl PgExecutor<'_>) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from organization").fetch_one(db).await?)
}

/// Makes an organization; `Duplicate("organization_slug_key")` when the slug is taken.
pub async fn insert(db: impl PgExecutor<'_>, slug: &str, name: &str) -> Result<Organization> {
    let row =
        sqlx::query_as("insert into organization (slug, name) values ($1, $2) returning id, slug, name, created_at")
            .bind(slug)
            .bind(name)
            .fetch_one(db)
            .await?;
    Ok(row)
}

/// Waits for other programs that set up the same instance; until the end of the transaction.
pub async fn lock_first_boot(db: &mut PgConnection) -> Result<()> {
    // "gbx boot"
    sqlx::query("select pg_advisory_xact_lock($1)").bind(0x67_62_78_62_6f_6f_74_i64).execute(db).await?;
    Ok(())
}
