//! Who may read `/metrics`: nobody, until a setting says who.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::client_info::named_on_the_way;
use super::error::ApiError;
use crate::config::Config;

/// Why a caller does not get the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsRefusal {
    /// 404: neither `METRICS_TOKEN` nor `METRICS_ALLOWED_IPS` is set.
    Closed,
    /// 403: called from, or through, an address that is not on the list.
    Address,
    /// 401: without the token, or with another one.
    Token,
}

/// Lets a caller pass or says why not. With both settings, both have to fit.
///
/// Of a connection only `peer` is certain. Proxies are trusted by whole networks, so what headers say can only take
/// away: whoever is named on the way has to be on the list, beside the peer.
pub fn check(config: &Config, peer: IpAddr, headers: &HeaderMap) -> Result<(), MetricsRefusal> {
    let (token, networks) = (&config.metrics_token, &config.metrics_allowed_ips);
    if token.is_none() && networks.is_empty() {
        return Err(MetricsRefusal::Closed);
    }
    let is_listed = |address: IpAddr| networks.iter().any(|network| network.contains(&address.to_canonical()));
    let is_let_in = || is_listed(peer) && named_on_the_way(headers).is_some_and(|way| way.into_iter().all(is_listed));
    if !networks.is_empty() && !is_let_in() {
        return Err(MetricsRefusal::Address);
    }
    match token {
        Some(token) if !bearer(headers).is_some_and(|given| is_same(given, token.expose())) => {
            Err(MetricsRefusal::Token)
        }
        _ => Ok(()),
    }
}

/// The token of an `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares hashes, so that the time it takes says nothing of what is right, its length included.
fn is_same(given: &str, right: &str) -> bool {
    Sha256::digest(given).as_slice().ct_eq(Sha256::digest(right).as_slice()).into()
}

impl IntoResponse for MetricsRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::Closed => ApiError::NotFound.into_response(),
            Self::Address => ApiError::Forbidden("This address may not read the metrics.".to_owned()).into_response(),
            Self::Token => {
                let mut response =
                    ApiError::Unauthorized("The metrics take METRICS_TOKEN as a bearer token.".to_owned())
                        .into_response();
                debug_assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(settings: &[(&str, &str)], caller: &str, authorization: &str) -> Result<(), MetricsRefusal> {
        let lookup =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        }
        check(&Config::from_lookup(&lookup).unwrap(), caller.parse().unwrap(), &headers)
    }

    #[test]
    fn closed_until_a_setting_opens_it() {
        assert_eq!(asked(&[], "127.0.0.1", "Bearer x"), Err(MetricsRefusal::Closed));
        assert_eq!(asked(&[("METRICS_TOKEN", " ")], "127.0.0.1", "Bearer "), Err(MetricsRefusal::Closed));
    }

    #[test]
    fn a_token_is_compared_whole() {
        let settings = [("METRICS_TOKEN", "open sesame")];
        for (given, answer) in [
            ("Bearer open sesame", Ok(())),
            ("bearer  open sesame", Ok(())),
            ("Bearer open", Err(MetricsRefusal::Token)),
            ("Bearer open sesame!", Err(MetricsRefusal::Token)),
            ("Basic open sesame", Err(MetricsRefusal::Token)),
            ("Bearer", Err(MetricsRefusal::Token)),
            ("", Err(MetricsRefusal::Token)),
        ] {
            assert_eq!(asked(&settings, "203.0.113.9", given), answer, "{given}");
        }
    }

    #[test]
    fn an_address_is_on_the_list_or_not() {
        let settings = [("METRICS_ALLOWED_IPS", "10.1.0.0/16, 2001:db8::7")];
        for (caller, answer) in [
            ("10.1.2.3", Ok(())),
            ("::ffff:10.1.2.3", Ok(())),
            ("2001:db8::7", Ok(())),
            ("10.2.0.1", Err(MetricsRefusal::Address)),
            ("127.0.0.1", Err(MetricsRefusal::Address)),
        ] {
            assert_eq!(asked(&settings, caller, ""), answer, "{caller}");
        }
    }

    #[test]
    fn no_header_opens_it_to_another_address() {
        let settings = [("METRICS_ALLOWED_IPS", "127.0.0.1,10.1.0.5")];
        let config = Config::from_lookup(&|name| (name == settings[0].0).then(|| settings[0].1.to_owned())).unwrap();
        let asked = |peer: &str, headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            check(&config, peer.parse().unwrap(), &map).is_ok()
        };
        assert!(asked("127.0.0.1", &[]));
        assert!(asked("127.0.0.1", &[("x-forwarded-for", "10.1.0.5")]), "through a proxy that is on the list");
        for (name, value) in [
            ("x-forwarded-for", "10.1.0.5, 203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9, 10.1.0.5"),
            ("x-forwarded-for", "10.1.0.5, 192.168.1.7"),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", ""),
            ("cf-connecting-ip", "10.1.0.5"),
            ("forwarded", "for=10.1.0.5"),
            ("true-client-ip", "10.1.0.5"),
            ("x-real-ip", "10.1.0.5"),
            ("x-forwarded-proto", "https"),
        ] {
            assert!(!asked("127.0.0.1", &[(name, value)]), "{name}: {value}");
            assert!(!asked("127.0.0.1", &[(name, value), ("x-forwarded-for", "192.168.1.7")]), "{name}: {value}");
        }
        // Whoever is on a private network counts as a proxy, but not here.
        for name in ["x-forwarded-for", "cf-connecting-ip", "x-real-ip"] {
            assert!(!asked("192.168.1.7", &[(name, "10.1.0.5")]), "{name}");
        }
    }

    #[test]
    fn with_both_settings_both_have_to_fit() {
        let settings = [("METRICS_ALLOWED_IPS", "10.0.0.0/8"), ("METRICS_TOKEN", "t")];
        assert_eq!(asked(&settings, "10.0.0.1", "Bearer t"), Ok(()));
        assert_eq!(asked(&settings, "10.0.0.1", ""), Err(MetricsRefusal::Token));
        assert_eq!(asked(&settings, "11.0.0.1", "Bearer t"), Err(MetricsRefusal::Address));
    }
}
