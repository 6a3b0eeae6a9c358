//! The keys that let programs send events to a project. A key's id is its public part. Its `rateLimit` counts events.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::access::{self, ProjectAccess};
use super::caller::Caller;
use super::limits;
use super::list::Wanted;
use super::params::{JsonBody, PathParts};
use super::users::time;
use crate::app::App;
use crate::http::ApiError;
use crate::store::project_key::{self, ProjectKey};
use crate::store::rate_limit::{self, Allowance, Covers, RateLimit, Target};

/// Longest name of a key, in characters.
const MAX_NAME: usize = 64;

/// What a new key may be given.
#[derive(Deserialize)]
pub(super) struct NewKey {
    #[serde(alias = "label")]
    name: Option<String>,
    #[serde(rename = "rateLimit")]
    rate_limit: Option<GivenLimit>,
}

/// What may be changed of a key.
#[derive(Deserialize)]
pub(super) struct KeyChange {
    #[serde(alias = "label")]
    name: Option<String>,
    #[serde(rename = "isActive")]
    is_active: Option<bool>,
    #[serde(rename = "rateLimit", default)]
    rate_limit: LimitChange,
}

/// What becomes of a key's limit.
#[derive(Default)]
enum LimitChange {
    /// Nothing is said of it.
    #[default]
    Keep,
    /// Null, or an object.
    To(Option<GivenLimit>),
}

impl<'de> Deserialize<'de> for LimitChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::To)
    }
}

/// `{"window": seconds, "count": events}`; zero or nothing in both is none at all.
#[derive(Deserialize)]
struct GivenLimit {
    count: Option<i64>,
    window: Option<i64>,
}

impl GivenLimit {
    fn read(&self) -> Result<Option<Allowance>, ApiError> {
        let (count, window) = (self.count.unwrap_or_default(), self.window.unwrap_or_default());
        if (count, window) == (0, 0) {
            return Ok(None);
        }
        Allowance::new(count, window).map(Some).ok_or_else(|| limits::senseless("rateLimit"))
    }
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
    let ids: Vec<_> = all.iter().map(|key| key.id).collect();
    let limits = rate_limit::list_of(&app.db, &ids, &[], &[]).await?;
    Ok(wanted.answer_whole(all, |key| key_json(&app, key, &limits)))
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
    with_limit(&app, &key).await
}

/// `POST /projects/{organization}/{project}/keys/`: an active key with a new public part.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<NewKey>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let name = read_name(body.name.as_deref())?.unwrap_or("Default");
    let allowance = body.rate_limit.map_or(Ok(None), |limit| limit.read())?;
    let mut transaction = app.db.begin().await?;
    let key = project_key::insert(&mut *transaction, access.project.id, name).await?;
    if let Some(allowance) = allowance {
        rate_limit::set(&mut *transaction, Target::Key(key.id), Covers::Error, allowance).await?;
    }
    transaction.commit().await?;
    Ok((StatusCode::CREATED, with_limit(&app, &key).await?))
}

/// `PUT /projects/{organization}/{project}/keys/{key}/`: its name, its limit, and whether it is switched on.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<KeyChange>,
) -> Result<Json<Value>, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let mut key = find(&app, &access, &path).await?;
    let name = read_name(body.name.as_deref())?;
    let keeps_limit = matches!(body.rate_limit, LimitChange::Keep);
    if name.is_none() && keeps_limit && body.is_active.is_none() {
        return Err(ApiError::BadRequest("`isActive`, `name` and `rateLimit` are missing.".to_owned()));
    }
    let mut transaction = app.db.begin().await?;
    if let LimitChange::To(limit) = body.rate_limit {
        let target = Target::Key(key.id);
        match limit.map_or(Ok(None), |limit| limit.read())? {
            Some(allowance) => drop(rate_limit::set(&mut *transaction, target, Covers::Error, allowance).await?),
            None => drop(rate_limit::clear(&mut *transaction, target, Some(Covers::Error)).await?),
        }
    }
    if let Some(name) = name {
        key = project_key::set_label(&mut *transaction, &key.public_key, name).await?.ok_or(ApiError::NotFound)?;
    }
    if let Some(is_active) = body.is_active {
        key =
            project_key::set_active(&mut *transaction, &key.public_key, is_active).await?.ok_or(ApiError::NotFound)?;
    }
    transaction.commit().await?;
    with_limit(&app, &key).await
}

fn read_name(name: Option<&str>) -> Result<Option<&str>, ApiError> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.chars().count() > MAX_NAME || name.contains('\0')) {
        return Err(ApiError::BadRequest(format!("`name` may have at most {MAX_NAME} characters.")));
    }
    Ok(name)
}

async fn find(app: &App, access: &ProjectAccess, path: &PathParts) -> Result<ProjectKey, ApiError> {
    // Other servers write keys with dashes.
    let wanted = path.get("key")?.replace('-', "").to_ascii_lowercase();
    let all = project_key::list_of_project(&app.db, access.project.id, None, access::MAX_WHOLE).await?;
    all.into_iter().find(|key| key.public_key == wanted).ok_or(ApiError::NotFound)
}

async fn with_limit(app: &App, key: &ProjectKey) -> Result<Json<Value>, ApiError> {
    let limits = rate_limit::list_of_target(&app.db, Target::Key(key.id)).await?;
    Ok(Json(key_json(app, key, &limits)))
}

/// A key; `limits` are those of this and maybe other keys.
fn key_json(app: &App, key: &ProjectKey, limits: &[RateLimit]) -> Value {
    let own = limits.iter().find(|limit| limit.target == Target::Key(key.id) && limit.covers == Covers::Error);
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
        "rateLimit": own.map(|limit| json!({ "window": limit.allowance.window_s, "count": limit.allowance.quantity })),
        "dsn": {
            "public": dsn,
            // There are no secret keys; old programs that want one get the same address.
            "secret": dsn,
        },
    })
}
