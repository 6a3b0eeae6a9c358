//! Lists: the page asked for, and the `Link` header that leads to its neighbours.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::params::{Params, invalid};
use crate::app::App;
use crate::http::pagination::{self, Neighbour, link_header};
use crate::http::{ApiError, ClientInfo};
use crate::store::page::{Cursor, MAX_LIMIT, Page};

/// Which part of a list a request wants, and under which address it asked.
pub(super) struct Wanted {
    /// All parameters.
    pub(super) params: Params,
    /// None: the first page.
    pub(super) cursor: Option<Cursor>,
    /// 1 to 100.
    pub(super) limit: usize,
    url: String,
}

impl Wanted {
    /// The page's items as a JSON list, linked to its neighbours.
    pub(super) fn answer<T>(&self, page: &Page<T>, item: impl FnMut(&T) -> Value) -> Response {
        let side = |cursor: Cursor, has_results| Neighbour {
            cursor: pagination::Cursor { value: cursor.value, tie: cursor.tie, is_previous: cursor.backwards },
            has_results,
        };
        let previous = side(page.previous, page.has_previous);
        let link = link_header(&self.url, &self.params.0, previous, side(page.next, page.has_next));
        let mut response = Json(page.items.iter().map(item).collect::<Vec<_>>()).into_response();
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// As [`Self::answer`], for a list that is short enough to be read whole.
    pub(super) fn answer_whole<T>(&self, all: Vec<T>, item: impl FnMut(&T) -> Value) -> Response {
        self.answer(&Page::from_whole(all, self.cursor, self.limit), item)
    }
}

impl FromRequestParts<Arc<App>> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Ok(params) = Params::from_request_parts(parts, app).await;
        let cursor = params.get("cursor").map(str::parse).transpose()?;
        let limit = match params.get("per_page").or_else(|| params.get("limit")) {
            None => MAX_LIMIT,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if limit > 0 => limit.min(MAX_LIMIT),
                _ => return Err(invalid("per_page", text, "a number from 1 to 100")),
            },
        };
        let client = parts.extensions.get::<ClientInfo>().filter(|client| !client.host.is_empty());
        let config = &app.config;
        let base = client.map(|client| client.origin() + config.public_path());
        let url = base.unwrap_or_else(|| config.public_base().to_owned()) + parts.uri.path();
        Ok(Self { params, cursor, limit, url })
    }
}
