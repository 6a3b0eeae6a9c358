//! `/projects/{organization}/{project}/limits/`: how much may be sent, and how much of it is used now.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::component::csrf_field;
use super::failure::Failure;
use super::form::{Fields, Submission};
use super::layout::{self, Place};
use super::project_head::{ProjectView, Tab};
use super::text::{Lang, grouped};
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::RateLimitId;
use crate::queue::Window;
use crate::store::project_key::{self, ProjectKey};
use crate::store::rate_limit::{self, Allowance, Covers, RateLimit, Target};

/// Most keys shown.
const MAX_KEYS: i64 = 100;

/// Units that a window is given in, in seconds.
const UNITS: [i64; 4] = [1, 60, 3600, 86_400];

/// What was just done, for the page after a form.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    /// A limit was set.
    Saved,
    /// A limit was switched off.
    Cleared,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    done: Option<Done>,
}

/// `GET /projects/{organization}/{project}/limits/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let view = ProjectView::load(&app, &viewer, &organization, &project).await?;
    page(&app, &viewer, &view, parameters.done, None).await
}

/// `POST /projects/{organization}/{project}/limits/`: sets a limit.
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Path((organization, project)): Path<(String, String)>,
    submission: Submission,
) -> Result<Response, Failure> {
    let view = manage(&app, &submission.viewer, &organization, &project).await?;
    let fields = &submission.fields;
    let (target, covers) = named(&app, &view, fields).await?;
    let number = |name: &str| fields.get(name).trim().parse::<i64>().ok();
    let window = number("window").zip(number("unit")).and_then(|(window, unit)| window.checked_mul(unit));
    let Some(allowance) = number("count").zip(window).and_then(|(count, window)| Allowance::new(count, window)) else {
        return page(&app, &submission.viewer, &view, None, Some(fields)).await;
    };
    let limit = rate_limit::set(&app.db, target, covers, allowance).await?;
    tracing::info!(limit.id = limit.id.0, ?target, user.id = submission.viewer.user.id.0, "rate limit set");
    Ok(Redirect::to(&format!("{}limits/?done=saved", view.path())).into_response())
}

/// `POST /projects/{organization}/{project}/limits/clear/`: switches a limit off.
pub(super) async fn clear(
    State(app): State<Arc<App>>,
    Path((organization, project)): Path<(String, String)>,
    submission: Submission,
) -> Result<Redirect, Failure> {
    let view = manage(&app, &submission.viewer, &organization, &project).await?;
    let (target, covers) = named(&app, &view, &submission.fields).await?;
    rate_limit::clear(&app.db, target, Some(covers)).await?;
    tracing::info!(?target, user.id = submission.viewer.user.id.0, "rate limit switched off");
    Ok(Redirect::to(&format!("{}limits/?done=cleared", view.path())))
}

async fn manage(app: &App, viewer: &Viewer, organization: &str, project: &str) -> Result<ProjectView, Failure> {
    let view = ProjectView::load(app, viewer, organization, project).await?;
    if view.may_change() { Ok(view) } else { Err(Failure::NotFound) }
}

/// What a form is about: one of this project's targets, and what the limit counts.
async fn named(app: &App, view: &ProjectView, fields: &Fields) -> Result<(Target, Covers), Failure> {
    let wanted = fields.get("target");
    let covers = Covers::parse(fields.get("category")).ok_or(Failure::BadRequest)?;
    let keys = project_key::list_of_project(&app.db, view.project.id, None, MAX_KEYS).await?;
    let target = targets(view, &keys).into_iter().find(|target| target_name(*target) == wanted);
    Ok((target.ok_or(Failure::BadRequest)?, covers))
}

/// Whose limits apply to what is sent to a project.
fn targets(view: &ProjectView, keys: &[ProjectKey]) -> Vec<Target> {
    let shared = [Target::Project(view.project.id), Target::Organization(view.organization.id)];
    keys.iter().map(|key| Target::Key(key.id)).chain(shared).collect()
}

/// A target in a form.
fn target_name(target: Target) -> String {
    match target {
        Target::Key(id) => format!("key-{id}"),
        Target::Project(_) => "project".to_owned(),
        Target::Organization(_) => "organization".to_owned(),
    }
}

/// The page; `mistaken` is a form that makes no sense.
async fn page(
    app: &App,
    viewer: &Viewer,
    view: &ProjectView,
    done: Option<Done>,
    mistaken: Option<&Fields>,
) -> Result<Response, Failure> {
    let keys = project_key::list_of_project(&app.db, view.project.id, None, MAX_KEYS).await?;
    let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
    let mut limits = rate_limit::list_of(&app.db, &ids, &[view.project.id], &[view.organization.id]).await?;
    let order = targets(view, &keys);
    limits.sort_by_key(|limit| (order.iter().position(|target| *target == limit.target), limit.covers));
    let used = used(app, &limits, Utc::now()).await;
    let lang = viewer.lang();
    let list = List { lang, view, keys: &keys, csrf: viewer.csrf() };
    let body = html! {
        (view.head(lang, Tab::Limits))
        @match done {
            Some(Done::Saved) => p.note.good role="status" { (lang.limit_saved()) },
            Some(Done::Cleared) => p.note.good role="status" { (lang.limit_cleared()) },
            None => {}
        }
        section.card {
            header { h2 { (lang.limits()) } span.muted.opt { (lang.limits_hint()) } }
            @if limits.is_empty() { div.empty { h2 { (lang.no_limits()) } p { (lang.no_limits_hint()) } } }
            @else { (list.table(&limits, &used)) }
        }
        @if view.may_change() { (list.form(mistaken)) } @else { p.note { (lang.only_admins_limit()) } }
    };
    let page = layout::page(&viewer.frame, Some(Place::Projects), lang.limits(), &body);
    let status = if mistaken.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, page).into_response())
}

/// What all web processes have let through in the windows that are now, as far as Redis tells.
async fn used(app: &App, limits: &[RateLimit], now: DateTime<Utc>) -> HashMap<RateLimitId, u64> {
    if limits.is_empty() {
        return HashMap::new();
    }
    let windows: Vec<Window> =
        limits.iter().map(|limit| Window::at(limit.id.0, limit.allowance.seconds(), now.timestamp())).collect();
    let totals = app.queue.counters().totals(&windows).await.unwrap_or_default();
    limits.iter().map(|limit| limit.id).zip(totals).collect()
}

/// What the list and the form need.
struct List<'a> {
    lang: Lang,
    view: &'a ProjectView,
    keys: &'a [ProjectKey],
    csrf: &'a str,
}

impl List<'_> {
    fn table(&self, limits: &[RateLimit], used: &HashMap<RateLimitId, u64>) -> Markup {
        let lang = self.lang;
        html! {
            table.list.limits {
                thead { tr {
                    th { (lang.limit_of()) } th { (lang.limit_counts()) } th { (lang.limit_at_most()) }
                    th { (lang.limit_used()) }
                    @if self.view.may_change() { th { span.sr { (lang.switch_off()) } } }
                } }
                tbody {
                    @for limit in limits {
                        tr {
                            td { (self.target(limit.target)) }
                            td { (covers(lang, limit.covers)) }
                            td { (rate(lang, limit.allowance)) }
                            td.used {
                                @match used.get(&limit.id) {
                                    Some(used) => (meter(*used, limit.allowance.quantity)),
                                    None => span.muted { (lang.limit_use_unknown()) },
                                }
                            }
                            @if self.view.may_change() {
                                td.end {
                                    form method="post" action={ (self.view.path()) "limits/clear/" } {
                                        (csrf_field(self.csrf))
                                        input type="hidden" name="target" value=(target_name(limit.target));
                                        input type="hidden" name="category" value=(limit.covers.as_str());
                                        button.btn.small type="submit" { (lang.switch_off()) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// A target for people.
    fn target(&self, target: Target) -> String {
        match target {
            Target::Project(_) => self.lang.limit_of_project(&self.view.project.name),
            Target::Organization(_) => self.lang.limit_of_organization(&self.view.organization.name),
            Target::Key(id) => {
                let key = self.keys.iter().find(|key| key.id == id);
                let start = key.and_then(|key| key.public_key.get(..8)).unwrap_or_default();
                self.lang.limit_of_key(key.map_or("", |key| key.label.as_str()), start)
            }
        }
    }

    fn form(&self, mistaken: Option<&Fields>) -> Markup {
        let lang = self.lang;
        let given = |name: &str, default: &str| mistaken.map_or(default, |fields| fields.get(name)).to_owned();
        let (target, category) = (given("target", "project"), given("category", Covers::Error.as_str()));
        let unit = given("unit", "60");
        let all = targets(self.view, self.keys);
        html! {
            section.card {
                header { h2 { (lang.set_limit()) } }
                form.pad.limit-form method="post" action={ (self.view.path()) "limits/" } {
                    (csrf_field(self.csrf))
                    @if mistaken.is_some() { p.note.bad role="alert" { (lang.bad_limit()) } }
                    div.field {
                        label for="target" { (lang.limit_of()) }
                        select #target name="target" {
                            @for one in all {
                                @let name = target_name(one);
                                option value=(name) selected[name == target] { (self.target(one)) }
                            }
                        }
                    }
                    div.field {
                        label for="category" { (lang.limit_counts()) }
                        select #category name="category" {
                            @for one in Covers::BOTH {
                                option value=(one.as_str()) selected[one.as_str() == category] { (covers(lang, one)) }
                            }
                        }
                    }
                    div.field {
                        label for="count" { (lang.limit_at_most()) }
                        input #count type="number" name="count" min="1" required value=(given("count", ""));
                    }
                    div.field {
                        label for="window" { (lang.limit_in()) }
                        div.span {
                            input #window type="number" name="window" min="1" required value=(given("window", "1"));
                            select name="unit" aria-label=(lang.limit_unit()) {
                                @for one in UNITS {
                                    option value=(one) selected[one.to_string() == unit] { (unit_name(lang, one)) }
                                }
                            }
                        }
                    }
                    button.btn.primary type="submit" { (lang.save()) }
                    p.hint { (lang.set_limit_hint()) }
                }
            }
        }
    }
}

/// What a limit counts, for people.
fn covers(lang: Lang, covers: Covers) -> &'static str {
    match covers {
        Covers::Error => lang.limit_counts_errors(),
        Covers::All => lang.limit_counts_all(),
    }
}

/// `1,000 in 5 minutes`, by the largest unit that fits.
fn rate(lang: Lang, allowance: Allowance) -> String {
    let seconds = i64::from(allowance.window_s);
    let unit = UNITS.into_iter().rev().find(|unit| seconds % unit == 0).unwrap_or(1);
    let count = seconds / unit;
    let span = match unit {
        86_400 => lang.span_days(count),
        3600 => lang.span_hours(count),
        60 => lang.span_minutes(count),
        _ => lang.span_seconds(count),
    };
    lang.limit_rate(grouped(allowance.quantity), span)
}

fn unit_name(lang: Lang, unit: i64) -> &'static str {
    match unit {
        86_400 => lang.unit_days(),
        3600 => lang.unit_hours(),
        60 => lang.unit_minutes(),
        _ => lang.unit_seconds(),
    }
}

fn meter(used: u64, quantity: i64) -> Markup {
    let shown = grouped(i64::try_from(used).unwrap_or(i64::MAX));
    html! { meter min="0" max=(quantity) value=(used) {} " " (shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_the_largest_unit_that_fits() {
        for (window_s, text) in [
            (1, "1,000 in 1 second"),
            (90, "1,000 in 90 seconds"),
            (3600, "1,000 in 1 hour"),
            (2_592_000, "1,000 in 30 days"),
        ] {
            assert_eq!(rate(Lang::English, Allowance { quantity: 1000, window_s }), text);
        }
        assert_eq!(rate(Lang::Chinese, Allowance { quantity: 5, window_s: 300 }), "每 5 分钟 5 个");
    }
}
