//! Decides whether a key opens a project.

use axum::http::request::Parts;

use super::credentials::Credentials;
use super::edge::Edge;
use super::key_cache::{Known, LookUp};
use super::reply::Refusal;
use crate::app::App;
use crate::ids::ProjectId;
use crate::protocol::PublicKey;

/// What is known of `key`, which opens a project. It must be `project`, if the request names one. Without room for what
/// the request brings, nobody is let in.
pub(super) async fn authorize(
    app: &App,
    edge: &Edge,
    key: &PublicKey,
    project: Option<ProjectId>,
) -> Result<Known, Refusal> {
    if let Some(retry_after) = edge.spool.refuses_for() {
        return Err(Refusal::over_capacity(retry_after));
    }
    match edge.keys.find(&app.db, key).await {
        LookUp::Known(row) if row.is_active && project.is_none_or(|project| project == row.project_id) => Ok(row),
        LookUp::Known(_) | LookUp::Unknown => Err(Refusal::forbidden()),
        LookUp::Unavailable => Err(Refusal::unavailable("the key cannot be checked at the moment")),
    }
}

/// As [`authorize`], with the key that a request's head names: one that names none is refused before its body is read.
pub(super) async fn authorize_head(
    app: &App,
    edge: &Edge,
    head: &Parts,
    project: Option<ProjectId>,
) -> Result<Known, Refusal> {
    let key = Credentials::key(&head.headers, &head.uri, None)?;
    authorize(app, edge, &key, project).await
}

/// As [`authorize_head`], where the path may name the key, too.
pub(super) async fn authorize_by_path(
    app: &App,
    edge: &Edge,
    head: &Parts,
    key: Option<&str>,
    project: ProjectId,
) -> Result<Known, Refusal> {
    let key = Credentials::key(&head.headers, &head.uri, key)?;
    authorize(app, edge, &key, Some(project)).await
}
