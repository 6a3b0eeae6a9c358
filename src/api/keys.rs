//! The keys that let programs send events to a project. A key's id is its public part.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{self, ProjectAccess};
use super::caller::Caller;
use super::list::Wanted;
use super::params::{JsonBody, PathParts};
use super::users::time;
use crate::app::App;
use crate::http::ApiError;
use crate::store::member::Role;
use crate::store::project_key::{self, ProjectKey};

/// Longest name of a key, in characters.
const MAX_NAME: usize = 64;

/// What a new key may be given.
#[derive(Deserialize)]
pub(super) struct NewKey {
    #[serde(alias = "label")]
    name: Option<String>,
}

/// What may be changed of a key.
#[derive(Deserialize)]
pub(super) struct KeyChange {
    #[serde(rename = "isActive")]
    is_active: Option<bool>,
}

/// `GET /projects/{organization}/{project}/keys/`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    let all = project_key::list_of_project(&app.db, access.project.id, None, access::MAX_WHOLE).await?;
    Ok(wanted.answer_whole(all, |key| key_json(&app, key)))
}

/// `GET /projects/{organization}/{project}/keys/{key}/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    let key = find(&app, &access, &path).await?;
    Ok(Json(key_json(&app, &key)))
}

/// `POST /projects/{organization}/{project}/keys/`: an active key with a new public part.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<NewKey>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let access = manage(&app, &caller, &path).await?;
    let name = body.name.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("Default");
    if name.chars().count() > MAX_NAME || name.contains('\0') {
        return Err(ApiError::BadRequest(format!("`name` may have at most {MAX_NAME} characters.")));
    }
    let key = project_key::insert(&app.db, access.project.id, name).await?;
    Ok((StatusCode::CREATED, Json(key_json(&app, &key))))
}

/// `PUT /projects/{organization}/{project}/keys/{key}/`: switches the key on or off.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<KeyChange>,
) -> Result<Json<Value>, ApiError> {
    let access = manage(&app, &caller, &path).await?;
    let key = find(&app, &access, &path).await?;
    let is_active = body.is_active.ok_or_else(|| ApiError::BadRequest("`isActive` is missing.".to_owned()))?;
    let changed = project_key::set_active(&app.db, &key.public_key, is_active).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(key_json(&app, &changed)))
}

/// The project, for a caller who may change its keys.
async fn manage(app: &App, caller: &Caller, path: &PathParts) -> Result<ProjectAccess, ApiError> {
    let access = access::project(app, caller, path).await?;
    caller.require("project:write")?;
    if access.role < Role::Admin {
        return Err(ApiError::no_permission());
    }
    Ok(access)
}

async fn find(app: &App, access: &ProjectAccess, path: &PathParts) -> Result<ProjectKey, ApiError> {
    // Other servers write keys with dashes.
    let wanted = path.get("key")?.replace('-', "").to_ascii_lowercase();
    let all = project_key::list_of_project(&app.db, access.project.id, None, access::MAX_WHOLE).await?;
    all.into_iter().find(|key| key.public_key == wanted).ok_or(ApiError::NotFound)
}

fn key_json(app: &App, key: &ProjectKey) -> Value {
    let dsn = key.dsn(&app.config.public_url);
    json!({
        "id": key.public_key,
        "name": key.label,
        "label": key.label,
        "public": key.public_key,
        "secret": null,
        "projectId": key.project_id.0,
        "isActive": key.is_active,
        "dateCreated": time(key.created_at),
        "rateLimit": null,
        "dsn": {
            "public": dsn,
            // There are no secret keys; old programs that want one get the same address.
            "secret": dsn,
        },
    })
}
