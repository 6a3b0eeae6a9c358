//! What probes ask: alive, able to take events, every component there.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use sqlx::Connection;

use crate::app::App;

/// How long a component has to answer.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// `/_health/`, `/livez` and `/readyz`, each with and without its last slash.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/_health", get(alive))
        .route("/_health/", get(alive))
        .route("/livez", get(alive))
        .route("/livez/", get(alive))
        .route("/readyz", get(ready))
        .route("/readyz/", get(ready))
}

/// Web takes events as long as it runs, with PostgreSQL or Redis away too.
async fn alive() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok").into_response()
}

/// One entry for each component; 503 when one is away.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let (database, redis) = tokio::join!(database_answers(&app), app.queue.answers(PROBE_LIMIT));
    let word = |is_up: bool| if is_up { "up" } else { "down" };
    let status = if database && redis { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Json(serde_json::json!({ "database": word(database), "redis": word(redis) }));
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn database_answers(app: &App) -> bool {
    let probe = async { app.db.acquire().await?.ping().await };
    matches!(tokio::time::timeout(PROBE_LIMIT, probe).await, Ok(Ok(())))
}
