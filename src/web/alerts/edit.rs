//! The pages that make and change an alert.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::super::component::csrf_field;
use super::super::failure::Failure;
use super::super::form::Submission;
use super::super::layout::{self, Place};
use super::super::project_head::{ProjectView, Tab};
use super::super::viewer::Viewer;
use super::can_mail;
use super::fault::{Fault, Mistake};
use super::form::{self, AlertForm, Around, Pressed};
use super::recipient;
use crate::app::App;
use crate::ids::AlertId;
use crate::store::alert::{self, Alert, MAX_ALERTS};

/// `GET /projects/{organization}/{project}/alerts/new/`
pub(crate) async fn new(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let view = manage(&app, &viewer, &organization, &project).await?;
    page(&app, &viewer, &view, &AlertForm::empty(), None, None).await
}

/// `POST /projects/{organization}/{project}/alerts/new/`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Path((organization, project)): Path<(String, String)>,
    submission: Submission,
) -> Result<Response, Failure> {
    let view = manage(&app, &submission.viewer, &organization, &project).await?;
    submit(&app, &submission, &view, None).await
}

/// `GET /projects/{organization}/{project}/alerts/{alert}/`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project, id)): Path<(String, String, AlertId)>,
) -> Result<Response, Failure> {
    let view = manage(&app, &viewer, &organization, &project).await?;
    let stored = alert::find(&app.db, view.project.id, id).await?.ok_or(Failure::NotFound)?;
    page(&app, &viewer, &view, &AlertForm::of(&stored), Some(&stored), None).await
}

/// `POST /projects/{organization}/{project}/alerts/{alert}/`
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Path((organization, project, id)): Path<(String, String, AlertId)>,
    submission: Submission,
) -> Result<Response, Failure> {
    let view = manage(&app, &submission.viewer, &organization, &project).await?;
    let stored = alert::find(&app.db, view.project.id, id).await?.ok_or(Failure::NotFound)?;
    submit(&app, &submission, &view, Some(&stored)).await
}

/// The project, for somebody who may change its alerts.
pub(super) async fn manage(
    app: &App,
    viewer: &Viewer,
    organization: &str,
    project: &str,
) -> Result<ProjectView, Failure> {
    let view = ProjectView::load(app, viewer, organization, project).await?;
    if view.may_change() { Ok(view) } else { Err(Failure::NotFound) }
}

/// Stores what the form asks for, or shows it again.
async fn submit(
    app: &App,
    submission: &Submission,
    view: &ProjectView,
    stored: Option<&Alert>,
) -> Result<Response, Failure> {
    let viewer = &submission.viewer;
    let lang = viewer.lang();
    let mut form = AlertForm::read(&submission.fields, stored)?;
    let pressed = Pressed::read(&submission.fields);
    if pressed != Pressed::Save {
        form.press(pressed);
        return page(app, viewer, view, &form, stored, None).await;
    }
    let asked = form.draft().map_err(|error| Mistake::of(lang, error, &[]));
    let checked = asked.and_then(|(draft, places)| {
        let recipients = stored.map_or(&[][..], |alert| &alert.recipients);
        draft.check(recipients).map_err(|error| Mistake::of(lang, error, &places))
    });
    let new = match checked {
        Ok(new) => new,
        Err(mistake) => return page(app, viewer, view, &form, stored, Some(&mistake)).await,
    };
    let project = view.project.id;
    let saved = if let Some(stored) = stored {
        alert::update(&app.db, project, stored.id, &new).await?.ok_or(Failure::NotFound)?
    } else {
        if alert::list(&app.db, project).await?.len() >= MAX_ALERTS {
            let mistake = Mistake { at: Fault::Whole, text: lang.too_many_alerts(MAX_ALERTS) };
            return page(app, viewer, view, &form, stored, Some(&mistake)).await;
        }
        alert::insert(&app.db, project, &new).await?
    };
    tracing::info!(project.id = project.0, alert.id = saved.id.0, user.id = viewer.user.id.0, "alert saved");
    Ok(Redirect::to(&format!("{}alerts/?done=saved", view.path())).into_response())
}

async fn page(
    app: &App,
    viewer: &Viewer,
    view: &ProjectView,
    form: &AlertForm,
    stored: Option<&Alert>,
    mistake: Option<&Mistake>,
) -> Result<Response, Failure> {
    let lang = viewer.lang();
    let title = if stored.is_some() { lang.edit_alert() } else { lang.new_alert() };
    let back = format!("{}alerts/", view.path());
    let mail_note = html! {
        @if !can_mail(app) { p.hint.warn { (lang.no_mail()) " " (lang.no_mail_hint()) } }
        (recipient::mail_members(lang, &recipient::members(app, view).await?))
    };
    let organization = &view.organization.name;
    let around = Around { lang, csrf: viewer.csrf(), organization, back: &back, mail_note: &mail_note };
    let body = html! {
        (view.head(lang, Tab::Alerts))
        div.narrow.alert-page {
            div.bar { h2 { (title) } }
            (form::form(form, &around, mistake))
            @if let Some(alert) = stored { (deletion(viewer, &back, alert)) }
        }
    };
    let page = layout::page(&viewer.frame, Some(Place::Projects), title, &body);
    let status = if mistake.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, page).into_response())
}

fn deletion(viewer: &Viewer, back: &str, alert: &Alert) -> Markup {
    let lang = viewer.lang();
    html! {
        section.card {
            header { h2 { (lang.delete_alert()) } }
            form.pad method="post" action={ (back) (alert.id) "/delete/" } {
                (csrf_field(viewer.csrf()))
                p.field.muted { (lang.delete_alert_hint()) }
                button.btn.danger type="submit" { (lang.delete_alert()) }
            }
        }
    }
}
