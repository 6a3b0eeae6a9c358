//! Issues that are made one, and parts of an issue that are split off again.
//!
//! Which issue events belong to, from now on, changes at once, in one transaction with the counts of a merged issue. The events
//! that are there already follow in portions (table `event_move`), so that no batch of new ones waits for them; what is
//! left when the process ends, the beat takes up.
//!
//! Locks are taken in the order of the writers of events: project, issues by key, events, roll-ups.

mod absorb;
mod carry;
mod split;

use sqlx::{PgConnection, PgPool};

pub use self::carry::{carry, carry_some};
pub use self::split::{Part, SplitError, parts, split};

use super::Result;
use crate::ids::{IssueId, ProjectId};

/// Most issues that are merged at once.
pub const MAX_ISSUES: usize = 500;

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The issue that is left: the oldest.
    pub parent: IssueId,
    /// Those that are part of it now.
    pub children: Vec<IssueId>,
}

/// Why issues were not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There are not two of them.
    #[error("two issues or more are needed")]
    TooFew,
    /// There are more than [`MAX_ISSUES`].
    #[error("at most {MAX_ISSUES} issues are merged at once")]
    TooMany,
    /// A part of one of them has been split off and its events are still on their way.
    #[error("one of the issues is still being split: try again in a minute")]
    Busy,
    /// Events of different projects never make one issue.
    #[error("the issues belong to different projects")]
    SeveralProjects,
    /// The database said no.
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

impl From<sqlx::Error> for MergeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Makes one of the issues, the oldest, of all of them. Its counts are their sum; it keeps its status. Those that are gone
/// are left out.
pub async fn merge(pool: &PgPool, issues: &[IssueId]) -> std::result::Result<Merged, MergeError> {
    if issues.len() > MAX_ISSUES {
        return Err(MergeError::TooMany);
    }
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let projects: Vec<ProjectId> = sqlx::query_scalar("select distinct project_id from issue where id = any($1)")
        .bind(issues)
        .fetch_all(&mut *db)
        .await?;
    let project = match projects.as_slice() {
        [] => return Err(MergeError::TooFew),
        [project] => *project,
        _ => return Err(MergeError::SeveralProjects),
    };
    lock_project(db, project).await?;
    let locked = lock_issues(db, project, issues).await?;
    let Some((parent, children)) = locked.split_first().filter(|(_, children)| !children.is_empty()) else {
        return Err(MergeError::TooFew);
    };
    let is_busy: bool = sqlx::query_scalar(
        "select exists (select from event_move where project_id = $1 and hash_prefix is not null
             and (from_issue_id = any($2) or to_issue_id = any($2)))",
    )
    .bind(project)
    .bind(&locked)
    .fetch_one(&mut *db)
    .await?;
    if is_busy {
        return Err(MergeError::Busy);
    }
    absorb::absorb(db, project, *parent, children).await?;
    transaction.commit().await?;
    Ok(Merged { parent: *parent, children: children.to_vec() })
}

/// Whoever makes issues of a project, or points hashes elsewhere, holds its row.
async fn lock_project(db: &mut PgConnection, project: ProjectId) -> Result<()> {
    sqlx::query("select from project where id = $1 for no key update").bind(project).execute(db).await?;
    Ok(())
}

/// Those of the issues that are there, the oldest first.
async fn lock_issues(db: &mut PgConnection, project: ProjectId, issues: &[IssueId]) -> Result<Vec<IssueId>> {
    let locked = sqlx::query_scalar(
        "select id from issue where project_id = $1 and id = any($2) order by project_id, id for update",
    )
    .bind(project)
    .bind(issues)
    .fetch_all(db)
    .await?;
    Ok(locked)
}
