//! Organizations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Caller;
use super::list::Wanted;
use super::params::PathParts;
use super::users::time;
use super::{access, projects};
use crate::app::App;
use crate::http::ApiError;
use crate::store::organization::Organization;
use crate::store::project;

/// `GET /organizations/`
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller, wanted: Wanted) -> Result<Response, ApiError> {
    caller.require("org:read")?;
    let all = access::organizations(&app, &caller).await?;
    Ok(wanted.answer_whole(all, |organization| organization_json(&app, organization)))
}

/// `GET /organizations/{organization}/`: with its projects.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: PathParts,
) -> Result<Json<Value>, ApiError> {
    caller.require("org:read")?;
    let organization = access::organization(&app, &caller, &path).await?;
    let projects = project::list_of_organization(&app.db, organization.id, None, access::MAX_WHOLE).await?;
    let mut json = organization_json(&app, &organization);
    if let Some(fields) = json.as_object_mut() {
        let projects = projects.iter().map(|project| projects::project_json(project, None));
        fields.insert("projects".to_owned(), projects.collect());
        fields.insert("teams".to_owned(), json!([]));
    }
    Ok(Json(json))
}

/// An organization.
pub(super) fn organization_json(app: &App, organization: &Organization) -> Value {
    let base = app.config.public_base();
    json!({
        "id": organization.id.to_string(),
        "slug": organization.slug,
        "name": organization.name,
        "dateCreated": time(organization.created_at),
        "status": { "id": "active", "name": "active" },
        "isEarlyAdopter": false,
        "require2FA": false,
        "requireEmailVerification": false,
        "avatar": { "avatarType": "letter_avatar", "avatarUuid": null },
        "features": [],
        "links": { "organizationUrl": base, "regionUrl": base },
    })
}
