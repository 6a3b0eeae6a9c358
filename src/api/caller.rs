//! Who sent a request: a bearer token, or the session of somebody who is signed in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::app::App;
use crate::auth::session::SessionToken;
use crate::auth::{Actor, api_token, csrf, permission, session};
use crate::http::{ApiError, ClientInfo};

/// The header in which a page of ours sends its session's token with an unsafe method.
const CSRF_HEADER: &str = "x-csrftoken";

/// An authenticated caller; a request without one is answered 401.
pub(super) struct Caller(pub(super) Actor);

impl Caller {
    /// 403 unless the caller's token has this scope, or a greater one. Sessions have all.
    pub(super) fn require(&self, scope: &str) -> Result<(), ApiError> {
        permission::require_scope(&self.0, scope)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if parts.headers.contains_key(AUTHORIZATION) {
            return api_token::authenticate(&app.db, &parts.headers).await.map(Self);
        }
        let Some(token) = SessionToken::from_headers(&parts.headers) else {
            return Err(ApiError::not_authenticated());
        };
        let Some(actor) = session::find(app, &token).await? else {
            return Err(ApiError::not_authenticated());
        };
        if !parts.method.is_safe() {
            require_own_page(parts, app, &token)?;
        }
        Ok(Self(actor))
    }
}

/// A cookie goes along with every request of a browser, whichever page makes it; the token does not.
fn require_own_page(parts: &Parts, app: &App, session: &SessionToken) -> Result<(), ApiError> {
    let given = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = parts.extensions.get::<ClientInfo>().map(ClientInfo::origin).unwrap_or_default();
    let trusted = &app.config.csrf_trusted_origins;
    if csrf::matches(session, given) && csrf::origin_allowed(&parts.headers, &own, &app.config.public_url, trusted) {
        return Ok(());
    }
    Err(ApiError::Forbidden("CSRF Failed: CSRF token missing or incorrect.".to_owned()))
}
