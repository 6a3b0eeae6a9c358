//! Resolving, ignoring and reopening issues, one or many; and making one of many.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::params::{JsonBody, Params, PathParts};
use super::{access, issue_filter, issues};
use crate::app::App;
use crate::http::ApiError;
use crate::ids::{IssueId, ProjectId};
use crate::store::issue_merge::{self, MergeError};
use crate::store::issue_search;
use crate::store::issue_status::{self, IssueStatus};

/// Most issues that one request changes.
const MAX: i64 = 10_000;

/// What may be changed of issues.
#[derive(Deserialize)]
pub(super) struct Change {
    status: Option<String>,
    /// `true`, 1, or anything else that is not nothing: the issues become one.
    merge: Option<Value>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// Conditions under which a status would end by itself.
const CONDITIONS: [&str; 7] = [
    "statusDetails",
    "snoozeDuration",
    "ignoreDuration",
    "ignoreCount",
    "ignoreWindow",
    "ignoreUserCount",
    "ignoreUserWindow",
];

impl Change {
    fn merges(&self) -> bool {
        match &self.merge {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !matches!(text.as_str(), "" | "0" | "false"),
            Some(_) => true,
        }
    }

    /// The new status. What else is asked for is refused rather than forgotten, if it would change
    /// what the status means.
    fn status(&self) -> Result<IssueStatus, ApiError> {
        for name in CONDITIONS {
            let is_set = match self.other.get(name) {
                None | Some(Value::Null) => false,
                Some(Value::Object(details)) => !details.is_empty(),
                Some(_) => true,
            };
            if is_set {
                return Err(ApiError::BadRequest(format!(
                    "`{name}` is not supported: a status lasts until it is changed."
                )));
            }
        }
        let name = self.status.as_deref().ok_or_else(|| ApiError::BadRequest("`status` is missing.".to_owned()))?;
        IssueStatus::from_name(name).ok_or_else(|| {
            let known = "resolved, unresolved, ignored, archived, muted";
            ApiError::BadRequest(format!("Invalid value {name:?} for `status`: expected one of {known}."))
        })
    }
}

/// `PUT /issues/{issue}/`, also below an organization; answers with the changed issue.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:write")?;
    let issue = access::issue(&app, &caller, &path).await?;
    issue_status::update(&app.db, &[issue.id], change.status()?).await?;
    let changed = issue_search::find(&app.db, issue.id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(issues::detailed(&app, &changed).await?))
}

/// `PUT /organizations/{organization}/issues/?id=1&id=2`, or `?query=…`: all that match.
pub(super) async fn many_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    params: Params,
    JsonBody(change): JsonBody<Change>,
) -> Result<Response, ApiError> {
    caller.require("event:write")?;
    let organization = access::organization(&app, &caller, &path).await?;
    if ["id", "group", "query", "status"].iter().all(|name| params.raw(name).is_none()) {
        return Err(ApiError::BadRequest("Say which issues to change, by `id` or by `query`.".to_owned()));
    }
    let projects = issue_filter::projects(&app, organization.id, &params).await?;
    many(&app, &params, projects, &change).await
}

/// `PUT /projects/{organization}/{project}/issues/`: as for an organization; without any parameter,
/// all issues of the project (`sentry-cli issues resolve --all`).
pub(super) async fn many_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    params: Params,
    JsonBody(change): JsonBody<Change>,
) -> Result<Response, ApiError> {
    caller.require("event:write")?;
    let access = access::project(&app, &caller, &path).await?;
    many(&app, &params, vec![access.project.id], &change).await
}

/// Answers with the changed fields, or 204 when no issue matched.
async fn many(app: &App, params: &Params, projects: Vec<ProjectId>, change: &Change) -> Result<Response, ApiError> {
    let status = if change.merges() { None } else { Some(change.status()?) };
    let filter = issue_filter::read(params, projects, "")?;
    let ids = issue_search::ids(&app.db, &filter, MAX).await?;
    let Some(status) = status else { return merge(app, &ids).await };
    if ids.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    issue_status::update(&app.db, &ids, status).await?;
    Ok(Json(json!({ "status": status, "statusDetails": {} })).into_response())
}

/// Makes one issue of them; what else is asked for is not done to what is left.
async fn merge(app: &App, ids: &[IssueId]) -> Result<Response, ApiError> {
    let merged = match issue_merge::merge(&app.db, ids).await {
        Ok(merged) => merged,
        Err(MergeError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(ApiError::BadRequest(format!("Nothing was merged: {error}."))),
    };
    issue_merge::carry(&app.db).await?;
    let children: Vec<String> = merged.children.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "merge": { "parent": merged.parent.to_string(), "children": children } })).into_response())
}
