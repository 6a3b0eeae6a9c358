//! Table `project_key`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use url::Url;
use uuid::Uuid;

use super::Result;
use crate::ids::{OrganizationId, ProjectId, ProjectKeyId};

/// A key that lets a program send events to a project.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectKey {
    /// Its number.
    pub id: ProjectKeyId,
    /// The project it opens.
    pub project_id: ProjectId,
    /// 32 lower-case hexadecimal digits: the user part of a DSN.
    pub public_key: String,
    /// Its name for people.
    pub label: String,
    /// False: requests with it are refused.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl ProjectKey {
    /// The DSN of this key on an instance whose public address is `public_url`.
    pub fn dsn(&self, public_url: &Url) -> String {
        dsn(public_url, &self.public_key, self.project_id)
    }
}

/// The address an SDK is given: `http://KEY@HOST[:PORT][/PATH]/PROJECT`.
pub fn dsn(public_url: &Url, public_key: &str, project: ProjectId) -> String {
    let mut url = public_url.clone();
    // Only a URL without a host refuses a user name, and such a one is no public address.
    let _refused = url.set_username(public_key);
    format!("{}/{project}", url.as_str().trim_end_matches('/'))
}

/// What the edge needs to know of a key.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, Serialize, Deserialize)]
pub struct KeyRow {
    /// The key's number.
    pub key_id: ProjectKeyId,
    /// The project it opens.
    pub project_id: ProjectId,
    /// The project's organization.
    pub organization_id: OrganizationId,
    /// The key itself.
    pub public_key: String,
    /// False: requests with it are refused.
    pub is_active: bool,
}

/// A key by its public part.
pub async fn find(db: impl PgExecutor<'_>, public_key: &str) -> Result<Option<KeyRow>> {
    let row = sqlx::query_as(
        "select k.id as key_id, k.project_id, p.organization_id, k.public_key, k.is_active
         from project_key k join project p on p.id = k.project_id where k.public_key = $1",
    )
    .bind(public_key)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// A key by its number.
pub async fn find_by_id(db: impl PgExecutor<'_>, id: ProjectKeyId) -> Result<Option<ProjectKey>> {
    let row = sqlx::query_as(
        "select id, project_id, public_key, label, is_active, created_at from project_key where id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Those of these keys that exist, for the edge.
pub async fn find_many(db: impl PgExecutor<'_>, public_keys: &[String]) -> Result<Vec<KeyRow>> {
    let rows = sqlx::query_as(
        "select k.id as key_id, k.project_id, p.organization_id, k.public_key, k.is_active
         from project_key k join project p on p.id = k.project_id where k.public_key = any($1)",
    )
    .bind(public_keys)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// All keys, for the edge; at most `limit`.
pub async fn list_for_edge(db: impl PgExecutor<'_>, limit: i64) -> Result<Vec<KeyRow>> {
    let rows = sqlx::query_as(
        "select k.id as key_id, k.project_id, p.organization_id, k.public_key, k.is_active
         from project_key k join project p on p.id = k.project_id limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// True when there are more than `limit` keys.
pub async fn has_more_than(db: impl PgExecutor<'_>, limit: i64) -> Result<bool> {
    Ok(sqlx::query_scalar("select exists (select from project_key offset $1)").bind(limit).fetch_one(db).await?)
}

/// All keys by number, beginning behind `after`; at most `limit`.
pub async fn list(db: impl PgExecutor<'_>, after: Option<ProjectKeyId>, limit: i64) -> Result<Vec<ProjectKey>> {
    let rows = sqlx::query_as(
        "select id, project_id, public_key, label, is_active, created_at
         from project_key where id > coalesce($1, 0) order by id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// A project's keys, oldest first, beginning behind `after`; at most `limit`.
pub async fn list_of_project(
    db: impl PgExecutor<'_>,
    project: ProjectId,
    after: Option<ProjectKeyId>,
    limit: i64,
) -> Result<Vec<ProjectKey>> {
    let rows = sqlx::query_as(
        "select id, project_id, public_key, label, is_active, created_at
         from project_key where project_id = $1 and id > coalesce($2, 0) order by id limit $3",
    )
    .bind(project)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Makes an active key with a new random public part.
pub async fn insert(db: impl PgExecutor<'_>, project: ProjectId, label: &str) -> Result<ProjectKey> {
    let row = sqlx::query_as(
        "insert into project_key (project_id, public_key, label) values ($1, $2, $3)
         returning id, project_id, public_key, label, is_active, created_at",
    )
    .bind(project)
    .bind(Uuid::new_v4().simple().to_string())
    .bind(label)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// Switches a key on or off; none when there is no such key.
pub async fn set_active(db: impl PgExecutor<'_>, public_key: &str, is_active: bool) -> Result<Option<ProjectKey>> {
    let row = sqlx::query_as(
        "update project_key set is_active = $2 where public_key = $1
         returning id, project_id, public_key, label, is_active, created_at",
    )
    .bind(public_key)
    .bind(is_active)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Gives a key another name for people; none when there is no such key.
pub async fn set_label(db: impl PgExecutor<'_>, public_key: &str, label: &str) -> Result<Option<ProjectKey>> {
    let row = sqlx::query_as(
        "update project_key set label = $2 where public_key = $1
         returning id, project_id, public_key, label, is_active, created_at",
    )
    .bind(public_key)
    .bind(label)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_keeps_port_and_path() {
        let key = "0123456789abcdef0123456789abcdef";
        for (base, expected) in [
            ("http://localhost:8000", "http://0123456789abcdef0123456789abcdef@localhost:8000/7"),
            ("https://errors.example.com/", "https://0123456789abcdef0123456789abcdef@errors.example.com/7"),
            ("https://example.com/errors", "https://0123456789abcdef0123456789abcdef@example.com/errors/7"),
        ] {
            assert_eq!(dsn(&Url::parse(base).unwrap(), key, ProjectId(7)), expected);
        }
    }
}
