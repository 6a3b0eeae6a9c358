//! Table `member`: who belongs to which organization.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::Result;
use crate::ids::{OrganizationId, UserId};

/// What a member may do; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything and works on issues.
    Member,
    /// Also manages projects, keys and members.
    Admin,
    /// Also manages the organization itself.
    Owner,
}

impl Role {
    /// Its name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// A user's membership.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Member {
    /// Of which organization.
    pub organization_id: OrganizationId,
    /// Whose.
    pub user_id: UserId,
    /// What it allows.
    pub role: Role,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A user's role in an organization; none when no member.
pub async fn find_role(db: impl PgExecutor<'_>, organization: OrganizationId, user: UserId) -> Result<Option<Role>> {
    let role = sqlx::query_scalar("select role from member where organization_id = $1 and user_id = $2")
        .bind(organization)
        .bind(user)
        .fetch_optional(db)
        .await?;
    Ok(role)
}

/// A member with the user's names, for lists.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MemberRow {
    /// Whose membership.
    pub user_id: UserId,
    /// The user's address.
    pub email: String,
    /// The user's name; may be empty.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// An organization's members by user number, beginning behind `after`; at most `limit`.
pub async fn list(
    db: impl PgExecutor<'_>,
    organization: OrganizationId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    let rows = sqlx::query_as(
        "select m.user_id, u.email, u.name, m.role, m.created_at
         from member m join app_user u on u.id = m.user_id
         where m.organization_id = $1 and m.user_id > coalesce($2, 0)
         order by m.user_id limit $3",
    )
    .bind(organization)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// A membership with the organization's names.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Membership {
    /// The organization's number.
    pub organization_id: OrganizationId,
    /// Its slug.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What the user may do in it.
    pub role: Role,
}

/// A user's memberships by organization number; at most `limit`.
pub async fn list_of_user(db: impl PgExecutor<'_>, user: UserId, limit: i64) -> Result<Vec<Membership>> {
    let rows = sqlx::query_as(
        "select m.organization_id, o.slug, o.name, m.role
         from member m join organization o on o.id = m.organization_id
         where m.user_id = $1 order by m.organization_id limit $2",
    )
    .bind(user)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Makes a user a member, or changes the role of one.
pub async fn upsert(db: impl PgExecutor<'_>, organization: OrganizationId, user: UserId, role: Role) -> Result<Member> {
    let row = sqlx::query_as(
        "insert into member (organization_id, user_id, role) values ($1, $2, $3)
         on conflict (organization_id, user_id) do update set role = excluded.role
         returning organization_id, user_id, role, created_at",
    )
    .bind(organization)
    .bind(user)
    .bind(role)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// Ends a membership; false when there was none.
pub async fn delete(db: impl PgExecutor<'_>, organization: OrganizationId, user: UserId) -> Result<bool> {
    let done = sqlx::query("delete from member where organization_id = $1 and user_id = $2")
        .bind(organization)
        .bind(user)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}
