//! Protection of forms against other sites: a token derived from the session, and the browser's
//! own word (`Origin`) on which page sent the form.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use super::session::SessionToken;

/// Name of the hidden form field that carries the token.
pub const FIELD: &str = "csrf";

/// The token that belongs to a session: 64 hexadecimal digits. Knowing it reveals nothing of the
/// session's own token.
pub fn token(session: &SessionToken) -> String {
    let mut hash = Sha256::new();
    hash.update(b"glitchbox csrf v1\0");
    hash.update(session.as_bytes());
    hex::encode(hash.finalize())
}

/// True when `given` is the token of `session`.
pub fn matches(session: &SessionToken, given: &str) -> bool {
    token(session).as_bytes().ct_eq(given.as_bytes()).into()
}

/// True unless the browser says that another site sent the request.
///
/// `own` is the origin the visitor used (`https://host`), `trusted` are further origins or bare
/// hosts that may send forms (`https://*.example.org` stands for every sub-domain). A client that
/// sends neither `Origin` nor `Sec-Fetch-Site` is not a browser that can be tricked.
pub fn origin_allowed(headers: &HeaderMap, own: &str, public_url: &Url, trusted: &[String]) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        return origin.eq_ignore_ascii_case(own)
            || origin.eq_ignore_ascii_case(&public_url.origin().ascii_serialization())
            || trusted.iter().any(|pattern| origin_matches(origin, pattern));
    }
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => true,
    }
}

/// Compares an origin with one entry of `CSRF_TRUSTED_ORIGINS`.
fn origin_matches(origin: &str, pattern: &str) -> bool {
    let pattern = pattern.trim().trim_end_matches('/');
    let (Some((scheme, host)), Some((wanted_scheme, wanted_host))) =
        (origin.split_once("://"), pattern.split_once("://"))
    else {
        return origin.split_once("://").is_some_and(|(_, host)| host.eq_ignore_ascii_case(pattern));
    };
    if !scheme.eq_ignore_ascii_case(wanted_scheme) {
        return false;
    }
    match wanted_host.strip_prefix("*.") {
        Some(suffix) => {
            let (host, suffix) = (host.to_ascii_lowercase(), suffix.to_ascii_lowercase());
            host.strip_suffix(&suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        }
        None => host.eq_ignore_ascii_case(wanted_host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(name: &'static str, value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let trusted = ["https://ops.example.org".to_owned(), "https://*.corp.example".to_owned()];
        origin_allowed(&headers, "http://10.0.0.5:8000", &Url::parse("https://errors.example.org").unwrap(), &trusted)
    }

    #[test]
    fn own_public_and_trusted_origins_may_send_forms() {
        assert!(allowed("origin", "http://10.0.0.5:8000"));
        assert!(allowed("origin", "https://errors.example.org"));
        assert!(allowed("origin", "https://ops.example.org"));
        assert!(allowed("origin", "https://a.corp.example"));
        assert!(allowed("sec-fetch-site", "same-origin"));
        assert!(allowed("accept", "*/*"));
    }

    #[test]
    fn other_origins_may_not() {
        assert!(!allowed("origin", "https://evil.example"));
        assert!(!allowed("origin", "null"));
        assert!(!allowed("origin", "http://ops.example.org"));
        assert!(!allowed("origin", "https://evilcorp.example"));
        assert!(!allowed("origin", "https://corp.example"));
        assert!(!allowed("sec-fetch-site", "cross-site"));
        assert!(!allowed("sec-fetch-site", "same-site"));
    }

    #[test]
    fn token_belongs_to_one_session() {
        let (one, other) = (SessionToken::random(), SessionToken::random());
        assert!(matches(&one, &token(&one)));
        assert!(!matches(&other, &token(&one)));
        assert!(!matches(&one, ""));
    }
}
