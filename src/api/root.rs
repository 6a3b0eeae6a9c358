//! `GET /api/0/`: what this is, and who is asking. The only resource that answers strangers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::caller::Caller;
use super::users::user_json;
use crate::app::App;
use crate::auth::Via;
use crate::http::ApiError;

/// Version 0 of the protocol; `user` and `auth` are null for a caller without credentials.
pub(super) async fn show(
    State(_): State<Arc<App>>,
    headers: HeaderMap,
    caller: Result<Caller, ApiError>,
) -> Result<Json<Value>, ApiError> {
    let caller = match caller {
        Ok(caller) => Some(caller),
        // A wrong token is an error, an old cookie is not.
        Err(error) if headers.contains_key(AUTHORIZATION) => return Err(error),
        Err(ApiError::Unauthorized(_)) => None,
        Err(error) => return Err(error),
    };
    let auth = caller.as_ref().and_then(|caller| match &caller.0.via {
        Via::Token { scopes } => Some(json!({ "scopes": scopes })),
        Via::Session => None,
    });
    Ok(Json(json!({
        "version": "0",
        "user": caller.as_ref().map(|caller| user_json(&caller.0.user)),
        "auth": auth,
    })))
}
