//! [7a] The REST API under `/api/0/`, a file per resource; this is the table of routes.
//!
//! Paths are Sentry's. Each answers with and without its last slash, since a redirected POST would
//! lose its body. Errors are `{"detail": "…"}`.

mod access;
mod alerts;
mod caller;
mod environments;
mod event_entries;
mod event_json;
mod events;
mod failure;
mod filters;
mod hashes;
mod issue_filter;
mod issue_json;
mod issue_update;
mod issues;
mod keys;
mod limits;
mod list;
mod organizations;
mod params;
mod project_options;
mod projects;
mod root;
mod stats;
mod tags;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};

use crate::app::App;
use crate::http::ApiError;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// Every resource and its address.
pub fn router() -> Router<Arc<App>> {
    let issue = || get(issues::show).put(issue_update::one);
    let hashes = || get(hashes::list).put(hashes::split).delete(hashes::split);
    let table: Vec<(&str, MethodRouter<Arc<App>>)> = vec![
        ("", get(root::show)),
        ("/auth", get(users::me)),
        ("/users/me", get(users::me)),
        ("/users/me/regions", get(users::regions)),
        ("/organizations", get(organizations::list)),
        ("/organizations/{organization}", get(organizations::show)),
        ("/organizations/{organization}/limits", get(limits::show_of_organization).put(limits::update_of_organization)),
        ("/organizations/{organization}/projects", get(projects::list_of_organization)),
        ("/organizations/{organization}/environments", get(environments::list_of_organization)),
        (
            "/organizations/{organization}/issues",
            get(issues::list_of_organization).put(issue_update::many_of_organization),
        ),
        ("/organizations/{organization}/issues/{issue}", issue()),
        ("/organizations/{organization}/issues/{issue}/events", get(events::list_of_issue)),
        ("/organizations/{organization}/issues/{issue}/events/{event}", get(events::show_of_issue)),
        ("/organizations/{organization}/issues/{issue}/events/{event}/json", get(events::raw_of_issue)),
        ("/organizations/{organization}/issues/{issue}/hashes", hashes()),
        ("/organizations/{organization}/issues/{issue}/tags", get(tags::list)),
        ("/organizations/{organization}/issues/{issue}/tags/{key}", get(tags::show)),
        ("/organizations/{organization}/shortids/{issue}", get(issues::show_short_id)),
        ("/organizations/{organization}/stats_v2", get(stats::show)),
        ("/projects", get(projects::list)),
        ("/projects/{organization}/{project}", get(projects::show).put(project_options::update)),
        ("/projects/{organization}/{project}/filters", get(filters::list)),
        ("/projects/{organization}/{project}/filters/{filter}", get(filters::show).put(filters::update)),
        ("/projects/{organization}/{project}/keys", get(keys::list).post(keys::create)),
        ("/projects/{organization}/{project}/keys/{key}", get(keys::show).put(keys::update)),
        ("/projects/{organization}/{project}/limits", get(limits::show_of_project).put(limits::update_of_project)),
        ("/projects/{organization}/{project}/alerts", get(alerts::list).post(alerts::create)),
        (
            "/projects/{organization}/{project}/alerts/{alert}",
            get(alerts::show).put(alerts::update).delete(alerts::delete),
        ),
        ("/projects/{organization}/{project}/environments", get(environments::list_of_project)),
        ("/projects/{organization}/{project}/issues", get(issues::list_of_project).put(issue_update::many_of_project)),
        ("/projects/{organization}/{project}/events", get(events::list_of_project)),
        ("/projects/{organization}/{project}/events/{event}", get(events::show_of_project)),
        ("/projects/{organization}/{project}/events/{event}/json", get(events::raw_of_project)),
        ("/issues/{issue}", issue()),
        ("/issues/{issue}/events", get(events::list_of_issue)),
        ("/issues/{issue}/events/{event}", get(events::show_of_issue)),
        ("/issues/{issue}/events/{event}/json", get(events::raw_of_issue)),
        ("/issues/{issue}/hashes", hashes()),
        ("/issues/{issue}/tags", get(tags::list)),
        ("/issues/{issue}/tags/{key}", get(tags::show)),
    ];
    let mut router = Router::new();
    for (path, methods) in table {
        let methods = methods.fallback(async || ApiError::MethodNotAllowed);
        let path = format!("/api/0{path}");
        router = router.route(&format!("{path}/"), methods.clone()).route(&path, methods);
    }
    router
        .route("/api/0/{*unknown}", any(async || ApiError::NotFound))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(with_headers))
}

/// What an event says is data, whatever it looks like; what one caller may see is for nobody else's cache.
async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    response
}
