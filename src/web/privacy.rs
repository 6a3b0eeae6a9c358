//! `/projects/{organization}/{project}/privacy/`: what is taken out before anything is stored.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::component::csrf_field;
use super::failure::Failure;
use super::filters::{Parameters, check, fault_text, lines};
use super::form::{Fields, Submission};
use super::layout::{self, Place};
use super::project_head::{ProjectView, Tab};
use super::viewer::Viewer;
use crate::app::App;
use crate::protocol::PrivacySettings;
use crate::protocol::filter_settings::Fault;
use crate::protocol::privacy_settings::field_names;
use crate::store::{StoreError, project_rules};

/// `GET /projects/{organization}/{project}/privacy/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let view = ProjectView::load(&app, &viewer, &organization, &project).await?;
    let privacy = project_rules::find(&app.db, view.project.id).await?.privacy;
    Ok(page(&viewer, &view, &privacy, parameters.done.is_some(), None))
}

/// `POST /projects/{organization}/{project}/privacy/`: sets all of it.
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Path((organization, project)): Path<(String, String)>,
    submission: Submission,
) -> Result<Response, Failure> {
    let view = ProjectView::load(&app, &submission.viewer, &organization, &project).await?;
    if !view.may_change() {
        return Err(Failure::NotFound);
    }
    let given = read(&submission.fields);
    let privacy = match checked(&given) {
        Ok(privacy) => privacy,
        Err(fault) => return Ok(page(&submission.viewer, &view, &given, false, Some(&fault))),
    };
    let set = |rules: &mut project_rules::ProjectRules| {
        rules.privacy = privacy;
        Ok::<(), StoreError>(())
    };
    project_rules::change(&app.db, view.project.id, set).await?;
    tracing::info!(project.id = view.project.id.0, user.id = submission.viewer.user.id.0, "privacy set");
    Ok(Redirect::to(&format!("{}privacy/?done=saved", view.path())).into_response())
}

/// As sent.
fn read(fields: &Fields) -> PrivacySettings {
    let is_on = |name: &str| fields.get(name) == "on";
    let names = |name: &str| fields.get(name).lines().map(str::to_owned).collect();
    PrivacySettings {
        scrub_data: is_on("dataScrubber"),
        scrub_defaults: is_on("dataScrubberDefaults"),
        scrub_exception_values: is_on("scrubExceptionValues"),
        scrub_ip_addresses: is_on("scrubIPAddresses"),
        sensitive_fields: names("sensitiveFields"),
        safe_fields: names("safeFields"),
    }
}

fn checked(given: &PrivacySettings) -> Result<PrivacySettings, Fault> {
    let names = |name, list: &[String]| field_names(name, list.iter().map(String::as_str));
    Ok(PrivacySettings {
        sensitive_fields: names("sensitiveFields", &given.sensitive_fields)?,
        safe_fields: names("safeFields", &given.safe_fields)?,
        ..given.clone()
    })
}

fn page(
    viewer: &Viewer,
    view: &ProjectView,
    shown: &PrivacySettings,
    is_saved: bool,
    fault: Option<&Fault>,
) -> Response {
    let lang = viewer.lang();
    let may_change = view.may_change();
    let switches = [
        ("dataScrubber", lang.scrub_data(), lang.scrub_data_hint(), shown.scrub_data),
        ("dataScrubberDefaults", lang.scrub_defaults(), lang.scrub_defaults_hint(), shown.scrub_defaults),
        (
            "scrubExceptionValues",
            lang.scrub_exception_values(),
            lang.scrub_exception_values_hint(),
            shown.scrub_exception_values,
        ),
        ("scrubIPAddresses", lang.scrub_ip_addresses(), lang.scrub_ip_addresses_hint(), shown.scrub_ip_addresses),
    ];
    let lists = [
        ("sensitiveFields", lang.sensitive_fields(), lang.sensitive_fields_hint(), &shown.sensitive_fields),
        ("safeFields", lang.safe_fields(), lang.safe_fields_hint(), &shown.safe_fields),
    ];
    let body = html! {
        (view.head(lang, Tab::Privacy))
        @if is_saved { p.note.good role="status" { (lang.privacy_saved()) } }
        @if !may_change { p.note { (lang.only_admins_filters()) } }
        form.rules-form method="post" action={ (view.path()) "privacy/" } {
            (csrf_field(viewer.csrf()))
            @if let Some(fault) = fault { p.note.bad role="alert" { (fault_text(lang, fault)) } }
            section.card {
                header { h2 { (lang.privacy()) } span.muted.opt { (lang.privacy_hint()) } }
                fieldset.pad disabled[!may_change] aria-label=(lang.privacy()) {
                    @for (name, label, hint, is_on) in switches { (check(name, label, hint, None, is_on)) }
                    @for (name, label, hint, entries) in lists { (lines(name, label, hint, None, entries)) }
                }
            }
            @if may_change { button.btn.primary type="submit" { (lang.save()) } }
        }
    };
    let page = layout::page(&viewer.frame, Some(Place::Projects), lang.privacy(), &body);
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (status, page).into_response()
}
