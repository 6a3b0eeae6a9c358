//! Table `project`.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use super::{Result, alert};
use crate::ids::{OrganizationId, ProjectId, UserId};

/// What sends events: one program or service.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Project {
    /// Its number, as at the end of its DSN.
    pub id: ProjectId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its name in addresses; unique in its organization.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// `python`, `javascript-react`, ... or empty: which snippet its page shows first.
    pub platform: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its first event was received.
    pub first_event_at: Option<DateTime<Utc>>,
}

/// The fields of a new project.
#[derive(Debug, Clone, Copy)]
pub struct NewProject<'a> {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// A valid slug.
    pub slug: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// Its platform, or empty.
    pub platform: &'a str,
}

/// One project by its number.
pub async fn find(db: impl PgExecutor<'_>, id: ProjectId) -> Result<Option<Project>> {
    let row = sqlx::query_as(
        "select id, organization_id, slug, name, platform, created_at, first_event_at from project where id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// One project of an organization by slug or number.
pub async fn find_by_slug_or_id(
    db: impl PgExecutor<'_>,
    organization: OrganizationId,
    slug_or_id: &str,
) -> Result<Option<Project>> {
    let row = sqlx::query_as(
        "select id, organization_id, slug, name, platform, created_at, first_event_at
         from project where organization_id = $1 and (slug = $2 or id = $3)",
    )
    .bind(organization)
    .bind(slug_or_id)
    .bind(slug_or_id.parse::<i64>().ok())
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// All projects by number, beginning behind `after`; at most `limit`.
pub async fn list(db: impl PgExecutor<'_>, after: Option<ProjectId>, limit: i64) -> Result<Vec<Project>> {
    let rows = sqlx::query_as(
        "select id, organization_id, slug, name, platform, created_at, first_event_at
         from project where id > coalesce($1, 0) order by id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// An organization's projects by number, beginning behind `after`; at most `limit`.
pub async fn list_of_organization(
    db: impl PgExecutor<'_>,
    organization: OrganizationId,
    after: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<Project>> {
    let rows = sqlx::query_as(
        "select id, organization_id, slug, name, platform, created_at, first_event_at
         from project where organization_id = $1 and id > coalesce($2, 0) order by id limit $3",
    )
    .bind(organization)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The projects of every organization a user is a member of, by number, beginning behind `after`; at most `limit`.
pub async fn list_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<Project>> {
    let rows = sqlx::query_as(
        "select p.id, p.organization_id, p.slug, p.name, p.platform, p.created_at, p.first_event_at
         from member m join project p on p.organization_id = m.organization_id
         where m.user_id = $1 and p.id > coalesce($2, 0)
         order by p.id limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Makes a project with its first alert, and without a key; `Duplicate("project_organization_id_slug_key")` when the slug is taken.
pub async fn insert(db: impl PgExecutor<'_>, new: NewProject<'_>) -> Result<Project> {
    let row = sqlx::query_as(
        "with made as (
             insert into project (organization_id, slug, name, platform) values ($1, $2, $3, $4)
             returning id, organization_id, slug, name, platform, created_at, first_event_at
         ), alert as (
             insert into alert (project_id, name) select id, $5 from made returning id
         ), recipient as (
             insert into alert_recipient (alert_id, kind) select id, 'email' from alert
         )
         select id, organization_id, slug, name, platform, created_at, first_event_at from made",
    )
    .bind(new.organization_id)
    .bind(new.slug)
    .bind(new.name)
    .bind(new.platform)
    .bind(alert::FIRST_NAME)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// Makes the first project of an instance, which has the number 1 also when an earlier attempt was rolled back
/// (a sequence does not go back).
pub async fn insert_first(db: &mut PgConnection, new: NewProject<'_>) -> Result<Project> {
    let row = sqlx::query_as(
        "with made as (
             insert into project (id, organization_id, slug, name, platform) values (1, $1, $2, $3, $4)
             returning id, organization_id, slug, name, platform, created_at, first_event_at
         ), alert as (
             insert into alert (project_id, name) select id, $5 from made returning id
         ), recipient as (
             insert into alert_recipient (alert_id, kind) select id, 'email' from alert
         )
         select id, organization_id, slug, name, platform, created_at, first_event_at from made",
    )
    .bind(new.organization_id)
    .bind(new.slug)
    .bind(new.name)
    .bind(new.platform)
    .bind(alert::FIRST_NAME)
    .fetch_one(&mut *db)
    .await?;
    sqlx::query("select setval(pg_get_serial_sequence('project', 'id'), 1)").execute(db).await?;
    Ok(row)
}
