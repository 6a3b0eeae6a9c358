//! Finds the project key among the many places where clients put it.

use axum::http::{HeaderMap, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::reply::Refusal;
use crate::protocol::{PublicKey, parse_sentry_auth};

/// What a request's head says of its sender.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A key.
    Key(PublicKey),
    /// Nothing; an envelope may still name its DSN.
    None,
}

impl Credentials {
    /// Looks at, in this order: `X-Sentry-Auth`, `Authorization` (`Sentry` or `Basic`), the query. The first
    /// that yields a key decides; keys that differ are refused.
    pub(super) fn of_request(headers: &HeaderMap, uri: &Uri) -> Result<Self, Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let sentry_header = text("x-sentry-auth");
        let authorization = text(header::AUTHORIZATION.as_str());
        let query = uri.query().and_then(key_of_query);

        let mut found: Option<PublicKey> = None;
        let candidates = [
            sentry_header.and_then(parse_sentry_auth).map(|auth| auth.key),
            authorization.and_then(key_of_authorization),
            query.as_deref().and_then(PublicKey::parse),
        ];
        for key in candidates.into_iter().flatten() {
            match &found {
                Some(first) if *first != key => return Err(Refusal::unauthorized("credentials contradict each other")),
                _ => found = Some(key),
            }
        }
        if let Some(key) = found {
            return Ok(Self::Key(key));
        }
        let names_a_key = query.is_some() || sentry_header.is_some_and(|text| text.contains("_key="));
        if names_a_key {
            return Err(Refusal::bad_request("invalid project key", "a key is 32 hexadecimal digits"));
        }
        if sentry_header.is_some() {
            return Err(Refusal::unauthorized("invalid X-Sentry-Auth header"));
        }
        Ok(Self::None)
    }
}

fn key_of_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| matches!(name.as_ref(), "sentry_key" | "glitchtip_key") && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

fn key_of_authorization(value: &str) -> Option<PublicKey> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).ok()?;
        let (user, _password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        return PublicKey::parse(user);
    }
    parse_sentry_auth(value).map(|auth| auth.key)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "ffffffffffffffffffffffffffffffff";

    fn read(headers: &[(&'static str, String)], uri: &str) -> Result<Credentials, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Credentials::of_request(&map, &uri.parse().unwrap())
    }

    fn key(text: &str) -> Credentials {
        Credentials::Key(PublicKey::parse(text).unwrap())
    }

    #[test]
    fn every_form_is_understood() {
        let sentry = format!("Sentry sentry_key={KEY}, sentry_version=7");
        let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
        assert_eq!(read(&[("x-sentry-auth", sentry.clone())], "/"), Ok(key(KEY)));
        assert_eq!(read(&[("authorization", sentry)], "/"), Ok(key(KEY)));
        assert_eq!(read(&[("authorization", basic)], "/"), Ok(key(KEY)));
        assert_eq!(read(&[], &format!("/?sentry_version=7&sentry_key={KEY}")), Ok(key(KEY)));
        assert_eq!(read(&[], &format!("/?glitchtip_key={}", KEY.to_uppercase())), Ok(key(KEY)));
        assert_eq!(read(&[("authorization", "Bearer abc".to_owned())], "/"), Ok(Credentials::None));
        assert_eq!(read(&[], "/?sentry_key="), Ok(Credentials::None));
    }

    #[test]
    fn the_same_key_twice_is_one_and_two_keys_are_none() {
        let header = |key| [("x-sentry-auth", format!("Sentry sentry_key={key}"))];
        assert_eq!(read(&header(KEY), &format!("/?sentry_key={KEY}")), Ok(key(KEY)));
        let refusal = read(&header(OTHER), &format!("/?sentry_key={KEY}")).unwrap_err();
        assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_right_status() {
        for (headers, uri, status) in [
            (vec![("x-sentry-auth", "Sentry nonsense".to_owned())], "/", StatusCode::UNAUTHORIZED),
            (vec![("x-sentry-auth", "Sentry sentry_key=short".to_owned())], "/", StatusCode::BAD_REQUEST),
            (vec![], "/?sentry_key=short", StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(read(&headers, uri).unwrap_err().status(), status, "{uri} {headers:?}");
        }
        // An unreadable header does not hide a good query.
        let nonsense = [("x-sentry-auth", "nonsense".to_owned())];
        assert_eq!(read(&nonsense, &format!("/?sentry_key={KEY}")), Ok(key(KEY)));
    }
}
