//! Table `rate_limit`: how much may be sent with a key, to a project, to an organization.

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgExecutor, Row};

use super::Result;
use crate::ids::{OrganizationId, ProjectId, ProjectKeyId, RateLimitId};

/// Longest window, in seconds: 31 days.
pub const MAX_WINDOW_S: i32 = 31 * 86_400;

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// What is sent with one key.
    Key(ProjectKeyId),
    /// What is sent to one project, with whichever key.
    Project(ProjectId),
    /// What is sent to all projects of an organization together.
    Organization(OrganizationId),
}

impl Target {
    /// For the columns `organization_id`, `project_id`, `key_id`.
    fn columns(self) -> (Option<OrganizationId>, Option<ProjectId>, Option<ProjectKeyId>) {
        match self {
            Self::Key(id) => (None, None, Some(id)),
            Self::Project(id) => (None, Some(id), None),
            Self::Organization(id) => (Some(id), None, None),
        }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Covers {
    /// Events.
    Error,
    /// Items of every kind.
    All,
}

impl Covers {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Error, Self::All];

    /// Its name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::All => "all",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|one| one.as_str() == name)
    }
}

/// So much in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Items; at least one.
    pub quantity: i64,
    /// Seconds; 1 to [`MAX_WINDOW_S`].
    pub window_s: i32,
}

impl Allowance {
    /// One that makes sense; none otherwise.
    pub fn new(quantity: i64, window_s: i64) -> Option<Self> {
        let window_s = i32::try_from(window_s).ok().filter(|seconds| (1..=MAX_WINDOW_S).contains(seconds))?;
        (quantity > 0).then_some(Self { quantity, window_s })
    }

    /// The window's length in seconds, at least one.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.window_s).unwrap_or(1)
    }
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Its number; what has been used is counted under it.
    pub id: RateLimitId,
    /// Whose it is.
    pub target: Target,
    /// What it counts.
    pub covers: Covers,
    /// How much it lets through.
    pub allowance: Allowance,
}

impl FromRow<'_, PgRow> for RateLimit {
    fn from_row(row: &PgRow) -> std::result::Result<Self, sqlx::Error> {
        let key = row.try_get::<Option<_>, _>("key_id")?.map(Target::Key);
        let project = row.try_get::<Option<_>, _>("project_id")?.map(Target::Project);
        let organization = row.try_get::<Option<_>, _>("organization_id")?.map(Target::Organization);
        Ok(Self {
            id: row.try_get("id")?,
            target: key.or(project).or(organization).ok_or(sqlx::Error::RowNotFound)?,
            covers: row.try_get("category")?,
            allowance: Allowance { quantity: row.try_get("quantity")?, window_s: row.try_get("window_s")? },
        })
    }
}

/// All limits by number; at most `limit`.
pub async fn list(db: impl PgExecutor<'_>, limit: i64) -> Result<Vec<RateLimit>> {
    let rows = sqlx::query_as(
        "select id, organization_id, project_id, key_id, category, quantity, window_s
         from rate_limit order by id limit $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The limits of these keys, projects and organizations, by number.
pub async fn list_of(
    db: impl PgExecutor<'_>,
    keys: &[ProjectKeyId],
    projects: &[ProjectId],
    organizations: &[OrganizationId],
) -> Result<Vec<RateLimit>> {
    let rows = sqlx::query_as(
        "select id, organization_id, project_id, key_id, category, quantity, window_s from rate_limit
         where key_id = any($1) or project_id = any($2) or organization_id = any($3) order by id",
    )
    .bind(keys.iter().map(|id| id.0).collect::<Vec<i64>>())
    .bind(projects.iter().map(|id| id.0).collect::<Vec<i64>>())
    .bind(organizations.iter().map(|id| id.0).collect::<Vec<i64>>())
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The limits of one target; at most one for each of [`Covers::BOTH`].
pub async fn list_of_target(db: impl PgExecutor<'_>, target: Target) -> Result<Vec<RateLimit>> {
    match target {
        Target::Key(id) => list_of(db, &[id], &[], &[]).await,
        Target::Project(id) => list_of(db, &[], &[id], &[]).await,
        Target::Organization(id) => list_of(db, &[], &[], &[id]).await,
    }
}

/// Makes a limit, or changes it; what has been used of it stays counted while the window has the same length.
pub async fn set(db: impl PgExecutor<'_>, target: Target, covers: Covers, allowance: Allowance) -> Result<RateLimit> {
    let (organization, project, key) = target.columns();
    let row = sqlx::query_as(
        "insert into rate_limit (organization_id, project_id, key_id, category, quantity, window_s)
         values ($1, $2, $3, $4, $5, $6)
         on conflict on constraint rate_limit_once
         do update set quantity = excluded.quantity, window_s = excluded.window_s
         returning id, organization_id, project_id, key_id, category, quantity, window_s",
    )
    .bind(organization)
    .bind(project)
    .bind(key)
    .bind(covers)
    .bind(allowance.quantity)
    .bind(allowance.window_s)
    .fetch_one(db)
    .await?;
    Ok(row)
}

/// Removes a target's limits, only the one that counts `covers` if that is given; gives back those that were there.
pub async fn clear(db: impl PgExecutor<'_>, target: Target, covers: Option<Covers>) -> Result<Vec<RateLimit>> {
    let (organization, project, key) = target.columns();
    let rows = sqlx::query_as(
        "delete from rate_limit
         where (organization_id = $1 or project_id = $2 or key_id = $3) and ($4 is null or category = $4)
         returning id, organization_id, project_id, key_id, category, quantity, window_s",
    )
    .bind(organization)
    .bind(project)
    .bind(key)
    .bind(covers)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_at_least_one_in_a_second_and_at_most_a_month_long() {
        assert_eq!(Allowance::new(10, 60), Some(Allowance { quantity: 10, window_s: 60 }));
        assert!(Allowance::new(1, MAX_WINDOW_S.into()).is_some());
        for (quantity, window) in [(0, 60), (-1, 60), (1, 0), (1, i64::from(MAX_WINDOW_S) + 1), (1, i64::MAX)] {
            assert_eq!(Allowance::new(quantity, window), None, "{quantity} in {window}");
        }
    }
}
