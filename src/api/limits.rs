//! How much may be sent to a project, or to all projects of an organization. A key's own limit is in its `rateLimit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access;
use super::caller::Caller;
use super::params::{JsonBody, PathParts};
use super::users::time;
use crate::app::App;
use crate::auth::permission;
use crate::http::ApiError;
use crate::queue::Window;
use crate::store::member::Role;
use crate::store::rate_limit::{self, Allowance, Covers, MAX_WINDOW_S, RateLimit, Target};

/// All limits of one target: what is not among them is switched off.
#[derive(Deserialize)]
pub(super) struct Given {
    limits: Vec<GivenLimit>,
}

/// So many items of this category in so many seconds.
#[derive(Deserialize)]
struct GivenLimit {
    category: String,
    count: i64,
    window: i64,
}

/// `GET /projects/{organization}/{project}/limits/`
pub(super) async fn show_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    answer(&app, Target::Project(access.project.id)).await
}

/// `PUT /projects/{organization}/{project}/limits/`
pub(super) async fn update_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Given>,
) -> Result<Json<Value>, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    replace(&app, Target::Project(access.project.id), &body).await
}

/// `GET /organizations/{organization}/limits/`
pub(super) async fn show_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("org:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    answer(&app, Target::Organization(organization.id)).await
}

/// `PUT /organizations/{organization}/limits/`
pub(super) async fn update_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Given>,
) -> Result<Json<Value>, ApiError> {
    let organization = access::organization(&app, &caller, &path).await?;
    caller.require("org:write")?;
    let role = permission::organization_role(&app.db, &caller.0, organization.id).await?;
    if role.is_none_or(|role| role < Role::Admin) {
        return Err(ApiError::no_permission());
    }
    replace(&app, Target::Organization(organization.id), &body).await
}

/// A limit in `field` that cannot be.
pub(super) fn senseless(field: &str) -> ApiError {
    ApiError::BadRequest(format!("`{field}`: the count must be at least 1, the window 1 to {MAX_WINDOW_S} seconds."))
}

async fn replace(app: &App, target: Target, given: &Given) -> Result<Json<Value>, ApiError> {
    let mut wanted: Vec<(Covers, Allowance)> = Vec::new();
    for limit in &given.limits {
        let covers = Covers::parse(&limit.category)
            .ok_or_else(|| ApiError::BadRequest("`category` must be `error` or `all`.".to_owned()))?;
        if wanted.iter().any(|(known, _)| *known == covers) {
            return Err(ApiError::BadRequest(format!("`limits`: `{}` is there twice.", covers.as_str())));
        }
        wanted.push((covers, Allowance::new(limit.count, limit.window).ok_or_else(|| senseless("limits"))?));
    }
    let mut transaction = app.db.begin().await?;
    for covers in Covers::BOTH {
        match wanted.iter().find(|(one, _)| *one == covers) {
            Some((_, allowance)) => {
                rate_limit::set(&mut *transaction, target, covers, *allowance).await?;
            }
            None => {
                rate_limit::clear(&mut *transaction, target, Some(covers)).await?;
            }
        }
    }
    transaction.commit().await?;
    answer(app, target).await
}

async fn answer(app: &App, target: Target) -> Result<Json<Value>, ApiError> {
    let mut limits = rate_limit::list_of_target(&app.db, target).await?;
    limits.sort_by_key(|limit| limit.covers);
    let now = Utc::now();
    let windows: Vec<Window> = limits.iter().map(|limit| window(limit, now)).collect();
    let used = if windows.is_empty() { None } else { app.queue.counters().totals(&windows).await };
    let list: Vec<Value> = limits
        .iter()
        .zip(&windows)
        .enumerate()
        .map(|(index, (limit, window))| {
            json!({
                "category": limit.covers.as_str(),
                "count": limit.allowance.quantity,
                "window": limit.allowance.window_s,
                // Null while Redis is away.
                "used": used.as_ref().and_then(|used| used.get(index)),
                "windowEnd": DateTime::from_timestamp(window.ends_at(), 0).map(time),
            })
        })
        .collect();
    Ok(Json(json!({ "limits": list })))
}

/// The window of a limit that is now.
fn window(limit: &RateLimit, now: DateTime<Utc>) -> Window {
    Window::at(limit.id.0, limit.allowance.seconds(), now.timestamp())
}
