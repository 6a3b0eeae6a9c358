//! `/projects/{organization}/{project}/`: how to send events to a project, and whether they arrive.

mod snippet;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use self::snippet::Sdk;
use super::component::{badge, copy_button, time};
use super::failure::Failure;
use super::layout::{self, Place};
use super::project_head::{ProjectView, Tab};
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::store::project::Project;
use crate::store::project_key::{self, ProjectKey};

/// Most keys shown.
const MAX_KEYS: i64 = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    /// Which snippet, by [`Sdk::name`].
    sdk: Option<String>,
}

/// `GET /projects/{organization}/{project}/?sdk=`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Html<String>, Failure> {
    let view = ProjectView::load(&app, &viewer, &organization, &project).await?;
    let project = &view.project;
    let keys = project_key::list_of_project(&app.db, project.id, None, MAX_KEYS).await?;
    let dsn = keys.iter().find(|key| key.is_active).map(|key| key.dsn(&app.config.public_url));
    let sdk =
        parameters.sdk.as_deref().and_then(Sdk::from_name).unwrap_or_else(|| Sdk::for_platform(&project.platform));
    let lang = viewer.lang();
    let now = Utc::now();
    let body = html! {
        (view.head(lang, Tab::SetUp))
        (status(lang, now, project))
        section.card {
            header { h2 { (lang.dsn()) } span.muted { (lang.dsn_hint()) } }
            div.pad {
                @if let Some(dsn) = &dsn { (copyable_dsn(lang, "dsn", dsn)) }
                @else { p.muted { (lang.no_active_key()) } }
            }
        }
        @if let Some(dsn) = &dsn {
            section.card #snippets {
                header { h2 { (lang.connect_program()) } }
                div.pad {
                    nav.tabs aria-label=(lang.connect_program()) {
                        @for one in Sdk::ALL {
                            a href={ "?sdk=" (one.name()) "#snippets" } aria-current=[(one == sdk).then_some("page")] {
                                (one.label())
                            }
                        }
                    }
                    @for (index, step) in sdk.steps(dsn).iter().enumerate() {
                        @let id = format!("step-{index}");
                        h3.sub-h { (step.title(lang)) }
                        div.copyable { pre.block.scroll id=(id) { (step.code) } (copy_button(lang, &id)) }
                    }
                }
            }
        }
        (key_list(lang, now, &keys, |key| key.dsn(&app.config.public_url)))
    };
    Ok(layout::page(&viewer.frame, Some(Place::Projects), &project.name, &body))
}

fn status(lang: Lang, now: DateTime<Utc>, project: &Project) -> Markup {
    html! {
        @match project.first_event_at {
            Some(time) => div.note.waiting {
                span.pulse.on {}
                span { (lang.receiving()) " " (time::relative(lang, now, time)) }
            },
            // The script looks again every few seconds and shows the page anew once events arrive.
            None => div.note.waiting data-waiting role="status" {
                span.pulse {}
                span { strong { (lang.waiting()) } " " (lang.waiting_hint()) }
            },
        }
    }
}

fn copyable_dsn(lang: Lang, id: &str, dsn: &str) -> Markup {
    html! { div.dsn { code id=(id) { (dsn) } (copy_button(lang, id)) } }
}

fn key_list(lang: Lang, now: DateTime<Utc>, keys: &[ProjectKey], dsn: impl Fn(&ProjectKey) -> String) -> Markup {
    html! {
        section.card {
            header { h2 { (lang.keys()) } span.muted { (lang.keys_hint()) } }
            table.list {
                thead { tr { th { (lang.name()) } th { (lang.dsn()) } th.opt { (lang.created()) } th { (lang.state()) } } }
                tbody {
                    @for key in keys {
                        tr {
                            td { (key.label) }
                            td { code { (dsn(key)) } }
                            td.opt.muted { (time::relative(lang, now, key.created_at)) }
                            td {
                                @if key.is_active { (badge("resolved", lang.active())) }
                                @else { (badge("", lang.switched_off())) }
                            }
                        }
                    }
                }
            }
        }
    }
}
