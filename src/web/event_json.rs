//! `/issues/{issue}/events/{event}/json/`: the event as it is stored, indented.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::failure::Failure;
use super::scope;
use super::viewer::Viewer;
use crate::app::App;
use crate::ids::{EventId, IssueId};
use crate::store::{event_lookup, issue_search};

/// Shows the JSON; as a file of its own it is nothing a browser would run.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((issue, event)): Path<(IssueId, String)>,
) -> Result<Response, Failure> {
    let event = EventId::parse(&event).ok_or(Failure::NotFound)?;
    let issue = issue_search::find(&app.db, issue).await?.ok_or(Failure::NotFound)?;
    scope::require(&app, &viewer.user, issue.organization_id).await?;
    let event = event_lookup::by_id(&app.db, issue.project_id, event)
        .await?
        .filter(|event| event.issue_id == issue.id)
        .ok_or(Failure::NotFound)?;
    let value: Value = serde_json::from_slice(&event.json).map_err(anyhow::Error::from)?;
    let text = serde_json::to_string_pretty(&value).map_err(anyhow::Error::from)?;
    let disposition = format!("inline; filename=\"{}.json\"", event.event_id);
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, text).into_response())
}
