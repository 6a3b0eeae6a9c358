//! `/usage/`: what became of everything that was sent to an organization's projects, and whether the count of it adds
//! up.

mod chart;
mod figures;
mod health;
mod period;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use self::figures::Summary;
use self::health::Health;
use self::period::Period;
use super::component::icon::{Icon, icon};
use super::failure::Failure;
use super::layout::{self, Place};
use super::scope::Scope;
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::ProjectId;
use crate::queue::Queue;
use crate::store::canary_run;
use crate::store::ledger::{self, Dimension, LedgerFilter, LedgerSum};
use crate::store::organization::Organization;
use crate::store::outcome::Outcome;
use crate::store::project::Project;
use crate::store::rejected_item::{self, RejectedItem};

/// Most rejected items shown.
const MAX_REJECTED: i64 = 20;

/// Most sums drawn: each bar has at most one for each outcome.
const MAX_SUMS: i64 = 2_000;

/// How long the page waits for Redis.
const QUEUE_LIMIT: Duration = Duration::from_millis(500);

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// The organization's slug; absent: the first one.
    organization: Option<String>,
    /// One of its projects; absent: all.
    project: Option<ProjectId>,
    /// By [`Period::name`].
    period: Option<String>,
}

/// What the page is about, which is also its address.
#[derive(Clone, Copy)]
struct View<'a> {
    scope: &'a Scope,
    organization: &'a Organization,
    project: Option<&'a Project>,
    period: Period,
}

/// What the page shows.
struct Content {
    summary: Summary,
    sums: Vec<LedgerSum>,
    rejected: Vec<RejectedItem>,
    health: Health,
    /// What the queue holds of the whole instance; none unless the reader may see all of that.
    waiting: Option<u64>,
}

/// `GET /usage/?organization=&project=&period=`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(parameters): Query<Parameters>,
) -> Result<Html<String>, Failure> {
    let scope = Scope::load(&app, &viewer.user).await?;
    let lang = viewer.lang();
    let wanted = parameters.organization.as_deref();
    let named = scope.organizations.iter().find(|one| wanted.is_none_or(|slug| one.slug == slug));
    let Some(organization) = named else {
        if wanted.is_some() {
            return Err(Failure::NotFound);
        }
        return Ok(layout::page(&viewer.frame, Some(Place::Usage), lang.usage(), &nothing(lang)));
    };
    let project = match parameters.project {
        Some(id) => {
            let known = scope.project(id).filter(|project| project.organization_id == organization.id);
            Some(known.ok_or(Failure::NotFound)?)
        }
        None => None,
    };
    let period = match parameters.period.as_deref() {
        Some(name) => Period::from_name(name).ok_or(Failure::BadRequest)?,
        None => Period::Day,
    };
    let view = View { scope: &scope, organization, project, period };
    let now = Utc::now();
    let content = Content::load(&app, &view, viewer.user.is_superuser, now).await?;
    let body = html! {
        (view.head(lang))
        (content.health.show(lang, now, &content.summary))
        (view.overview(lang, now, &content))
        @if project.is_none() { (tables::by_project(lang, &view, &content.summary)) }
        (tables::by_category(lang, &content.summary))
        (tables::reasons(lang, &content.summary))
        (tables::rejected(lang, now, &view, &content.rejected))
    };
    Ok(layout::page(&viewer.frame, Some(Place::Usage), lang.usage(), &body))
}

impl Content {
    async fn load(app: &App, view: &View<'_>, sees_all: bool, now: DateTime<Utc>) -> Result<Self, Failure> {
        let (projects, since) = (view.projects(), view.period.start(now));
        let totals = ledger::totals(&app.db, &projects, since, health::recent(now)).await?;
        let filter = LedgerFilter {
            since,
            until: now,
            outcomes: Outcome::ALL.iter().map(|outcome| outcome.as_str().to_owned()).collect(),
            categories: None,
            reasons: None,
            projects: projects.clone(),
        };
        let sums = ledger::sums(&app.db, &filter, &[Dimension::Outcome], view.period.step(), MAX_SUMS).await?;
        let rejected = rejected_item::latest(&app.db, &projects, MAX_REJECTED).await?;
        let canary = canary_run::latest(&app.db).await?;
        let waiting = waiting(app).await;
        let (summary, health) = (Summary::new(totals), Health { canary, waiting });
        Ok(Self { summary, sums, rejected, health, waiting: waiting.filter(|_| sees_all) })
    }
}

/// Items in the queue at this moment; none when Redis does not say so at once.
async fn waiting(app: &App) -> Option<u64> {
    let queues = tokio::time::timeout(QUEUE_LIMIT, app.queue.overview()).await.ok()?.ok()?;
    queues.iter().find(|one| one.queue == Queue::Ingest).map(|one| one.length + one.delayed)
}

impl View<'_> {
    fn projects(&self) -> Vec<ProjectId> {
        let all = self.scope.projects.iter().filter(|project| project.organization_id == self.organization.id);
        match self.project {
            Some(project) => vec![project.id],
            None => all.map(|project| project.id).collect(),
        }
    }

    /// The name of one of the organization's projects.
    fn project_name(&self, id: ProjectId) -> &str {
        self.scope.project(id).map_or("", |project| &project.name)
    }

    /// The same page for another project, or for all.
    fn with_project(&self, project: Option<ProjectId>) -> String {
        self.path(&self.organization.slug, project, self.period)
    }

    /// The address; what is as usual is left out.
    fn path(&self, organization: &str, project: Option<ProjectId>, period: Period) -> String {
        let mut pairs = Serializer::new(String::new());
        if self.scope.organizations.len() > 1 {
            pairs.append_pair("organization", organization);
        }
        if let Some(project) = project {
            pairs.append_pair("project", &project.to_string());
        }
        if period != Period::Day {
            pairs.append_pair("period", period.name());
        }
        let pairs = pairs.finish();
        if pairs.is_empty() { "/usage/".to_owned() } else { format!("/usage/?{pairs}") }
    }

    fn head(&self, lang: Lang) -> Markup {
        let organizations = &self.scope.organizations;
        html! {
            div.bar {
                h1 { (lang.usage()) }
                @if organizations.len() > 1 {
                    details.menu.boxed {
                        summary { (self.organization.name) (icon(Icon::Down)) }
                        div {
                            @for one in organizations {
                                a href=(self.path(&one.slug, None, self.period))
                                    aria-current=[(one.id == self.organization.id).then_some("true")] { (one.name) }
                            }
                        }
                    }
                }
                (self.project_menu(lang))
            }
            nav.tabs aria-label=(lang.period()) {
                @for period in Period::ALL {
                    a href=(self.path(&self.organization.slug, self.project.map(|project| project.id), period))
                        aria-current=[(period == self.period).then_some("page")] { (period.title(lang)) }
                }
            }
        }
    }

    fn project_menu(&self, lang: Lang) -> Markup {
        let all = self.scope.projects.iter().filter(|project| project.organization_id == self.organization.id);
        html! {
            details.menu.boxed {
                summary { (self.project.map_or(lang.all_projects(), |project| &project.name)) (icon(Icon::Down)) }
                div {
                    a href=(self.with_project(None)) aria-current=[self.project.is_none().then_some("true")] {
                        (lang.all_projects())
                    }
                    @for project in all {
                        a href=(self.with_project(Some(project.id)))
                            aria-current=[(self.project.map(|one| one.id) == Some(project.id)).then_some("true")] {
                            (project.name)
                        }
                    }
                }
            }
        }
    }

    fn overview(&self, lang: Lang, now: DateTime<Utc>, content: &Content) -> Markup {
        html! {
            section.card {
                header {
                    h2 { (self.project.map_or(self.organization.name.as_str(), |project| &project.name)) }
                    span.muted { (self.period.title(lang)) }
                }
                div.pad {
                    (tables::facts(lang, &content.summary.total, content.waiting))
                    (chart::show(lang, self.period, now, &content.sums))
                }
            }
        }
    }
}

fn nothing(lang: Lang) -> Markup {
    html! {
        div.bar { h1 { (lang.usage()) } }
        div.card { div.empty { h2 { (lang.no_projects()) } p { (lang.no_projects_hint()) } } }
    }
}
