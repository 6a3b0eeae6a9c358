//! From the parts of a path to rows that the caller may see. What belongs to an organization that
//! the caller is no member of does not exist for them: 404, never 403.

use super::caller::Caller;
use super::params::PathParts;
use crate::app::App;
use crate::auth::permission;
use crate::http::ApiError;
use crate::ids::{IssueId, OrganizationId};
use crate::store::issue_query;
use crate::store::issue_search::{self, IssueRow};
use crate::store::member::Role;
use crate::store::organization::{self, Organization};
use crate::store::project::{self, Project};

/// Most rows of the lists that are read whole: organizations, projects, keys.
pub(super) const MAX_WHOLE: i64 = 10_000;

/// The caller's role in an organization; not found without one.
async fn role(app: &App, caller: &Caller, organization: OrganizationId) -> Result<Role, ApiError> {
    permission::organization_role(&app.db, &caller.0, organization).await?.ok_or(ApiError::NotFound)
}

/// The organization that the path names by slug or number.
pub(super) async fn organization(app: &App, caller: &Caller, path: &PathParts) -> Result<Organization, ApiError> {
    let part = path.get("organization")?;
    let found = organization::find_by_slug_or_id(&app.db, part).await?.ok_or(ApiError::NotFound)?;
    role(app, caller, found.id).await?;
    Ok(found)
}

/// A project with its organization and what the caller is in it.
pub(super) struct ProjectAccess {
    pub(super) organization: Organization,
    pub(super) project: Project,
    pub(super) role: Role,
}

/// The project that the path names by slugs or numbers.
pub(super) async fn project(app: &App, caller: &Caller, path: &PathParts) -> Result<ProjectAccess, ApiError> {
    let part = path.get("organization")?;
    let organization = organization::find_by_slug_or_id(&app.db, part).await?.ok_or(ApiError::NotFound)?;
    let role = role(app, caller, organization.id).await?;
    let project = project::find_by_slug_or_id(&app.db, organization.id, path.get("project")?).await?;
    Ok(ProjectAccess { organization, project: project.ok_or(ApiError::NotFound)?, role })
}

/// The project that the path names, for a caller who may change it: with this scope, as an administrator of its
/// organization.
pub(super) async fn managed_project(
    app: &App,
    caller: &Caller,
    path: &PathParts,
    scope: &str,
) -> Result<ProjectAccess, ApiError> {
    let access = project(app, caller, path).await?;
    caller.require(scope)?;
    if access.role < Role::Admin {
        return Err(ApiError::no_permission());
    }
    Ok(access)
}

/// The issue that the path names by number, or, below an organization, by short id (`WEB-42`).
pub(super) async fn issue(app: &App, caller: &Caller, path: &PathParts) -> Result<IssueRow, ApiError> {
    let part = path.get("issue")?;
    if path.find("organization").is_none() {
        let id = part.parse::<IssueId>().map_err(|_| ApiError::NotFound)?;
        let issue = issue_search::find(&app.db, id).await?.ok_or(ApiError::NotFound)?;
        role(app, caller, issue.organization_id).await?;
        return Ok(issue);
    }
    let organization = organization(app, caller, path).await?;
    let found = if let Ok(id) = part.parse::<IssueId>() {
        issue_search::find(&app.db, id).await?
    } else {
        let (slug, number) = issue_query::short_id(part).ok_or(ApiError::NotFound)?;
        issue_search::find_by_short_id(&app.db, organization.id, &slug, number).await?
    };
    found.filter(|issue| issue.organization_id == organization.id).ok_or(ApiError::NotFound)
}

/// Every organization that the caller may see, by number.
pub(super) async fn organizations(app: &App, caller: &Caller) -> Result<Vec<Organization>, ApiError> {
    let user = &caller.0.user;
    Ok(if user.is_superuser {
        organization::list(&app.db, None, MAX_WHOLE).await?
    } else {
        organization::list_of_user(&app.db, user.id, None, MAX_WHOLE).await?
    })
}

/// Every project that the caller may see, by number.
pub(super) async fn projects(app: &App, caller: &Caller) -> Result<Vec<Project>, ApiError> {
    let user = &caller.0.user;
    Ok(if user.is_superuser {
        project::list(&app.db, None, MAX_WHOLE).await?
    } else {
        project::list_of_user(&app.db, user.id, None, MAX_WHOLE).await?
    })
}
