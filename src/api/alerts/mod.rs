//! Alerts: who is told of which issues of a project.
//!
//! The shape is GlitchTip's, with `isEnabled` and each recipient's `hasSecret` added. A recipient is known by its
//! type and address (or by `id`, which lets it change its address). Addresses are as good as passwords: whole only
//! for those who may change them. Secrets go in and never come out.

mod body;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::access::{self, ProjectAccess};
use super::caller::Caller;
use super::list::Wanted;
use super::params::{JsonBody, PathParts};
use crate::app::App;
use crate::http::ApiError;
use crate::ids::AlertId;
use crate::store::alert::{self, Alert, MAX_ALERTS, Recipient};
use crate::store::alert_draft::{AlertDraft, DraftError, masked};
use crate::store::member::Role;

/// `GET /projects/{organization}/{project}/alerts/`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let access = read(&app, &caller, &path).await?;
    let all = alert::list(&app.db, access.project.id).await?;
    let is_whole = may_change(&caller, &access);
    Ok(wanted.answer_whole(all, |alert| alert_json(alert, is_whole)))
}

/// `GET /projects/{organization}/{project}/alerts/{alert}/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    let access = read(&app, &caller, &path).await?;
    let alert = find(&app, &access, &path).await?;
    Ok(Json(alert_json(&alert, may_change(&caller, &access))))
}

/// `POST /projects/{organization}/{project}/alerts/`: enabled, and telling nobody, unless the body says otherwise.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let mut draft = AlertDraft { is_enabled: true, ..AlertDraft::default() };
    body::apply(&mut draft, &body)?;
    let new = draft.check(&[])?;
    if alert::list(&app.db, access.project.id).await?.len() >= MAX_ALERTS {
        return Err(ApiError::BadRequest(format!("A project may have at most {MAX_ALERTS} alerts.")));
    }
    let made = alert::insert(&app.db, access.project.id, &new).await?;
    Ok((StatusCode::CREATED, Json(alert_json(&made, true))))
}

/// `PUT /projects/{organization}/{project}/alerts/{alert}/`: what the body does not name stays.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<Value>, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let stored = find(&app, &access, &path).await?;
    let mut draft = AlertDraft::of(&stored);
    body::apply(&mut draft, &body)?;
    let new = draft.check(&stored.recipients)?;
    let changed = alert::update(&app.db, access.project.id, stored.id, &new).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(alert_json(&changed, true)))
}

/// `DELETE /projects/{organization}/{project}/alerts/{alert}/`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<StatusCode, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:admin").await?;
    if !alert::delete(&app.db, access.project.id, id(&path)?).await? {
        return Err(ApiError::NotFound);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn read(app: &App, caller: &Caller, path: &PathParts) -> Result<ProjectAccess, ApiError> {
    caller.require("project:read")?;
    access::project(app, caller, path).await
}

fn may_change(caller: &Caller, access: &ProjectAccess) -> bool {
    access.role >= Role::Admin && caller.require("project:write").is_ok()
}

async fn find(app: &App, access: &ProjectAccess, path: &PathParts) -> Result<Alert, ApiError> {
    alert::find(&app.db, access.project.id, id(path)?).await?.ok_or(ApiError::NotFound)
}

fn id(path: &PathParts) -> Result<AlertId, ApiError> {
    path.get("alert")?.parse().map_err(|_| ApiError::NotFound)
}

impl From<DraftError> for ApiError {
    fn from(error: DraftError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

fn alert_json(alert: &Alert, is_whole: bool) -> Value {
    json!({
        "id": alert.id.0,
        "name": alert.name,
        "timespanMinutes": alert.timespan_minutes,
        "quantity": alert.quantity,
        "uptime": false,
        "isEnabled": alert.is_enabled,
        "alertRecipients": alert.recipients.iter().map(|one| recipient_json(one, is_whole)).collect::<Vec<_>>(),
    })
}

fn recipient_json(recipient: &Recipient, is_whole: bool) -> Value {
    json!({
        "id": recipient.id.0,
        "recipientType": recipient.kind.as_str(),
        "url": if is_whole { recipient.url.clone() } else { masked(&recipient.url) },
        "hasSecret": recipient.secret.is_some(),
        "tagsToAdd": [],
    })
}
