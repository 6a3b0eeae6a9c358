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
pub mod counters;
mod credentials;
mod decompress;
mod edge;
mod envelope;
mod head;
mod key_cache;
mod limit;
mod reply;
pub mod spool;
mod store;

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

/// The endpoints that SDKs send to, each with and without its last slash.
pub fn router(edge: Arc<Edge>) -> Router<Arc<App>> {
    Router::new()
        .route("/api/{project}/envelope", any(envelope))
        .route("/api/{project}/envelope/", any(envelope))
        .route("/api/{project}/store", any(store))
        .route("/api/{project}/store/", any(store))
        .route("/api/store", any(legacy_store))
        .route("/api/store/", any(legacy_store))
        .route("/api/{project}/{*rest}", any(async || Refusal::not_found().into_response()))
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
    answer(request, async |request| store::receive(&state, &edge, Some(parse_project(&project)?), request).await).await
}

/// The oldest form: the project follows from the key.
async fn legacy_store(state: State<Arc<App>>, Extension(edge): Extension<Arc<Edge>>, request: Request) -> Response {
    answer(request, async |request| store::receive(&state, &edge, None, request).await).await
}

/// What all endpoints have in common: methods, and headers for browsers on every answer.
async fn answer(request: Request, receive: impl AsyncFnOnce(Request) -> Result<Accepted, Refusal>) -> Response {
    if request.method() == Method::OPTIONS {
        return reply::preflight();
    }
    if request.method() != Method::POST {
        return Refusal::method_not_allowed().into_response();
    }
    match receive(request).await {
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

fn parse_project(part: &ProjectPart) -> Result<ProjectId, Refusal> {
    let digits = part.as_ref().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let project = digits.and_then(|text| text.parse().ok());
    project.ok_or_else(|| Refusal::bad_request("invalid project id", "the project in the path is not a number"))
}
