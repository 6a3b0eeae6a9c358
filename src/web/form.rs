//! Forms sent by a signed-in person, from a page of ours.

use std::sync::Arc;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;

use super::failure::Failure;
use super::viewer::Viewer;
use crate::app::App;
use crate::auth::csrf;
use crate::http::ClientInfo;

/// A form whose origin and token have been checked.
#[derive(Debug)]
pub(super) struct Submission {
    /// Who sent it.
    pub(super) viewer: Viewer,
    /// What it says.
    pub(super) fields: Fields,
}

/// A form's fields, in its order; a name may occur more than once.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a field; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<App>> for Submission {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        let fields = read(Request::from_parts(parts, body), app).await?;
        if !csrf::matches(&viewer.session, fields.get(csrf::FIELD)) {
            return Err(Failure::ForeignForm);
        }
        Ok(Self { viewer, fields })
    }
}

/// Reads a form that no other site may have sent; the sender need not be signed in.
pub(super) async fn read(request: Request, app: &App) -> Result<Fields, Failure> {
    let client = request.extensions().get::<ClientInfo>().map(ClientInfo::origin).unwrap_or_default();
    check_origin(request.headers(), &client, app)?;
    let Form(pairs) = Form::from_request(request, &()).await.map_err(|_| Failure::BadRequest)?;
    Ok(Fields(pairs))
}

fn check_origin(headers: &HeaderMap, own: &str, app: &App) -> Result<(), Failure> {
    let config = &app.config;
    if csrf::origin_allowed(headers, own, &config.public_url, &config.csrf_trusted_origins) {
        return Ok(());
    }
    Err(Failure::ForeignForm)
}
