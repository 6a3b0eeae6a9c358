//! `/projects/`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use chrono::Utc;
use maud::html;

use super::component::time;
use super::failure::Failure;
use super::layout::{self, Place};
use super::scope::Scope;
use super::viewer::Viewer;
use crate::app::App;

/// `GET /projects/`: every project the reader may see.
pub(super) async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Html<String>, Failure> {
    let scope = Scope::load(&app, &viewer.user).await?;
    let lang = viewer.lang();
    let now = Utc::now();
    let body = html! {
        div.bar { h1 { (lang.projects()) } }
        div.card {
            @if scope.projects.is_empty() {
                div.empty { h2 { (lang.no_projects()) } p { (lang.no_projects_hint()) } }
            } @else {
                table.list {
                    thead { tr {
                        th { (lang.project()) }
                        th.opt { (lang.organization()) }
                        th.opt { (lang.platform()) }
                        th { (lang.first_event()) }
                        th { span.sr { (lang.issues()) } }
                    } }
                    tbody {
                        @for project in &scope.projects {
                            @let organization = scope.organization_slug(project.organization_id);
                            tr {
                                td {
                                    a href={ "/projects/" (organization) "/" (project.slug) "/" } {
                                        strong { (project.name) }
                                    }
                                }
                                td.opt.muted { (organization) }
                                td.opt.muted { @if project.platform.is_empty() { "–" } @else { (project.platform) } }
                                td.muted {
                                    @match project.first_event_at {
                                        Some(time) => (time::relative(lang, now, time)),
                                        None => span.waiting { span.pulse {} (lang.waiting_short()) },
                                    }
                                }
                                td.num { a href={ "/issues/?project=" (project.id) } { (lang.issues()) } }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(layout::page(&viewer.frame, Some(Place::Projects), lang.projects(), &body))
}
