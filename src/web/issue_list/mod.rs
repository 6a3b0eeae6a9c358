//! `/issues/`: every issue the reader may see, or those of one project; the address is the state.

mod address;
mod row;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use self::address::Address;
use self::address::{Order, Tab};
pub(super) use self::row::{badges, headline};
use super::component::csrf_field;
use super::component::icon::{Icon, icon};
use super::failure::Failure;
use super::layout::{self, Place};
use super::scope::Scope;
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::IssueId;
use crate::store::event_lookup;
use crate::store::issue_query::{self, IssueQuery, QueryError};
use crate::store::issue_search::{self, IssueFilter, IssueRow};
use crate::store::issue_stats::{self, Series};
use crate::store::issue_status::IssueStatus;
use crate::store::page::Page;

/// Issues on a page.
const PAGE: usize = 25;

/// What the page shows.
struct List<'a> {
    viewer: &'a Viewer,
    scope: &'a Scope,
    address: &'a Address,
    now: DateTime<Utc>,
}

/// `GET /issues/?project=&query=&sort=&cursor=`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Query(address): Query<Address>,
) -> Result<Response, Failure> {
    let scope = Scope::load(&app, &viewer.user).await?;
    let projects = match address.project {
        Some(id) => vec![scope.project(id).ok_or(Failure::NotFound)?.id],
        None => scope.projects.iter().map(|project| project.id).collect(),
    };
    let list = List { viewer: &viewer, scope: &scope, address: &address, now: Utc::now() };
    let query = match IssueQuery::parse(address.query()) {
        Ok(query) => query,
        Err(error) => return Ok(list.page(&list.problem(&error)).into_response()),
    };
    if let Some(event) = query.event_id()
        && let Some(issue) = event_lookup::issue_of(&app.db, &projects, event).await?
    {
        return Ok(Redirect::to(&format!("/issues/{issue}/?event={event}")).into_response());
    }
    let filter = IssueFilter { projects, query, sort: address.order().sort(), ..IssueFilter::default() };
    let cursor = address.cursor.as_deref().and_then(|text| text.parse().ok());
    let page = issue_search::list(&app.db, &filter, cursor, PAGE).await?;
    let keys: Vec<_> = page.items.iter().map(|issue| (issue.project_id, issue.id)).collect();
    let hourly = issue_stats::hourly_24h(&app.db, &keys, list.now).await?;
    let content = if page.items.is_empty() { list.empty() } else { list.table(&page, &hourly) };
    Ok(list.page(&content).into_response())
}

impl List<'_> {
    fn lang(&self) -> Lang {
        self.viewer.lang()
    }

    fn page(&self, content: &Markup) -> Html<String> {
        let lang = self.lang();
        let body = html! {
            div.bar {
                h1 { (lang.issues()) }
                (self.project_menu())
                (self.search())
            }
            (self.tabs())
            @if let Some(count) = self.address.changed {
                p.note.good role="status" { (lang.issues_changed(count)) }
            }
            @if let Some(count) = self.address.merged {
                p.note.good role="status" { (lang.issues_merged(count)) }
            }
            @match self.address.unmerged {
                Some(1) => p.note.bad role="alert" { (lang.merge_needs_two()) },
                Some(2) => p.note.bad role="alert" { (lang.merge_one_project()) },
                Some(3) => p.note.bad role="alert" { (lang.merge_busy()) },
                _ => {}
            }
            (content)
        };
        layout::page(&self.viewer.frame, Some(Place::Issues), lang.issues(), &body)
    }

    fn project_menu(&self) -> Markup {
        let chosen = self.address.project;
        let name = chosen.and_then(|id| self.scope.project(id)).map(|project| project.name.as_str());
        html! {
            details.menu.boxed {
                summary { (name.unwrap_or(self.lang().all_projects())) (icon(Icon::Down)) }
                div {
                    a href=(self.address.with_project(None)) aria-current=[chosen.is_none().then_some("true")] {
                        (self.lang().all_projects())
                    }
                    @for project in &self.scope.projects {
                        a href=(self.address.with_project(Some(project.id)))
                            aria-current=[(chosen == Some(project.id)).then_some("true")] { (project.name) }
                    }
                }
            }
        }
    }

    fn search(&self) -> Markup {
        let lang = self.lang();
        html! {
            form.search role="search" method="get" action="/issues/" {
                @if let Some(project) = self.address.project { input type="hidden" name="project" value=(project); }
                @if let Some(sort) = &self.address.sort { input type="hidden" name="sort" value=(sort); }
                input type="search" name="query" value=(self.address.query()) aria-label=(lang.search())
                    placeholder=(lang.search_hint()) autocomplete="off" spellcheck="false" maxlength="1000";
                button.btn type="submit" { (lang.search()) }
            }
        }
    }

    fn tabs(&self) -> Markup {
        let lang = self.lang();
        let current = self.address.tab();
        html! {
            nav.tabs aria-label=(lang.status()) {
                @for (tab, label) in [
                    (Tab::Status(IssueStatus::Unresolved), lang.unresolved()),
                    (Tab::Status(IssueStatus::Resolved), lang.resolved()),
                    (Tab::Status(IssueStatus::Ignored), lang.ignored()),
                    (Tab::All, lang.all()),
                ] {
                    a href=(self.address.with_tab(tab)) aria-current=[(current == Some(tab)).then_some("page")] {
                        (label)
                    }
                }
            }
        }
    }

    fn problem(&self, error: &QueryError) -> Markup {
        let lang = self.lang();
        let text = match error {
            QueryError::TooLong => lang.query_too_long(issue_query::MAX_LENGTH, issue_query::MAX_TERMS),
            QueryError::OpenQuote => lang.query_open_quote().to_owned(),
            QueryError::OpenList(key) => lang.query_open_list(key),
            QueryError::NoValue(key) => lang.query_no_value(key),
            QueryError::BadValue { key, value, known } => lang.query_bad_value(key, value, known),
            QueryError::NoList(key) => lang.query_no_list(key),
            QueryError::Unsearchable(key) => lang.query_unsearchable(key),
        };
        html! { p.note.bad role="alert" { (text) } }
    }

    fn empty(&self) -> Markup {
        let lang = self.lang();
        let is_searching = self.address.query() != address::DEFAULT_QUERY;
        let waiting = self.scope.projects.iter().find(|project| project.first_event_at.is_none());
        html! {
            div.card { div.empty {
                @if self.scope.projects.is_empty() {
                    h2 { (lang.no_projects()) }
                    p { (lang.no_projects_hint()) }
                } @else if is_searching || self.address.cursor.is_some() {
                    h2 { (lang.nothing_found()) }
                    p { (lang.nothing_found_hint()) }
                    a.btn href=(self.address.cleared()) { (lang.clear_search()) }
                } @else {
                    h2 { (lang.no_issues()) }
                    p { (lang.no_issues_hint()) }
                    @if let Some(project) = waiting {
                        a.btn href={
                            "/projects/" (self.scope.organization_slug(project.organization_id)) "/" (project.slug) "/"
                        } { (lang.set_up_project(&project.name)) }
                    }
                }
            } }
        }
    }

    fn table(&self, page: &Page<IssueRow>, hourly: &HashMap<IssueId, Series>) -> Markup {
        let lang = self.lang();
        html! {
            form method="post" action="/issues/" {
                (csrf_field(self.viewer.csrf()))
                input type="hidden" name="back" value=(self.address.path());
                div.card {
                    (self.bulk_bar())
                    table.issues {
                        thead { tr {
                            th.pick {
                                span.sr { (lang.select()) }
                                input.js type="checkbox" data-pick-all aria-label=(lang.select_all());
                            }
                            th { (lang.issue()) }
                            th.trend { (lang.last_24_hours()) }
                            th.num { (self.heading(Order::Events, lang.events_column())) }
                            th.num { (lang.users_column()) }
                            th { (self.heading(Order::LastSeen, lang.last_seen())) }
                            th.first { (self.heading(Order::FirstSeen, lang.first_seen())) }
                        } }
                        tbody {
                            @for issue in &page.items {
                                @let hourly = hourly.get(&issue.id).map_or(&[][..], Vec::as_slice);
                                (row::show(lang, self.now, self.address.project.is_none(), issue, hourly))
                            }
                        }
                    }
                }
            }
            (self.pager(page))
        }
    }

    fn bulk_bar(&self) -> Markup {
        let lang = self.lang();
        let tab = self.address.tab();
        html! {
            div.bulk {
                @if tab != Some(Tab::Status(IssueStatus::Resolved)) {
                    button.btn.small type="submit" name="status" value="resolved" data-key="e" {
                        (icon(Icon::Check)) (lang.resolve())
                    }
                }
                @if tab != Some(Tab::Status(IssueStatus::Ignored)) {
                    button.btn.small type="submit" name="status" value="ignored" {
                        (icon(Icon::Mute)) (lang.ignore())
                    }
                }
                @if tab != Some(Tab::Status(IssueStatus::Unresolved)) {
                    button.btn.small type="submit" name="status" value="unresolved" { (lang.reopen()) }
                }
                button.btn.small type="submit" name="merge" value="yes" { (lang.merge()) }
                span.hint { (lang.bulk_hint()) }
            }
        }
    }

    fn heading(&self, order: Order, label: &str) -> Markup {
        let is_current = self.address.order() == order;
        html! {
            a href=(self.address.with_order(order)) aria-current=[is_current.then_some("true")] {
                (label) @if is_current { " ↓" }
            }
        }
    }

    fn pager(&self, page: &Page<IssueRow>) -> Markup {
        let lang = self.lang();
        html! {
            div.pager {
                span.keys {
                    kbd { "j" } " " kbd { "k" } " " (lang.key_move()) " · " kbd { "o" } " " (lang.key_open()) " · "
                    kbd { "x" } " " (lang.key_select()) " · " kbd { "e" } " " (lang.key_resolve()) " · "
                    kbd { "/" } " " (lang.key_search())
                }
                nav.group aria-label=(lang.pages()) {
                    (step(page.has_previous.then(|| self.address.at(page.previous)), "prev", lang.previous_page()))
                    (step(page.has_next.then(|| self.address.at(page.next)), "next", lang.next_page()))
                }
            }
        }
    }
}

fn step(target: Option<String>, relation: &str, label: &str) -> Markup {
    html! {
        @if let Some(target) = target { a.btn.small href=(target) rel=(relation) { (label) } }
        @else { span.btn.small aria-disabled="true" { (label) } }
    }
}
