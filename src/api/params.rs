//! Reading query strings, path parts and bodies: whatever is malformed is a 400 that names it.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;

use crate::http::ApiError;

/// The query string's parameters, in order; names may repeat.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl Params {
    /// The last value of a parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The last value of a parameter, empty or not.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that is not empty.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A time: RFC 3339, or without a zone for UTC, or a date alone.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        let plain = || text.parse::<NaiveDateTime>().map(|time| time.and_utc());
        let date = || text.parse::<chrono::NaiveDate>().map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc());
        match zoned.or_else(|_| plain()).or_else(|_| date()) {
            // PostgreSQL's times do not reach as far back as ours.
            Ok(time) if (1..=9999).contains(&time.year()) => Ok(Some(time)),
            _ => Err(invalid(name, text, "a time such as 2026-01-31T12:00:00Z")),
        }
    }

    /// A span of time: a number with `s`, `m`, `h`, `d` or `w` behind it.
    pub(super) fn period(&self, name: &str) -> Result<Option<TimeDelta>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read_period(text).map(Some).ok_or_else(|| invalid(name, text, "a period such as 24h or 14d"))
    }
}

fn read_period(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().last()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    // A hundred years are enough for everybody, and far from where times overflow.
    TimeDelta::try_seconds(i64::from(number) * seconds).filter(|span| span.num_days() < 36_500)
}

/// A parameter's value that makes no sense.
pub(super) fn invalid(name: &str, value: &str, expected: &str) -> ApiError {
    ApiError::BadRequest(format!("Invalid value {value:?} for the parameter `{name}`: expected {expected}."))
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

/// The parts of the path that vary, by name, decoded.
pub(super) struct PathParts(Vec<(String, String)>);

impl PathParts {
    /// A part; not found if the route has none of that name.
    pub(super) fn get(&self, name: &str) -> Result<&str, ApiError> {
        self.find(name).ok_or(ApiError::NotFound)
    }

    /// A part, on routes that may go without it.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParts {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // What cannot be decoded names nothing we have.
        let axum::extract::Path(parts) = axum::extract::Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::NotFound)?;
        // PostgreSQL's text holds no NUL, so nothing stored can be called so.
        if parts.iter().any(|(_, value)| value.contains('\0')) {
            return Err(ApiError::NotFound);
        }
        Ok(Self(parts))
    }
}

/// A JSON object in the body, whatever its content type says; no body counts as an empty object.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::TooLarge("The request's body is too large.".to_owned())
            } else {
                ApiError::BadRequest("The request's body could not be read.".to_owned())
            }
        })?;
        let text = if body.is_empty() { &b"{}"[..] } else { &body };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| ApiError::BadRequest(format!("JSON parse error - {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    #[test]
    fn empty_values_count_as_absent() {
        let params = params("cursor=&a=1&a=2&query=");
        assert_eq!(params.get("cursor"), None);
        assert_eq!(params.raw("query"), Some(""));
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn times_and_periods() {
        let params =
            params("a=2026-01-31T12:00:00.123456789Z&b=2026-01-31T12:00:00&c=2026-01-31&d=soon&p=14d&q=5x&r=99999w");
        assert_eq!(params.time("a").unwrap().unwrap().to_rfc3339(), "2026-01-31T12:00:00.123456789+00:00");
        assert_eq!(params.time("b").unwrap().unwrap().to_rfc3339(), "2026-01-31T12:00:00+00:00");
        assert_eq!(params.time("c").unwrap().unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
        assert!(params.time("d").unwrap_err().to_string().contains("`d`"));
        assert!(self::params("start=-262000-01-01").time("start").is_err());
        assert_eq!(params.period("p").unwrap(), Some(TimeDelta::days(14)));
        assert!(params.period("q").is_err());
        assert!(params.period("r").is_err());
        assert_eq!(params.period("none").unwrap(), None);
    }
}
