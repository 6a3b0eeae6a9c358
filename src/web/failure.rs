//! Everything that is not the page that was asked for, and the page that says so.
//!
//! Handlers return a [`Failure`]; its response carries only a mark, and [`as_page`] renders the page
//! around the whole router, where the visitor's language and account are known.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::layout;
use super::text::Lang;
use super::viewer::KnownFrame;
use crate::http::ApiError;
use crate::store::StoreError;

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Failure {
    /// 303 to the sign-in page, which leads back to this path.
    SignIn(String),
    /// 404, also for what the visitor may not see.
    NotFound,
    /// 403: the form did not come from our own page, or from an old one.
    ForeignForm,
    /// 400: a form or an address that makes no sense.
    BadRequest,
    /// 503: the database is away.
    Unavailable,
    /// 500: ours; logged here, never shown.
    Internal(anyhow::Error),
}

/// Marks a response to be replaced by the page for its status.
#[derive(Debug, Clone, Copy)]
struct NeedsPage;

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn(_) => StatusCode::SEE_OTHER,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match &self {
            Self::SignIn(next) => {
                let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
                return Redirect::to(&format!("/login/?{query}")).into_response();
            }
            Self::Internal(error) => tracing::error!(error = format!("{error:#}"), "a page failed"),
            Self::Unavailable => tracing::warn!("a page failed: the database is not available"),
            _ => {}
        }
        let mut response = self.status().into_response();
        response.extensions_mut().insert(NeedsPage);
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() { Self::Unavailable } else { Self::Internal(error.into()) }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unavailable(_) => Self::Unavailable,
            ApiError::Internal(error) => Self::Internal(error),
            ApiError::BadRequest(_) => Self::BadRequest,
            // Who may not see a thing is not told that it exists.
            _ => Self::NotFound,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

/// Replaces marked responses by pages in the visitor's language.
pub(super) async fn as_page(mut request: Request, next: Next) -> Response {
    let known = KnownFrame::from_headers(request.headers());
    request.extensions_mut().insert(known.clone());
    let mut response = next.run(request).await;
    let is_marked = response.extensions_mut().remove::<NeedsPage>().is_some();
    if !is_marked && !is_bare_refusal(&response) {
        return response;
    }
    let frame = known.get();
    let status = response.status();
    let body = body(frame.lang, status);
    let title = status.canonical_reason().unwrap_or_default();
    let page = if frame.account.is_some() {
        layout::page(&frame, None, title, &body)
    } else {
        layout::gate(&frame, title, &body)
    };
    let mut page = (status, page).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    page
}

/// What axum says by itself of an address or a form that it cannot read: plain text, for programmers.
fn is_bare_refusal(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    response.status() == StatusCode::BAD_REQUEST && content_type.is_some_and(|name| name.starts_with(b"text/plain"))
}

/// No page has this address: says so, to programs in their own way; a forgotten slash is forgiven.
pub(super) async fn unknown_page(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return ApiError::NotFound.into_response();
    }
    let is_ours =
        ["/issues", "/projects", "/usage", "/login", "/settings"].iter().any(|prefix| path.starts_with(prefix));
    if is_ours && request.method() == Method::GET && !path.ends_with('/') {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        return Redirect::permanent(&format!("{path}/{query}")).into_response();
    }
    Failure::NotFound.into_response()
}

fn body(lang: Lang, status: StatusCode) -> Markup {
    let (title, hint) = match status {
        StatusCode::NOT_FOUND => (lang.not_found(), lang.not_found_hint()),
        StatusCode::FORBIDDEN => (lang.foreign_form(), lang.foreign_form_hint()),
        StatusCode::BAD_REQUEST => (lang.bad_request(), lang.bad_request_hint()),
        StatusCode::SERVICE_UNAVAILABLE => (lang.unavailable(), lang.unavailable_hint()),
        _ => (lang.broken(), lang.broken_hint()),
    };
    html! {
        div.fail {
            p.code aria-hidden="true" { (status.as_u16()) }
            h1 { (title) }
            p { (hint) }
            a.btn href="/issues/" { (lang.to_issues()) }
        }
    }
}
