//! What a person may see: organizations and their projects.

use super::failure::Failure;
use crate::app::App;
use crate::ids::{OrganizationId, ProjectId};
use crate::store::member::{self, Role};
use crate::store::organization::{self, Organization};
use crate::store::project::{self, Project};
use crate::store::user::User;

/// Most projects a page lists.
const MAX: i64 = 1_000;

/// Everything a person may see.
#[derive(Debug)]
pub(super) struct Scope {
    /// By number.
    pub(super) organizations: Vec<Organization>,
    /// By number.
    pub(super) projects: Vec<Project>,
}

impl Scope {
    /// A superuser sees everything, others what their organizations have.
    pub(super) async fn load(app: &App, user: &User) -> Result<Self, Failure> {
        let (organizations, projects) = if user.is_superuser {
            (organization::list(&app.db, None, MAX).await?, project::list(&app.db, None, MAX).await?)
        } else {
            (
                organization::list_of_user(&app.db, user.id, None, MAX).await?,
                project::list_of_user(&app.db, user.id, None, MAX).await?,
            )
        };
        Ok(Self { organizations, projects })
    }

    /// A project by its number.
    pub(super) fn project(&self, id: ProjectId) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// The organization's slug; empty for one that is not to be seen.
    pub(super) fn organization_slug(&self, id: OrganizationId) -> &str {
        self.organizations.iter().find(|one| one.id == id).map_or("", |one| &one.slug)
    }
}

/// What the person is in the organization, a superuser is its owner; not found when nothing.
pub(super) async fn role(app: &App, user: &User, organization: OrganizationId) -> Result<Role, Failure> {
    if user.is_superuser {
        return Ok(Role::Owner);
    }
    member::find_role(&app.db, organization, user.id).await?.ok_or(Failure::NotFound)
}

/// Not found unless the person may see what belongs to the organization.
pub(super) async fn require(app: &App, user: &User, organization: OrganizationId) -> Result<(), Failure> {
    role(app, user, organization).await.map(|_| ())
}
