//! Finds the project key among the many places where clients put it.
//!
//! The forms are numbered as in the tests; the sixth, a DSN in an envelope's header, is the envelope's to read.

use axum::http::{HeaderMap, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::reply::Refusal;
use crate::protocol::{Dsn, PublicKey, parse_sentry_auth};

/// What a request's head says of its sender.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A key.
    Key(PublicKey),
    /// Nothing; an envelope may still name its DSN.
    None,
}

impl Credentials {
    /// Looks at, in this order: `X-Sentry-Auth`, `Authorization` (`Sentry`, `Basic` or `DSN`), the query. The first
    /// that yields a key decides; keys that differ are refused.
    pub(super) fn of_request(headers: &HeaderMap, uri: &Uri) -> Result<Self, Refusal> {
        let texts = |name: &'static str| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let mut names_a_key = false;
        let mut found: Option<PublicKey> = None;
        let of_query = keys_of_query(uri.query().unwrap_or_default()).map(|text| {
            names_a_key = true;
            PublicKey::parse(&text)
        });
        let of_header = texts("x-sentry-auth").map(|text| parse_sentry_auth(text).map(|auth| auth.key));
        let of_authorization = texts(header::AUTHORIZATION.as_str()).map(key_of_authorization);
        for key in of_header.chain(of_authorization).chain(of_query).flatten() {
            match &found {
                Some(first) if *first != key => return Err(contradiction()),
                _ => found = Some(key),
            }
        }
        if let Some(key) = found {
            return Ok(Self::Key(key));
        }
        if names_a_key || texts("x-sentry-auth").any(|text| text.contains("_key=")) {
            return Err(no_key());
        }
        if headers.contains_key("x-sentry-auth") {
            return Err(Refusal::unauthorized("invalid X-Sentry-Auth header"));
        }
        Ok(Self::None)
    }

    /// The key of a request whose path may name one, too.
    pub(super) fn key(headers: &HeaderMap, uri: &Uri, of_path: Option<&str>) -> Result<PublicKey, Refusal> {
        let of_path = of_path.map(|text| PublicKey::parse(text).ok_or_else(no_key)).transpose()?;
        match (of_path, Self::of_request(headers, uri)?) {
            (Some(one), Self::Key(other)) if one != other => Err(contradiction()),
            (Some(key), _) | (None, Self::Key(key)) => Ok(key),
            (None, Self::None) => Err(Refusal::unauthorized("missing authorization information")),
        }
    }
}

fn contradiction() -> Refusal {
    Refusal::unauthorized("credentials contradict each other")
}

fn no_key() -> Refusal {
    Refusal::bad_request("invalid project key", "a key is 32 hexadecimal digits")
}

fn keys_of_query(query: &str) -> impl Iterator<Item = String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, value)| matches!(name.as_ref(), "sentry_key" | "glitchtip_key") && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

fn key_of_authorization(value: &str) -> Option<PublicKey> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).ok()?;
        // The key is the user; what follows a colon is a password or a flag.
        return PublicKey::parse(std::str::from_utf8(&decoded).ok()?);
    }
    if scheme.eq_ignore_ascii_case("dsn") {
        return Dsn::parse(rest).map(|dsn| dsn.public_key);
    }
    parse_sentry_auth(value).map(|auth| auth.key)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const DASHED: &str = "01234567-89ab-cdef-0123-456789abcdef";
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

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn form_1_the_header_x_sentry_auth() {
        for header in [
            format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0"),
            format!("sentry sentry_version=5,sentry_timestamp=1763649000123, sentry_secret=x,sentry_key={KEY}"),
            format!("Sentry glitchtip_key={KEY}"),
            format!("Sentry sentry_key={DASHED}, sentry_version=99"),
        ] {
            assert_eq!(read(&[("x-sentry-auth", header.clone())], "/"), Ok(key(KEY)), "{header}");
        }
    }

    #[test]
    fn form_2_the_header_authorization_with_the_same_grammar() {
        let header = format!("SENTRY sentry_version=7, sentry_key={KEY}");
        assert_eq!(read(&[("authorization", header)], "/"), Ok(key(KEY)));
        assert_eq!(read(&[("authorization", "Bearer abc".to_owned())], "/"), Ok(Credentials::None));
    }

    #[test]
    fn form_3_basic_with_the_key_as_the_user() {
        for text in [format!("{KEY}:"), format!("{KEY}:secret"), KEY.to_owned(), format!("{DASHED}:")] {
            assert_eq!(read(&[("authorization", basic(&text))], "/"), Ok(key(KEY)), "{text}");
        }
        assert_eq!(read(&[("authorization", basic("me:password"))], "/"), Ok(Credentials::None));
        assert_eq!(read(&[("authorization", "Basic ***".to_owned())], "/"), Ok(Credentials::None));
    }

    #[test]
    fn form_4_the_query() {
        for query in [
            format!("sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.browser%2F11.12.0"),
            format!("glitchtip_key={}", KEY.to_uppercase()),
            format!("sentry_key={DASHED}"),
            format!("sentry_key=&sentry_key={KEY}"),
        ] {
            assert_eq!(read(&[], &format!("/?{query}")), Ok(key(KEY)), "{query}");
        }
        assert_eq!(read(&[], "/?sentry_key="), Ok(Credentials::None));
    }

    #[test]
    fn form_5_the_path() {
        let read = |headers: &[(&'static str, String)], uri: &str, of_path| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let key = Credentials::key(&map, &uri.parse().unwrap(), of_path);
            key.map(|key| key.to_string()).map_err(|refusal| refusal.status().as_u16())
        };
        let same = format!("/?sentry_key={KEY}");
        for of_path in [KEY, DASHED] {
            assert_eq!(read(&[], "/", Some(of_path)), Ok(KEY.to_owned()));
            assert_eq!(read(&[], &same, Some(of_path)), Ok(KEY.to_owned()));
        }
        assert_eq!(read(&[], &same, None), Ok(KEY.to_owned()));
        assert_eq!(read(&[], &same, Some(OTHER)), Err(401));
        assert_eq!(read(&[], "/", Some("short")), Err(400));
        assert_eq!(read(&[], "/", None), Err(401));
    }

    #[test]
    fn user_feedback_may_come_with_the_whole_dsn() {
        let header = |text: String| [("authorization", text)];
        assert_eq!(read(&header(format!("DSN https://{KEY}@example.com/1")), "/"), Ok(key(KEY)));
        assert_eq!(read(&header(format!("dsn http://{KEY}:x@example.com/errors/1")), "/"), Ok(key(KEY)));
        assert_eq!(read(&header("DSN nonsense".to_owned()), "/"), Ok(Credentials::None));
    }

    #[test]
    fn flags_behind_a_key_say_nothing() {
        let flagged = format!("{KEY}:no-cache");
        assert_eq!(read(&[], &format!("/?sentry_key={KEY}%3Ano-cache")), Ok(key(KEY)));
        assert_eq!(read(&[("x-sentry-auth", format!("Sentry sentry_key={flagged}"))], "/"), Ok(key(KEY)));
        assert_eq!(read(&[("authorization", basic(&flagged))], "/"), Ok(key(KEY)));
    }

    #[test]
    fn the_same_key_twice_is_one_and_two_keys_are_none() {
        let header = |key| [("x-sentry-auth", format!("Sentry sentry_key={key}"))];
        assert_eq!(read(&header(KEY), &format!("/?sentry_key={KEY}")), Ok(key(KEY)));
        let mut two = HeaderMap::new();
        for key in [KEY, OTHER] {
            two.append("x-sentry-auth", format!("Sentry sentry_key={key}").parse().unwrap());
        }
        for refused in [
            read(&header(OTHER), &format!("/?sentry_key={KEY}")),
            read(&[("authorization", basic(OTHER))], &format!("/?sentry_key={KEY}")),
            read(&[], &format!("/?sentry_key={KEY}&glitchtip_key={OTHER}")),
            Credentials::of_request(&two, &"/".parse().unwrap()),
        ] {
            assert_eq!(refused.unwrap_err().status(), StatusCode::UNAUTHORIZED);
        }
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
