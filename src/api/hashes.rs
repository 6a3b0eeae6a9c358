//! What an issue is made of: the grouping hashes that lead to it, and splitting some of them off again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access;
use super::caller::Caller;
use super::event_json::event_row_json;
use super::params::{Params, PathParts};
use crate::app::App;
use crate::http::ApiError;
use crate::store::event_lookup;
use crate::store::issue_merge::{self, SplitError};

/// `GET /issues/{issue}/hashes/`, also below an organization: each with the event of it that was received last.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    let mut rows = Vec::new();
    for part in issue_merge::parts(&app.db, issue.project_id, issue.id).await? {
        let latest = match part.latest_event {
            Some(event) => event_lookup::by_id(&app.db, issue.project_id, event).await?,
            None => None,
        };
        rows.push(json!({ "id": hex::encode(part.hash), "latestEvent": latest.as_ref().map(event_row_json) }));
    }
    Ok(Json(rows.into()))
}

/// `DELETE /issues/{issue}/hashes/?id=…&id=…` (also PUT): these become an issue of their own, whose number is told.
pub(super) async fn split(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    params: Params,
) -> Result<Response, ApiError> {
    caller.require("event:write")?;
    let issue = access::issue(&app, &caller, &path).await?;
    let ids: Vec<&str> = params.all("id").collect();
    if ids.is_empty() {
        return Err(ApiError::BadRequest("Say which hashes to split off, by `id`.".to_owned()));
    }
    let hashes: Option<Vec<Vec<u8>>> = ids.iter().map(|id| hex::decode(id).ok()).collect();
    let hashes = hashes.ok_or_else(|| ApiError::BadRequest("`id` is not a grouping hash.".to_owned()))?;
    let new = match issue_merge::split(&app.db, issue.project_id, issue.id, &hashes).await {
        Ok(new) => new,
        Err(SplitError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(ApiError::BadRequest(format!("Nothing was split off: {error}."))),
    };
    issue_merge::carry(&app.db).await?;
    let answer = json!({ "unmerge": { "issue": issue.id.to_string(), "newIssue": new.to_string() } });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
