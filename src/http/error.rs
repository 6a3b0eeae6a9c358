//! The one type of the API and the pages that becomes an error response.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An answer that is not what the caller hoped for; the body is `{"detail": ...}`.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request makes no sense; the text says what is wrong with it.
    #[error("{0}")]
    BadRequest(String),
    /// 401: who are you?
    #[error("{0}")]
    Unauthorized(String),
    /// 403: you may not.
    #[error("{0}")]
    Forbidden(String),
    /// 404.
    #[error("The requested resource does not exist")]
    NotFound,
    /// 405.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// 409: at odds with what is there.
    #[error("{0}")]
    Conflict(String),
    /// 413.
    #[error("{0}")]
    TooLarge(String),
    /// 415.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// 429: come back after that many seconds.
    #[error("Too many requests")]
    TooManyRequests(u32),
    /// 503: the named part is away for now.
    #[error("{0} is not available at the moment")]
    Unavailable(&'static str),
    /// 500: ours; logged once where the response is made, never shown.
    #[error("Internal error")]
    Internal(#[source] anyhow::Error),
}

impl ApiError {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// No credentials where some are needed.
    pub fn not_authenticated() -> Self {
        Self::Unauthorized("Authentication credentials were not provided.".to_owned())
    }

    /// Credentials that are not enough.
    pub fn no_permission() -> Self {
        Self::Forbidden("You do not have permission to perform this action.".to_owned())
    }

    /// Writes what is ours to know to the log; what the caller did wrong is not logged.
    pub fn log(&self) {
        match self {
            Self::Internal(error) => tracing::error!(error = format!("{error:#}"), "request failed"),
            Self::Unavailable(part) => tracing::warn!(part, "request refused: not available"),
            _ => {}
        }
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Internal(error),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                Self::Unavailable("The database")
            }
            other => Self::Internal(other.into()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let body = Json(serde_json::json!({ "detail": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        let retry_after = match self {
            Self::TooManyRequests(seconds) => Some(HeaderValue::from(seconds)),
            Self::Unavailable(_) => Some(HeaderValue::from(5_u32)),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
