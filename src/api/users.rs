//! The caller's own account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::caller::Caller;
use crate::app::App;
use crate::store::user::User;

/// `GET /auth/` and `GET /users/me/`
pub(super) async fn me(caller: Caller) -> Json<Value> {
    Json(user_json(&caller.0.user))
}

/// `GET /users/me/regions/`: this instance is the only one.
pub(super) async fn regions(State(app): State<Arc<App>>, _: Caller) -> Json<Value> {
    Json(json!({ "regions": [{ "name": "default", "url": app.config.public_base() }] }))
}

/// An account as its owner sees it.
pub(super) fn user_json(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "username": user.email,
        "email": user.email,
        "name": user.name,
        "isActive": user.is_active,
        "isSuperuser": user.is_superuser,
        "isAuthenticated": true,
        "dateJoined": time(user.created_at),
        "lastLogin": user.last_login_at.map(time),
        "hasPasswordAuth": user.password_hash.is_some(),
        "options": { "language": user.language },
    })
}

/// A time as the API writes it: UTC, six fractional digits, `Z`.
pub(super) fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
