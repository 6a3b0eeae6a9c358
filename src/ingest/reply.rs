//! The answers of the ingest endpoints, with the headers that let a browser read them.

use std::fmt;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::limit::answer::{Limited, RateLimits, Scope};
use crate::ids::EventId;

const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, authentication, \
     authorization, content-encoding, transfer-encoding, sentry-trace, baggage",
);
/// Without these a browser cannot honour a rate limit.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("x-sentry-error, x-sentry-rate-limits, retry-after");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What all endpoints but those that say otherwise answer to, besides preflights.
const POST_ONLY: &str = "POST, OPTIONS";

/// The smallest image there is: one transparent pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Seconds after which a client may try again when a part of ours is away.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The answer to a browser that asks before it posts.
pub(super) fn preflight() -> Response {
    let mut response = respond(StatusCode::NO_CONTENT, JSON, String::new());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

fn respond(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    response
}

/// A script for pages of any origin. Its address says who is asking: for nobody's cache.
fn respond_script(script: &'static str) -> Response {
    let mut response = respond(StatusCode::OK, HeaderValue::from_static("text/javascript; charset=utf-8"), script);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// What was sent is in the spool, or nothing of it is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// An envelope, with the id of its event, if it has or needs one; and the limits that held a part of it back.
    Envelope(Option<EventId>, RateLimits),
    /// An event by `/store/`; old servers disagree on the name of the key, so it has both.
    Store(EventId),
    /// An event in the address of an image.
    Pixel,
    /// What browsers report by themselves: they read no answer.
    Reports,
    /// A crash: its reporter shows the id as it is, with dashes.
    Crash(EventId),
    /// Files of an event that has come, or will.
    Files,
    /// A job's check-in.
    CheckIn,
    /// What was made, as JSON.
    Object(String),
    /// A script to run in a page.
    Script(&'static str),
}

impl Accepted {
    pub(super) fn into_response(self) -> Response {
        const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
        let none = RateLimits::default();
        let (content_type, body, limits) = match self {
            Self::Envelope(Some(id), limits) => (JSON, format!(r#"{{"id":"{id}"}}"#), limits),
            Self::Envelope(None, limits) => (JSON, "{}".to_owned(), limits),
            Self::Store(id) => (JSON, format!(r#"{{"id":"{id}","event_id":"{id}"}}"#), none),
            Self::Pixel => return respond(StatusCode::OK, HeaderValue::from_static("image/gif"), PIXEL),
            Self::Reports => (TEXT, String::new(), none),
            Self::Crash(id) => (TEXT, id.0.hyphenated().to_string(), none),
            Self::Files => return respond(StatusCode::CREATED, TEXT, String::new()),
            Self::CheckIn => return respond(StatusCode::ACCEPTED, TEXT, String::new()),
            Self::Object(json) => (JSON, json, none),
            Self::Script(script) => return respond_script(script),
        };
        let mut response = respond(StatusCode::OK, content_type, body);
        // Without Retry-After, which would hold back everything.
        limits.write_to(response.headers_mut());
        response
    }
}

/// Why a request is refused: what is wrong, and the causes in more detail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: &'static str,
    causes: Vec<String>,
    limits: RateLimits,
    /// The methods that a 405 speaks of.
    allow: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, causes: Vec::new(), limits: RateLimits::default(), allow: POST_ONLY }
    }

    fn because(mut self, cause: &dyn fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// 400: malformed.
    pub(super) fn bad_request(detail: &'static str, cause: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail).because(&cause)
    }

    /// 401: no usable credentials.
    pub(super) fn unauthorized(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: one answer for every reason, so that nobody can find out which projects there are.
    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the key is unknown, disabled, or not of this project")
    }

    /// 403, to somebody whom we know.
    pub(super) fn forbidden_by(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub(super) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed: send a POST request")
    }

    /// 405, where GET is good, too.
    pub(super) fn neither_get_nor_post() -> Self {
        Self { allow: "GET, POST, OPTIONS", ..Self::method_not_allowed() }
    }

    /// 413.
    pub(super) fn too_large(detail: &'static str, limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).because(&format_args!("the limit is {limit} bytes"))
    }

    /// 415.
    pub(super) fn unsupported_encoding(name: &str) -> Self {
        let shown: String = name.chars().take(40).collect();
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content encoding").because(&shown)
    }

    /// 415: a body of another kind than the endpoint is for.
    pub(super) fn unsupported_media_type(content_type: &str) -> Self {
        let shown: String = content_type.chars().take(80).collect();
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported content type").because(&shown)
    }

    /// 429: nothing was kept, because the sender has used up what it may send.
    pub(super) fn limited(limits: RateLimits) -> Self {
        Self { limits, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "the rate limit is exceeded") }
    }

    /// 429 for everybody: nothing was kept, because there is no room to keep it.
    pub(super) fn over_capacity(retry_after_s: u64) -> Self {
        let limits = RateLimits::from(Limited {
            scope: Scope::Organization,
            categories: &[],
            reason: "over_capacity",
            retry_after: retry_after_s,
        });
        Self { limits, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "no room to keep events at the moment") }
    }

    /// 503: nothing was kept.
    pub(super) fn unavailable(detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// For senders who try for ever what is answered 429: without room, they are told that we are away.
    pub(super) fn never_429(self) -> Self {
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            return Self::unavailable("no room to keep events at the moment");
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        let mut body = serde_json::json!({ "detail": self.detail });
        if let (false, Some(object)) = (self.causes.is_empty(), body.as_object_mut()) {
            object.insert("causes".to_owned(), self.causes.into());
        }
        let mut response = respond(self.status, JSON, body.to_string());
        let headers = response.headers_mut();
        headers.insert(SENTRY_ERROR, HeaderValue::from_static(self.detail));
        self.limits.write_to(headers);
        self.limits.write_retry_after(headers);
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static(self.allow));
            }
            _ => {}
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_can_be_read_by_a_browser() {
        for response in [
            preflight(),
            Accepted::Envelope(None, RateLimits::default()).into_response(),
            Accepted::Pixel.into_response(),
            Accepted::Reports.into_response(),
            Accepted::Crash(EventId::random()).into_response(),
            Accepted::Files.into_response(),
            Accepted::CheckIn.into_response(),
            Accepted::Script("").into_response(),
            Refusal::forbidden().into_response(),
            Refusal::unavailable("x").into_response(),
        ] {
            assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert!(response.headers().contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        }
        assert_eq!(Refusal::forbidden().into_response().headers()["x-sentry-error"], Refusal::forbidden().detail);
        assert_eq!(Refusal::unavailable("x").into_response().headers()["retry-after"], "5");
    }

    #[test]
    fn without_room_every_client_is_told_to_wait() {
        let response = Refusal::over_capacity(60).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["x-sentry-rate-limits"], "60::organization:over_capacity");
        assert_eq!(response.headers()["retry-after"], "60");
        assert_eq!(Refusal::over_capacity(60).never_429().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
