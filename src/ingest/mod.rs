//! [2] The public edge: key, caps, decode, spool, 200.
//!
//! ```text
//! request -> body (capped) -> credentials -> key cache -> decompress (capped) -> framing -> stamp -> spool -> 200
//!                                                                                              |
//!                                                                                              +-> queue
//! ```
//!
//! Only the framing of what is sent is read here; what an event means is the worker's business. A
//! well-formed request with a good key is answered 200, and only after `accept` has its event.

mod accept;
mod authorize;
mod body;
mod canary;
mod client_report;
mod container;
pub mod counters;
mod crash;
mod credentials;
mod cron;
mod decompress;
mod edge;
mod envelope;
mod files;
mod head;
mod kept;
mod key_cache;
mod limit;
mod mismatch;
mod reply;
mod security;
pub mod spool;
mod store;
mod tunnel;
mod user_report;

#[cfg(test)]
mod fuzz;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};

use crate::app::App;
use crate::ids::ProjectId;
pub use client_report::is_known_reason;
pub use edge::{Edge, SpoolNumbers};
use reply::{Accepted, Refusal};

/// The endpoints that SDKs and browsers send to, each with and without its last slash.
pub fn router(edge: Arc<Edge>) -> Router<Arc<App>> {
    let mut router = Router::new();
    for (path, endpoint) in [
        ("/api/{project}/envelope", any(envelope)),
        ("/api/{project}/store", any(store)),
        ("/api/store", any(legacy_store)),
        ("/api/{project}/security", any(security)),
        ("/api/{project}/csp-report", any(security)),
        ("/api/{project}/nel", any(network_errors)),
        ("/api/{project}/minidump", any(minidump)),
        ("/api/{project}/unreal/{key}", any(unreal)),
        ("/api/{project}/events/{event_id}/attachments", any(files)),
        ("/api/{project}/cron/{slug}", any(check_in)),
        ("/api/{project}/cron/{slug}/{key}", any(check_in_by_key)),
        ("/api/0/projects/{organization}/{project}/user-feedback", any(user_feedback)),
        ("/api/embed/error-page", any(report_dialog)),
        ("/api/tunnel", any(tunnel)),
        ("/tunnel", any(tunnel)),
    ] {
        router = router.route(path, endpoint.clone()).route(&format!("{path}/"), endpoint);
    }
    router
        .route("/api/{project}/{*rest}", any(async || Refusal::not_found("no such endpoint").into_response()))
        .layer(Extension(edge))
}

async fn envelope(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    project: ProjectPart,
    request: Request,
) -> Response {
    answer(request, async |request| envelope::receive(&state, &edge, parse_project(&project)?, request).await).await
}

async fn store(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    project: ProjectPart,
    request: Request,
) -> Response {
    let project = parse_project(&project).map(Some);
    answer_store(&state, &edge, project, request).await
}

/// The oldest form: the project follows from the key.
async fn legacy_store(state: State<Arc<App>>, Extension(edge): Extension<Arc<Edge>>, request: Request) -> Response {
    answer_store(&state, &edge, Ok(None), request).await
}

async fn answer_store(
    app: &App,
    edge: &Edge,
    project: Result<Option<ProjectId>, Refusal>,
    request: Request,
) -> Response {
    match *request.method() {
        Method::GET => finish(async { store::receive_query(app, edge, project?, request).await }.await),
        Method::POST | Method::OPTIONS => {
            answer(request, async |request| store::receive(app, edge, project?, request).await).await
        }
        _ => Refusal::neither_get_nor_post().into_response(),
    }
}

async fn security(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    project: ProjectPart,
    request: Request,
) -> Response {
    answer(request, async |request| security::receive(&state, &edge, parse_project(&project)?, request).await).await
}

async fn network_errors(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    project: ProjectPart,
    request: Request,
) -> Response {
    let receive =
        async |request| security::receive_network_errors(&state, &edge, parse_project(&project)?, request).await;
    answer(request, receive).await
}

async fn minidump(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    project: ProjectPart,
    request: Request,
) -> Response {
    answer(request, async |request| crash::receive_minidump(&state, &edge, parse_project(&project)?, request).await)
        .await
}

async fn unreal(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let receive = async |request| {
        let Path((project, key)) = path.map_err(|error| Refusal::bad_request(INVALID_PROJECT, error))?;
        crash::receive_unreal(&state, &edge, parse_digits(&project)?, &key, request).await
    };
    answer(request, receive).await
}

/// A path of several parts; refused only in `answer`, as [`ProjectPart`].
type PathParts<T> = Result<Path<T>, PathRejection>;

fn parts<T>(path: PathParts<T>) -> Result<T, Refusal> {
    path.map(|Path(parts)| parts).map_err(|error| Refusal::bad_request("invalid path", error))
}

async fn files(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    path: PathParts<(String, String)>,
    request: Request,
) -> Response {
    let receive = async |request| {
        let (project, event) = parts(path)?;
        files::receive(&state, &edge, parse_digits(&project)?, &event, request).await
    };
    answer(request, receive).await
}

async fn check_in(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    path: PathParts<(String, String)>,
    request: Request,
) -> Response {
    let path = parts(path).map(|(project, slug)| (project, slug, None));
    answer_check_in(&state, &edge, path, request).await
}

async fn check_in_by_key(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    path: PathParts<(String, String, String)>,
    request: Request,
) -> Response {
    let path = parts(path).map(|(project, slug, key)| (project, slug, Some(key)));
    answer_check_in(&state, &edge, path, request).await
}

async fn answer_check_in(
    app: &App,
    edge: &Edge,
    path: Result<(String, String, Option<String>), Refusal>,
    request: Request,
) -> Response {
    let receive = async |request| {
        let (project, slug, key) = path?;
        let job = cron::Job { project: parse_digits(&project)?, slug, key };
        cron::receive(app, edge, job, request).await
    };
    match *request.method() {
        Method::GET => finish(receive(request).await),
        Method::POST | Method::OPTIONS => answer(request, receive).await,
        _ => Refusal::neither_get_nor_post().into_response(),
    }
}

async fn user_feedback(
    state: State<Arc<App>>,
    Extension(edge): Extension<Arc<Edge>>,
    path: PathParts<(String, String)>,
    request: Request,
) -> Response {
    let receive = async |request| {
        let (organization, project) = parts(path)?;
        user_report::receive(&state, &edge, (&organization, &project), request).await
    };
    answer(request, receive).await
}

async fn report_dialog(state: State<Arc<App>>, Extension(edge): Extension<Arc<Edge>>, request: Request) -> Response {
    match *request.method() {
        Method::GET => finish(user_report::receive_dialog(&state, &edge, request).await),
        Method::POST | Method::OPTIONS => {
            answer(request, async |request| user_report::receive_form(&state, &edge, request).await).await
        }
        _ => Refusal::neither_get_nor_post().into_response(),
    }
}

async fn tunnel(state: State<Arc<App>>, Extension(edge): Extension<Arc<Edge>>, request: Request) -> Response {
    answer(request, async |request| tunnel::receive(&state, &edge, request).await).await
}

/// What all endpoints have in common: methods, and headers for browsers on every answer.
async fn answer(request: Request, receive: impl AsyncFnOnce(Request) -> Result<Accepted, Refusal>) -> Response {
    if request.method() == Method::OPTIONS {
        return reply::preflight();
    }
    if request.method() != Method::POST {
        return Refusal::method_not_allowed().into_response();
    }
    finish(receive(request).await)
}

fn finish(result: Result<Accepted, Refusal>) -> Response {
    match result {
        Ok(accepted) => accepted.into_response(),
        Err(refusal) => {
            counters::TOTALS.refused();
            tracing::debug!(status = refusal.status().as_u16(), reason = %refusal, "request refused");
            refusal.into_response()
        }
    }
}

/// The project of the path; refused only in `answer`, so that a browser can read why.
type ProjectPart = Result<Path<String>, PathRejection>;

const INVALID_PROJECT: &str = "invalid project id";

fn parse_project(part: &ProjectPart) -> Result<ProjectId, Refusal> {
    let text = part.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default();
    parse_digits(text)
}

fn parse_digits(text: &str) -> Result<ProjectId, Refusal> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let project = digits.and_then(|text| text.parse().ok());
    project.ok_or_else(|| Refusal::bad_request(INVALID_PROJECT, "the project in the path is not a number"))
}
