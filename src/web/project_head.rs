//! What the pages of one project share: who may see it, its name, and the way between them.

use maud::{Markup, html};

use super::failure::Failure;
use super::scope;
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::store::member::Role;
use crate::store::organization::{self, Organization};
use crate::store::project::{self, Project};

/// A project, as somebody who may see it sees it.
#[derive(Debug)]
pub(super) struct ProjectView {
    pub(super) organization: Organization,
    pub(super) project: Project,
    /// What the reader is in the organization.
    pub(super) role: Role,
}

/// The pages of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    SetUp,
    Alerts,
    Limits,
    Filters,
    Privacy,
}

impl ProjectView {
    /// The project that a path names by slugs or numbers.
    pub(super) async fn load(app: &App, viewer: &Viewer, organization: &str, project: &str) -> Result<Self, Failure> {
        // PostgreSQL's text holds no NUL, so nothing stored can be called so.
        if organization.contains('\0') || project.contains('\0') {
            return Err(Failure::NotFound);
        }
        let organization = organization::find_by_slug_or_id(&app.db, organization).await?.ok_or(Failure::NotFound)?;
        let role = scope::role(app, &viewer.user, organization.id).await?;
        let project = project::find_by_slug_or_id(&app.db, organization.id, project).await?;
        Ok(Self { organization, project: project.ok_or(Failure::NotFound)?, role })
    }

    /// True when the reader may change the project's settings.
    pub(super) fn may_change(&self) -> bool {
        self.role >= Role::Admin
    }

    /// `/projects/{organization}/{project}/`
    pub(super) fn path(&self) -> String {
        format!("/projects/{}/{}/", self.organization.slug, self.project.slug)
    }

    /// The top of each of its pages.
    pub(super) fn head(&self, lang: Lang, tab: Tab) -> Markup {
        let path = self.path();
        html! {
            div.bar {
                h1 { (self.project.name) }
                span.crumbs { (self.organization.name) " / " (self.project.slug) }
                a.btn.push href={ "/issues/?project=" (self.project.id) } { (lang.issues()) }
            }
            nav.tabs aria-label=(self.project.name) {
                @for (one, target, label) in [
                    (Tab::SetUp, "", lang.set_up()),
                    (Tab::Alerts, "alerts/", lang.alerts()),
                    (Tab::Limits, "limits/", lang.limits()),
                    (Tab::Filters, "filters/", lang.filters()),
                    (Tab::Privacy, "privacy/", lang.privacy()),
                ] {
                    a href={ (path) (target) } aria-current=[(one == tab).then_some("page")] { (label) }
                }
            }
        }
    }
}
