//! `/projects/{organization}/{project}/filters/`: what of what is sent is not kept.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::component::csrf_field;
use super::failure::Failure;
use super::form::{Fields, Submission};
use super::layout::{self, Place};
use super::project_head::{ProjectView, Tab};
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::ProjectId;
use crate::protocol::filter_settings::{Browser, Fault, LEGACY_BROWSERS, LegacyBrowser, MAX_ENTRIES, MAX_ENTRY};
use crate::protocol::{Filter, FilterSettings};
use crate::store::ledger::{self, Dimension, LedgerFilter};
use crate::store::outcome::Outcome;
use crate::store::{StoreError, project_rules};

/// How far back it is told what a filter has held back.
const HELD_DAYS: i64 = 7;

/// Set once a form was taken in.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    pub(super) done: Option<String>,
}

/// `GET /projects/{organization}/{project}/filters/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let view = ProjectView::load(&app, &viewer, &organization, &project).await?;
    let filters = project_rules::find(&app.db, view.project.id).await?.filters;
    let held = held(&app, view.project.id).await?;
    Ok(page(&viewer, &view, &Shown::of(&filters), &held, parameters.done.is_some(), None))
}

/// `POST /projects/{organization}/{project}/filters/`: sets all of them.
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Path((organization, project)): Path<(String, String)>,
    submission: Submission,
) -> Result<Response, Failure> {
    let view = ProjectView::load(&app, &submission.viewer, &organization, &project).await?;
    if !view.may_change() {
        return Err(Failure::NotFound);
    }
    let shown = Shown::read(&submission.fields);
    let filters = match shown.settings() {
        Ok(filters) => filters,
        Err(fault) => {
            let held = held(&app, view.project.id).await?;
            return Ok(page(&submission.viewer, &view, &shown, &held, false, Some(&fault)));
        }
    };
    let set = |rules: &mut project_rules::ProjectRules| {
        rules.filters = filters;
        Ok::<(), StoreError>(())
    };
    project_rules::change(&app.db, view.project.id, set).await?;
    tracing::info!(project.id = view.project.id.0, user.id = submission.viewer.user.id.0, "filters set");
    Ok(Redirect::to(&format!("{}filters/?done=saved", view.path())).into_response())
}

/// How many items each filter has held back lately, by its name.
async fn held(app: &App, project: ProjectId) -> Result<HashMap<String, i64>, Failure> {
    let (now, span) = (Utc::now(), TimeDelta::days(HELD_DAYS));
    let filter = LedgerFilter {
        projects: vec![project],
        since: now - span,
        until: now,
        outcomes: vec![Outcome::Filtered.as_str().to_owned()],
        categories: None,
        reasons: Some(Filter::ALL.iter().map(|filter| filter.id().to_owned()).collect()),
    };
    let limit = i64::try_from(Filter::ALL.len()).unwrap_or(i64::MAX);
    let sums = ledger::sums(&app.db, &filter, &[Dimension::Reason], span, limit).await?;
    Ok(sums.into_iter().filter_map(|sum| Some((sum.reason?, sum.quantity))).collect())
}

/// What is filled in: of each filter whether it is on, or its lines; names for browsers.
struct Shown(Vec<(Filter, bool, Vec<String>)>);

impl Shown {
    fn of(filters: &FilterSettings) -> Self {
        let all = Filter::ALL.iter().map(|one| (*one, filters.is_on(*one), filters.entries(*one).to_vec()));
        Self(all.collect())
    }

    fn read(fields: &Fields) -> Self {
        let lines = |filter: Filter| -> Vec<String> {
            let given = fields.all(filter.id());
            if filter == Filter::LegacyBrowsers {
                given.map(str::to_owned).collect()
            } else {
                given.flat_map(str::lines).map(str::to_owned).collect()
            }
        };
        let all = Filter::ALL.iter().map(|one| {
            if one.is_list() { (*one, false, lines(*one)) } else { (*one, fields.get(one.id()) == "on", Vec::new()) }
        });
        Self(all.collect())
    }

    fn settings(&self) -> Result<FilterSettings, Fault> {
        let mut filters = FilterSettings::default();
        for (filter, is_on, entries) in &self.0 {
            if filter.is_list() {
                filters.set_entries(*filter, entries.iter().map(String::as_str))?;
            } else {
                filters.switch(*filter, *is_on)?;
            }
        }
        Ok(filters)
    }

    fn is_on(&self, filter: Filter) -> bool {
        self.0.iter().any(|(one, is_on, _)| *one == filter && *is_on)
    }

    fn entries(&self, filter: Filter) -> &[String] {
        self.0.iter().find(|(one, ..)| *one == filter).map(|(.., entries)| entries.as_slice()).unwrap_or_default()
    }
}

fn page(
    viewer: &Viewer,
    view: &ProjectView,
    shown: &Shown,
    held: &HashMap<String, i64>,
    is_saved: bool,
    fault: Option<&Fault>,
) -> Response {
    let lang = viewer.lang();
    let switches = Filter::ALL.iter().copied().filter(|filter| !filter.is_list());
    let lists = [Filter::ErrorMessages, Filter::Releases, Filter::CspSources, Filter::ClientIps];
    let may_change = view.may_change();
    let held = |filter: Filter| held.get(filter.id()).map(|count| lang.filter_held(*count, HELD_DAYS));
    let body = html! {
        (view.head(lang, Tab::Filters))
        @if is_saved { p.note.good role="status" { (lang.filters_saved()) } }
        @if !may_change { p.note { (lang.only_admins_filters()) } }
        form.rules-form method="post" action={ (view.path()) "filters/" } {
            (csrf_field(viewer.csrf()))
            @if let Some(fault) = fault { p.note.bad role="alert" { (fault_text(lang, fault)) } }
            section.card {
                header { h2 { (lang.filters_by_kind()) } span.muted.opt { (lang.filters_hint()) } }
                fieldset.pad disabled[!may_change] aria-label=(lang.filters_by_kind()) {
                    @for filter in switches {
                        (check(filter.id(), name(lang, filter), hint(lang, filter), held(filter), shown.is_on(filter)))
                    }
                }
            }
            section.card {
                header { h2 { (name(lang, Filter::LegacyBrowsers)) } span.muted.opt { (hint(lang, Filter::LegacyBrowsers)) } @if let Some(held) = held(Filter::LegacyBrowsers) { span.held { (held) } } }
                fieldset.pad.checks disabled[!may_change] aria-label=(name(lang, Filter::LegacyBrowsers)) {
                    @let chosen = shown.entries(Filter::LegacyBrowsers);
                    @for (browser, is_chosen) in offered(chosen) {
                        label.check {
                            input type="checkbox" name=(Filter::LegacyBrowsers.id()) value=(browser.name)
                                checked[is_chosen];
                            span { (browser_label(lang, browser)) }
                        }
                    }
                }
            }
            section.card {
                header { h2 { (lang.filters_by_list()) } span.muted.opt { (lang.one_a_line()) } }
                fieldset.pad disabled[!may_change] aria-label=(lang.filters_by_list()) {
                    p.hint { (lang.pattern_hint()) }
                    @for filter in lists {
                        (lines(filter.id(), name(lang, filter), hint(lang, filter), held(filter), shown.entries(filter)))
                    }
                }
            }
            @if may_change { button.btn.primary type="submit" { (lang.save()) } }
        }
    };
    let page = layout::page(&viewer.frame, Some(Place::Projects), lang.filters(), &body);
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (status, page).into_response()
}

/// Something that is on or off, with what it means and what came of it.
pub(super) fn check(name: &str, label: &str, hint: &str, held: Option<String>, is_on: bool) -> Markup {
    html! {
        label.check {
            input type="checkbox" name=(name) value="on" checked[is_on];
            span { strong { (label) } @if let Some(held) = held { span.held { (held) } } span.hint { (hint) } }
        }
    }
}

/// A list, one entry on each line.
pub(super) fn lines(name: &str, label: &str, hint: &str, held: Option<String>, entries: &[String]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) @if let Some(held) = held { span.held { (held) } } }
            textarea id=(name) name=(name) rows=(entries.len().clamp(3, 12)) spellcheck="false"
                aria-describedby={ "about-" (name) } { (entries.join("\n")) }
            span.hint id={ "about-" (name) } { (hint) }
        }
    }
}

/// The browsers to choose from, and whether each is chosen. One that has two names is there twice only if it was chosen by
/// the second.
fn offered(chosen: &[String]) -> impl Iterator<Item = (&'static LegacyBrowser, bool)> {
    LEGACY_BROWSERS.iter().enumerate().filter_map(|(index, browser)| {
        let is_chosen = chosen.iter().any(|name| name == browser.name);
        let is_same = |other: &LegacyBrowser| {
            (other.browser, other.from, other.to) == (browser.browser, browser.from, browser.to)
        };
        let is_double = LEGACY_BROWSERS.iter().take(index).any(is_same);
        (is_chosen || !is_double).then_some((browser, is_chosen))
    })
}

/// A filter for people.
pub(super) fn name(lang: Lang, filter: Filter) -> &'static str {
    match filter {
        Filter::Localhost => lang.filter_localhost(),
        Filter::BrowserExtensions => lang.filter_browser_extensions(),
        Filter::LegacyBrowsers => lang.filter_legacy_browsers(),
        Filter::WebCrawlers => lang.filter_web_crawlers(),
        Filter::HealthChecks => lang.filter_health_checks(),
        Filter::ErrorMessages => lang.filter_error_messages(),
        Filter::Releases => lang.filter_releases(),
        Filter::ChunkLoadErrors => lang.filter_chunk_load(),
        Filter::HydrationErrors => lang.filter_hydration(),
        Filter::CspSources => lang.filter_csp_sources(),
        Filter::ClientIps => lang.filter_client_ips(),
    }
}

fn hint(lang: Lang, filter: Filter) -> &'static str {
    match filter {
        Filter::Localhost => lang.filter_localhost_hint(),
        Filter::BrowserExtensions => lang.filter_browser_extensions_hint(),
        Filter::LegacyBrowsers => lang.filter_legacy_browsers_hint(),
        Filter::WebCrawlers => lang.filter_web_crawlers_hint(),
        Filter::HealthChecks => lang.filter_health_checks_hint(),
        Filter::ErrorMessages => lang.filter_error_messages_hint(),
        Filter::Releases => lang.filter_releases_hint(),
        Filter::ChunkLoadErrors => lang.filter_chunk_load_hint(),
        Filter::HydrationErrors => lang.filter_hydration_hint(),
        Filter::CspSources => lang.filter_csp_sources_hint(),
        Filter::ClientIps => lang.filter_client_ips_hint(),
    }
}

/// What is wrong, by the name of the field that it is wrong in.
pub(super) fn fault_text(lang: Lang, fault: &Fault) -> String {
    let field = |id: &str| match (Filter::parse(id), id) {
        (Some(filter), _) => name(lang, filter).to_owned(),
        (None, "sensitiveFields") => lang.sensitive_fields().to_owned(),
        (None, "safeFields") => lang.safe_fields().to_owned(),
        (None, other) => other.to_owned(),
    };
    match fault {
        Fault::TooMany(id) => lang.fault_too_many(field(id), MAX_ENTRIES),
        Fault::TooLong(id) => lang.fault_too_long(field(id), MAX_ENTRY),
        Fault::NoAddress(id, entry) => lang.fault_no_address(field(id), entry),
        Fault::NoName(id, entry) => lang.fault_no_name(field(id), entry),
        // No form of ours says such a thing.
        Fault::NoBrowser(..) | Fault::NoList(_) | Fault::NoSwitch(_) => lang.bad_request_hint().to_owned(),
    }
}

fn browser_label(lang: Lang, browser: &LegacyBrowser) -> String {
    let family = match browser.browser {
        Browser::Ie => "Internet Explorer",
        Browser::Edge => "Edge",
        Browser::Safari => "Safari",
        Browser::Firefox => "Firefox",
        Browser::Chrome => "Chrome",
        Browser::Opera => "Opera",
        Browser::OperaMini => "Opera Mini",
        Browser::Android => "Android",
    };
    if browser.from == browser.to {
        lang.browser_exactly(family, browser.to)
    } else {
        lang.browser_and_older(family, browser.to)
    }
}
