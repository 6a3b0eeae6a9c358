//! Table `project_rules`: what a project wants of what is sent to it.

use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::Result;
use crate::ids::ProjectId;
use crate::protocol::{FilterSettings, PrivacySettings};

/// The settings of one project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectRules {
    /// What is not taken in.
    pub filters: FilterSettings,
    /// What is taken out.
    pub privacy: PrivacySettings,
}

/// A project's settings in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Whose.
    pub project_id: ProjectId,
    /// No two versions of any project have the same number.
    pub version: i64,
    /// The settings.
    pub rules: ProjectRules,
}

#[derive(sqlx::FromRow)]
struct Stored {
    project_id: ProjectId,
    version: i64,
    filters: Json<serde_json::Value>,
    privacy: Json<serde_json::Value>,
}

impl Stored {
    fn read(self) -> Versioned {
        let project = self.project_id;
        let filters = settings(project, self.filters);
        let rules = ProjectRules { filters, privacy: settings(project, self.privacy) };
        Versioned { project_id: project, version: self.version, rules }
    }
}

/// What somebody has written into the table by hand, and is none, must not keep every event from being stored.
fn settings<T: DeserializeOwned + Default>(project: ProjectId, stored: Json<serde_json::Value>) -> T {
    serde_json::from_value(stored.0).unwrap_or_else(|error| {
        tracing::error!(project.id = project.0, %error, "a project's rules cannot be read: they are taken as shipped");
        T::default()
    })
}

/// The settings of a project; as shipped, unless somebody has changed them.
pub async fn find(db: impl PgExecutor<'_>, project: ProjectId) -> Result<ProjectRules> {
    let row: Option<Stored> =
        sqlx::query_as("select project_id, version, filters, privacy from project_rules where project_id = $1")
            .bind(project)
            .fetch_optional(db)
            .await?;
    Ok(row.map(|row| row.read().rules).unwrap_or_default())
}

/// The version of each project's settings that differ, or differed once, from those as shipped.
pub async fn versions(db: impl PgExecutor<'_>) -> Result<Vec<(ProjectId, i64)>> {
    // One row for each project at most, and it is small.
    let rows = sqlx::query_as("select project_id, version from project_rules").fetch_all(db).await?;
    Ok(rows)
}

/// The settings of these projects, as far as there are some.
pub async fn list_of(db: impl PgExecutor<'_>, projects: &[ProjectId]) -> Result<Vec<Versioned>> {
    let rows: Vec<Stored> =
        sqlx::query_as("select project_id, version, filters, privacy from project_rules where project_id = any($1)")
            .bind(projects.iter().map(|id| id.0).collect::<Vec<i64>>())
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().map(Stored::read).collect())
}

/// Changes a project's settings; nobody else does so meanwhile. When `change` fails, nothing is changed.
pub async fn change<E: From<super::StoreError>>(
    pool: &PgPool,
    project: ProjectId,
    change: impl FnOnce(&mut ProjectRules) -> std::result::Result<(), E>,
) -> std::result::Result<ProjectRules, E> {
    let mut transaction = pool.begin().await.map_err(super::StoreError::from)?;
    let mut rules = lock(&mut transaction, project).await?;
    change(&mut rules)?;
    write(&mut transaction, project, &rules).await?;
    transaction.commit().await.map_err(super::StoreError::from)?;
    Ok(rules)
}

async fn lock(db: &mut PgConnection, project: ProjectId) -> Result<ProjectRules> {
    sqlx::query("insert into project_rules (project_id) values ($1) on conflict do nothing")
        .bind(project)
        .execute(&mut *db)
        .await?;
    let row: Stored = sqlx::query_as(
        "select project_id, version, filters, privacy from project_rules where project_id = $1 for update",
    )
    .bind(project)
    .fetch_one(db)
    .await?;
    Ok(row.read().rules)
}

async fn write(db: &mut PgConnection, project: ProjectId, rules: &ProjectRules) -> Result<()> {
    sqlx::query(
        "update project_rules set filters = $2, privacy = $3, version = nextval('project_rules_version'), updated_at = now()
         where project_id = $1",
    )
    .bind(project)
    .bind(Json(&rules.filters))
    .bind(Json(&rules.privacy))
    .execute(db)
    .await?;
    Ok(())
}
