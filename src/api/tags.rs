//! The tags of an issue's events.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::access;
use super::caller::Caller;
use super::params::PathParts;
use super::users::time;
use crate::app::App;
use crate::http::ApiError;
use crate::store::issue_tags::{self, TagKey};

/// How many values a list shows of each key.
const TOP: u16 = 10;

/// How many values one key shows.
const MAX: u16 = 100;

/// `GET /issues/{issue}/tags/`: every key with its most frequent values.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    let tags = issue_tags::top(&app.db, issue.project_id, issue.id, TOP).await?;
    Ok(Json(tags.iter().map(tag_json).collect()))
}

/// `GET /issues/{issue}/tags/{key}/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("event:read")?;
    let issue = access::issue(&app, &caller, &path).await?;
    let tags = issue_tags::top(&app.db, issue.project_id, issue.id, MAX).await?;
    let key = path.get("key")?;
    let tag = tags.iter().find(|tag| tag.key == key).ok_or(ApiError::NotFound)?;
    Ok(Json(tag_json(tag)))
}

fn tag_json(tag: &TagKey) -> Value {
    let values = tag.values.iter().map(|value| {
        json!({
            "key": tag.key,
            "name": value.value,
            "value": value.value,
            "count": value.times_seen,
            "firstSeen": time(value.first_seen),
            "lastSeen": time(value.last_seen),
        })
    });
    json!({
        "key": tag.key,
        "name": tag.key,
        "uniqueValues": tag.unique_values,
        "totalValues": tag.total,
        "topValues": values.collect::<Value>(),
    })
}
