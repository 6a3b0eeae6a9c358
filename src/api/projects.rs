//! Projects.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::access::{self, ProjectAccess};
use super::caller::Caller;
use super::list::Wanted;
use super::organizations::organization_json;
use super::params::PathParts;
use super::project_options;
use super::users::time;
use crate::app::App;
use crate::http::ApiError;
use crate::store::project::{self, Project};
use crate::store::project_rules::{self, ProjectRules};

/// `GET /projects/`: those of every organization the caller may see.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller, wanted: Wanted) -> Result<Response, ApiError> {
    caller.require("project:read")?;
    let organizations: HashMap<_, _> = access::organizations(&app, &caller)
        .await?
        .iter()
        .map(|organization| (organization.id, organization_json(&app, organization)))
        .collect();
    let all = access::projects(&app, &caller).await?;
    Ok(wanted.answer_whole(all, |project| project_json(project, organizations.get(&project.organization_id))))
}

/// `GET /organizations/{organization}/projects/`
pub(super) async fn list_of_organization(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    caller.require("project:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    let all = project::list_of_organization(&app.db, organization.id, None, access::MAX_WHOLE).await?;
    let organization = organization_json(&app, &organization);
    Ok(wanted.answer_whole(all, |project| project_json(project, Some(&organization))))
}

/// `GET /projects/{organization}/{project}/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("project:read")?;
    let access = access::project(&app, &caller, &path).await?;
    let rules = project_rules::find(&app.db, access.project.id).await?;
    Ok(Json(detail(&app, &access, &rules)))
}

/// A project with everything that is set for it.
pub(super) fn detail(app: &App, access: &ProjectAccess, rules: &ProjectRules) -> Value {
    let mut json = project_json(&access.project, Some(&organization_json(app, &access.organization)));
    if let Some(fields) = json.as_object_mut() {
        fields.extend(project_options::fields(rules));
    }
    json
}

/// A project; `organization` where it is not plain from the context.
pub(super) fn project_json(project: &Project, organization: Option<&Value>) -> Value {
    let mut json = json!({
        "id": project.id.to_string(),
        "slug": project.slug,
        "name": project.name,
        "platform": Some(project.platform.as_str()).filter(|platform| !platform.is_empty()),
        "dateCreated": time(project.created_at),
        "firstEvent": project.first_event_at.map(time),
        "features": [],
        "isBookmarked": false,
        "isMember": true,
        "hasAccess": true,
        "status": "active",
        "color": "#3f7fbf",
        "avatar": { "avatarType": "letter_avatar", "avatarUuid": null },
        "team": null,
        "teams": [],
    });
    if let (Some(fields), Some(organization)) = (json.as_object_mut(), organization) {
        fields.insert("organization".to_owned(), organization.clone());
    }
    json
}
