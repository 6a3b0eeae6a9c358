//! Events: of an issue, of a project, one of them, and its JSON as it was stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::access;
use super::caller::Caller;
use super::event_json::{event_json, event_row_json};
use super::list::Wanted;
use super::params::PathParts;
use crate::app::App;
use crate::http::ApiError;
use crate::ids::{EventId, ProjectId};
use crate::store::event_lookup::{self, Neighbours, Scope, StoredEvent};

/// `GET /issues/{issue}/events/`, received last first.
pub(super) async fn list_of_issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    list(&app, &wanted, Scope::Issue(issue.project_id, issue.id)).await
}

/// `GET /projects/{organization}/{project}/events/`, received last first.
pub(super) async fn list_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("event:read")?;
    let access = access::project(&app, &caller, &path).await?;
    list(&app, &wanted, Scope::Project(access.project.id)).await
}

async fn list(app: &App, wanted: &Wanted, scope: Scope) -> Result<Response, ApiError> {
    let page = event_lookup::list(&app.db, scope, wanted.cursor, wanted.limit).await?;
    let is_full = matches!(wanted.params.get("full"), Some("1" | "true"));
    Ok(wanted.answer(
        &page,
        |event| {
            if is_full { event_json(event, Neighbours::default()) } else { event_row_json(event) }
        },
    ))
}

/// `GET /issues/{issue}/events/{event}/`; `latest`, `recommended` and `oldest` are ids too.
pub(super) async fn show_of_issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    let event = of_issue(&app, &caller, &path).await?;
    show(&app, &event).await
}

/// `GET /issues/{issue}/events/{event}/json/`
pub(super) async fn raw_of_issue(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Response, ApiError> {
    Ok(raw(of_issue(&app, &caller, &path).await?))
}

/// `GET /projects/{organization}/{project}/events/{event}/`
pub(super) async fn show_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    let event = of_project(&app, &caller, &path).await?;
    show(&app, &event).await
}

/// `GET /projects/{organization}/{project}/events/{event}/json/`
pub(super) async fn raw_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Response, ApiError> {
    Ok(raw(of_project(&app, &caller, &path).await?))
}

async fn show(app: &App, event: &StoredEvent) -> Result<Json<Value>, ApiError> {
    let neighbours = event_lookup::neighbours(&app.db, event).await?;
    Ok(Json(event_json(event, neighbours)))
}

fn raw(event: StoredEvent) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], event.json).into_response()
}

async fn of_issue(app: &App, caller: &Caller, path: &PathParts) -> Result<StoredEvent, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(app, caller, path).await?;
    let found = match path.get("event")? {
        "latest" | "recommended" => event_lookup::latest(&app.db, issue.project_id, issue.id).await?,
        "oldest" => event_lookup::oldest(&app.db, issue.project_id, issue.id).await?,
        id => by_id(app, issue.project_id, id).await?.filter(|event| event.issue_id == issue.id),
    };
    found.ok_or(ApiError::NotFound)
}

async fn of_project(app: &App, caller: &Caller, path: &PathParts) -> Result<StoredEvent, ApiError> {
    caller.require("event:read")?;
    let access = access::project(app, caller, path).await?;
    by_id(app, access.project.id, path.get("event")?).await?.ok_or(ApiError::NotFound)
}

async fn by_id(app: &App, project: ProjectId, id: &str) -> Result<Option<StoredEvent>, ApiError> {
    let Some(id) = EventId::parse(id) else { return Ok(None) };
    Ok(event_lookup::by_id(&app.db, project, id).await?)
}
