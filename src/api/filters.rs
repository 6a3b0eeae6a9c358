//! What of what is sent to a project is not kept. Paths, names and bodies are Sentry's; filters that Sentry has among a
//! project's options are here, too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access;
use super::caller::Caller;
use super::params::{JsonBody, PathParts};
use crate::app::App;
use crate::http::ApiError;
use crate::protocol::filter_settings::Fault;
use crate::protocol::{Filter, FilterSettings};
use crate::store::project_rules;

/// On, off, or a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    active: Option<bool>,
    /// Sentry's name for the browsers of `legacy-browsers`; ours for every list.
    #[serde(alias = "entries")]
    subfilters: Option<Vec<String>>,
}

/// `GET /projects/{organization}/{project}/filters/`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    let filters = project_rules::find(&app.db, access.project.id).await?.filters;
    Ok(Json(Filter::ALL.iter().map(|filter| filter_json(&filters, *filter)).collect()))
}

/// `GET /projects/{organization}/{project}/filters/{filter}/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    let filters = project_rules::find(&app.db, access.project.id).await?.filters;
    Ok(Json(filter_json(&filters, named(&path)?)))
}

/// `PUT /projects/{organization}/{project}/filters/{filter}/`: answers 204, which is what Sentry's clients wait for.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(body): JsonBody<Given>,
) -> Result<StatusCode, ApiError> {
    let access = access::managed_project(&app, &caller, &path, "project:write").await?;
    let filter = named(&path)?;
    project_rules::change(&app.db, access.project.id, |rules| match (body.active, &body.subfilters) {
        (Some(is_on), None) => rules.filters.switch(filter, is_on).map_err(ApiError::from),
        (None, Some(entries)) => {
            rules.filters.set_entries(filter, entries.iter().map(String::as_str)).map_err(ApiError::from)
        }
        _ => Err(ApiError::BadRequest("Give either `active` or `subfilters`.".to_owned())),
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(path: &PathParts) -> Result<Filter, ApiError> {
    Filter::parse(path.get("filter")?).ok_or(ApiError::NotFound)
}

/// `active` is whether it is on, or what is on its list; as with Sentry, an empty list is `false`.
fn filter_json(filters: &FilterSettings, filter: Filter) -> Value {
    let entries = filters.entries(filter);
    let active = if entries.is_empty() { filters.is_on(filter).into() } else { json!(entries) };
    json!({ "id": filter.id(), "active": active })
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::BadRequest(format!("{fault}."))
    }
}
