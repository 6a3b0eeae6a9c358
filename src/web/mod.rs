//! [7b] The pages, a file per page: rendered here, complete without a script, under a strict policy.

mod alerts;
mod assets;
mod component;
mod event_json;
mod failure;
mod filters;
mod form;
mod issue_list;
mod issue_page;
mod issue_update;
mod layout;
mod ledger;
mod limits;
mod privacy;
mod project_head;
mod project_list;
mod project_page;
mod response_headers;
mod scope;
mod settings;
mod sign_in;
pub mod text;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::app::App;

/// Largest form accepted, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// Every page and its address.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(async || Redirect::to("/issues/")))
        .route("/login/", get(sign_in::show).post(sign_in::submit))
        .route("/logout/", post(sign_in::leave))
        .route("/issues/", get(issue_list::show).post(issue_update::many))
        .route("/issues/{issue}/", get(issue_page::show).post(issue_update::one))
        .route("/issues/{issue}/split/", post(issue_update::split))
        .route("/issues/{issue}/events/{event}/json/", get(event_json::show))
        .route("/projects/", get(project_list::show))
        .route("/projects/{organization}/{project}/", get(project_page::show))
        .route("/projects/{organization}/{project}/alerts/", get(alerts::show))
        .route("/projects/{organization}/{project}/alerts/new/", get(alerts::edit::new).post(alerts::edit::create))
        .route("/projects/{organization}/{project}/alerts/{alert}/", get(alerts::edit::show).post(alerts::edit::save))
        .route("/projects/{organization}/{project}/alerts/{alert}/switch/", post(alerts::change::switch))
        .route("/projects/{organization}/{project}/alerts/{alert}/delete/", post(alerts::change::delete))
        .route("/projects/{organization}/{project}/alerts/{alert}/test/", post(alerts::change::test))
        .route("/projects/{organization}/{project}/limits/", get(limits::show).post(limits::save))
        .route("/projects/{organization}/{project}/limits/clear/", post(limits::clear))
        .route("/projects/{organization}/{project}/filters/", get(filters::show).post(filters::save))
        .route("/projects/{organization}/{project}/privacy/", get(privacy::show).post(privacy::save))
        .route("/usage/", get(ledger::show))
        .route("/settings/", get(settings::show).post(settings::set_language))
        .route("/settings/password/", post(settings::set_password))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(axum::Extension(Arc::new(crate::auth::login::LoginThrottle::default())))
        .route("/favicon.ico", get(assets::icon))
        .route("/static/{name}", get(assets::show))
        .fallback(failure::unknown_page)
        .layer(from_fn(failure::as_page))
        .layer(from_fn(response_headers::add))
}
