//! The environments that events have come from.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::access;
use super::caller::Caller;
use super::list::Wanted;
use super::params::PathParts;
use crate::app::App;
use crate::http::ApiError;
use crate::ids::ProjectId;
use crate::store::{issue_tags, project};

/// Most environments that are listed.
const MAX: i64 = 1000;

/// `GET /projects/{organization}/{project}/environments/`
pub(super) async fn list_of_project(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    answer(&app, &wanted, &[access.project.id]).await
}

/// `GET /organizations/{organization}/environments/`
pub(super) async fn list_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("org:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    let projects = project::list_of_organization(&app.db, organization.id, None, access::MAX_WHOLE).await?;
    let projects: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
    answer(&app, &wanted, &projects).await
}

async fn answer(app: &App, wanted: &Wanted, projects: &[ProjectId]) -> Result<Response, ApiError> {
    let names = issue_tags::values(&app.db, projects, "environment", MAX).await?;
    Ok(wanted.answer_whole(names, |name| json!({ "id": name, "name": name, "isHidden": false })))
}
