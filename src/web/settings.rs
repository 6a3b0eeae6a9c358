//! `/settings/`: what a person decides for themselves: language and password.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use super::component::csrf_field;
use super::failure::Failure;
use super::form::Submission;
use super::layout::{self, Place};
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::auth::{password, session};
use crate::http::ClientInfo;
use crate::store::user::{self, UserChange};

/// Shortest password accepted, in characters.
const MIN_PASSWORD: usize = 8;
/// Longest, so that hashing one costs no more than it should.
const MAX_PASSWORD: usize = 256;

/// What was just done, for the page after a form.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    /// The language was chosen.
    Language,
    /// The password was changed.
    Password,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    done: Option<Done>,
}

/// `GET /settings/`
pub(super) async fn show(viewer: Viewer, Query(parameters): Query<Parameters>) -> Response {
    page(&viewer, parameters.done, None)
}

/// `POST /settings/`
pub(super) async fn set_language(State(app): State<Arc<App>>, submission: Submission) -> Result<Redirect, Failure> {
    let tag = submission.fields.get("language");
    if !tag.is_empty() && Lang::from_tag(tag).is_none() {
        return Err(Failure::BadRequest);
    }
    let change = UserChange { language: Some(tag), ..UserChange::default() };
    user::update(&app.db, submission.viewer.user.id, change).await?;
    Ok(Redirect::to("/settings/?done=language"))
}

/// `POST /settings/password/`: ends every session of the person and begins a new one here.
pub(super) async fn set_password(
    State(app): State<Arc<App>>,
    client: ClientInfo,
    headers: HeaderMap,
    submission: Submission,
) -> Result<Response, Failure> {
    let viewer = &submission.viewer;
    let lang = viewer.lang();
    let (current, new) = (submission.fields.get("current"), submission.fields.get("new"));
    let refuse =
        |problem: &str| Ok((StatusCode::UNPROCESSABLE_ENTITY, page(viewer, None, Some(problem))).into_response());
    if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&new.chars().count()) {
        return refuse(&lang.password_length(MIN_PASSWORD, MAX_PASSWORD));
    }
    if new != submission.fields.get("repeat") {
        return refuse(lang.passwords_differ());
    }
    if !password::verify(current.to_owned(), viewer.user.password_hash.clone()).await {
        return refuse(lang.wrong_password());
    }
    let hash = password::hash(new.to_owned()).await?;
    user::set_password(&app.db, viewer.user.id, &hash).await?;
    let cookie = session::begin(&app, viewer.user.id, &client, &headers).await?;
    tracing::info!(user.id = viewer.user.id.0, "password changed");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/settings/?done=password")).into_response())
}

fn page(viewer: &Viewer, done: Option<Done>, problem: Option<&str>) -> Response {
    let lang = viewer.lang();
    let chosen = Lang::from_tag(&viewer.user.language);
    let body = html! {
        div.bar { h1 { (lang.settings()) } }
        div.narrow {
            @match done {
                Some(Done::Language) => p.note.good role="status" { (lang.language_saved()) },
                Some(Done::Password) => p.note.good role="status" { (lang.password_changed()) },
                None => {}
            }
            section.card {
                header { h2 { (lang.language()) } }
                form.pad method="post" action="/settings/" {
                    (csrf_field(viewer.csrf()))
                    div.field {
                        label for="language" { (lang.language_of_pages()) }
                        select #language name="language" {
                            option value="" selected[chosen.is_none()] { (lang.as_the_browser_asks()) }
                            @for one in Lang::ALL {
                                option value=(one.tag()) lang=(one.tag()) selected[chosen == Some(one)] { (one.own_name()) }
                            }
                        }
                    }
                    button.btn.primary type="submit" { (lang.save()) }
                }
            }
            section.card {
                header { h2 { (lang.change_password()) } }
                form.pad method="post" action="/settings/password/" {
                    (csrf_field(viewer.csrf()))
                    @if let Some(problem) = problem { p.note.bad role="alert" { (problem) } }
                    // For password managers.
                    input type="text" name="username" value=(viewer.user.email) autocomplete="username" hidden;
                    (password_field("current", lang.current_password(), "current-password", None))
                    (password_field("new", lang.new_password(), "new-password",
                        Some(lang.password_length(MIN_PASSWORD, MAX_PASSWORD))))
                    (password_field("repeat", lang.repeat_password(), "new-password", None))
                    p.field { span.hint { (lang.password_hint()) } }
                    button.btn.primary type="submit" { (lang.change_password()) }
                }
            }
        }
    };
    layout::page(&viewer.frame, Some(Place::Settings), lang.settings(), &body).into_response()
}

fn password_field(name: &str, label: &str, autocomplete: &str, hint: Option<String>) -> maud::Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input type="password" id=(name) name=(name) required autocomplete=(autocomplete);
            @if let Some(hint) = hint { span.hint { (hint) } }
        }
    }
}
