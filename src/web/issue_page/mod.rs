//! `/issues/{issue}/`: one issue and one of its events, all on one page.

mod breadcrumbs;
mod context;
mod exception;
mod frame;
mod header;
mod navigation;
mod parts;
mod request;
mod side;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::failure::Failure;
use super::layout::{self, Place};
use super::scope;
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::{EventId, IssueId};
use crate::protocol::event::Event;
use crate::store::event_lookup::{self, Neighbours, StoredEvent};
use crate::store::issue_search::{self, IssueRow};
use crate::store::issue_stats::{self, Series};
use crate::store::issue_tags::{self, TagKey};

/// Values shown of each tag.
const TAG_VALUES: u16 = 4;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// `latest` (also when absent), `oldest`, or an event's id.
    event: Option<String>,
}

/// Everything the page shows.
struct IssuePage<'a> {
    viewer: &'a Viewer,
    now: DateTime<Utc>,
    issue: &'a IssueRow,
    event: Option<&'a StoredEvent>,
    /// The event asked for is not there; another one is shown.
    is_missing: bool,
    neighbours: Neighbours,
    hourly: &'a Series,
    daily: &'a Series,
    tags: &'a [TagKey],
    parts: &'a [parts::Part],
}

/// `GET /issues/{issue}/?event=`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<IssueId>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let issue = issue_search::find(&app.db, id).await?.ok_or(Failure::NotFound)?;
    scope::require(&app, &viewer.user, issue.organization_id).await?;
    if issue.id != id {
        // It was merged into this one.
        return Ok(Redirect::to(&format!("/issues/{}/", issue.id)).into_response());
    }
    let now = Utc::now();
    let key = [(issue.project_id, issue.id)];
    let (asked, hourly, daily, tags) = tokio::join!(
        find_event(&app, &issue, parameters.event.as_deref()),
        issue_stats::hourly_24h(&app.db, &key, now),
        issue_stats::daily_14d(&app.db, &key, now),
        issue_tags::top(&app.db, issue.project_id, issue.id, TAG_VALUES),
    );
    let asked = asked?;
    let is_missing = asked.is_none() && parameters.event.is_some();
    let event = match asked {
        None if is_missing => event_lookup::latest(&app.db, issue.project_id, issue.id).await?,
        found => found,
    };
    let neighbours = match &event {
        Some(event) => event_lookup::neighbours(&app.db, event).await?,
        None => Neighbours { previous: None, next: None },
    };
    let page = IssuePage {
        viewer: &viewer,
        now,
        issue: &issue,
        event: event.as_ref(),
        is_missing,
        neighbours,
        hourly: &hourly?.remove(&issue.id).unwrap_or_default(),
        daily: &daily?.remove(&issue.id).unwrap_or_default(),
        tags: &tags?,
        parts: &parts::find(&app, &issue).await?,
    };
    let title = format!("{} · {}", issue.short_name(), issue.title);
    Ok(layout::page(&viewer.frame, Some(Place::Issues), &title, &page.render()).into_response())
}

async fn find_event(app: &App, issue: &IssueRow, asked: Option<&str>) -> Result<Option<StoredEvent>, Failure> {
    let (project, id) = (issue.project_id, issue.id);
    Ok(match asked {
        None | Some("latest") => event_lookup::latest(&app.db, project, id).await?,
        Some("oldest") => event_lookup::oldest(&app.db, project, id).await?,
        Some(text) => match EventId::parse(text) {
            Some(event) => event_lookup::by_id(&app.db, project, event).await?.filter(|event| event.issue_id == id),
            None => None,
        },
    })
}

impl IssuePage<'_> {
    fn lang(&self) -> Lang {
        self.viewer.lang()
    }

    fn render(&self) -> Markup {
        let lang = self.lang();
        html! {
            (header::show(self))
            div.cols {
                div {
                    @if self.is_missing { p.note.bad role="alert" { (lang.event_missing()) } }
                    @if let Some(stored) = self.event {
                        (navigation::show(self, stored))
                        (sections(lang, &stored.event))
                    } @else {
                        div.card { div.empty { h2 { (lang.no_event()) } p { (lang.no_event_hint()) } } }
                    }
                }
                aside.side aria-label=(lang.details()) { (side::show(self)) }
            }
        }
    }
}

/// The event's parts, the telling ones first; what is not there is not shown.
fn sections(lang: Lang, event: &Event) -> Markup {
    html! {
        (context::problems(lang, event))
        (context::message(lang, event))
        (exception::exceptions(lang, event))
        (exception::loose_stack(lang, event))
        (exception::threads(lang, event))
        (exception::template(lang, event))
        (context::violation(lang, event))
        (breadcrumbs::show(lang, event))
        (request::show(lang, event))
        (context::user(lang, event))
        (context::contexts(lang, event))
        (context::extra(lang, event))
        (context::modules(lang, event))
        (context::images(lang, event))
        (context::sdk(lang, event))
    }
}

/// A card with a heading that the jump list leads to.
fn section(id: &str, title: &str, hint: Option<&str>, content: &Markup) -> Markup {
    html! {
        section.card id=(id) {
            header { h2 { (title) } @if let Some(hint) = hint { span.muted { (hint) } } }
            (content)
        }
    }
}
