//! Who may read `/metrics`: nobody, until a setting says who.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::config::Config;

/// Why a caller does not get the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsRefusal {
    /// 404: neither `METRICS_TOKEN` nor `METRICS_ALLOWED_IPS` is set.
    Closed,
    /// 403: called from an address that is not on the list.
    Address,
    /// 401: without the token, or with another one.
    Token,
}

/// Lets a caller pass or says why not. With both settings, both have to fit.
pub fn check(config: &Config, caller: IpAddr, headers: &HeaderMap) -> Result<(), MetricsRefusal> {
    let (token, networks) = (&config.metrics_token, &config.metrics_allowed_ips);
    if token.is_none() && networks.is_empty() {
        return Err(MetricsRefusal::Closed);
    }
    let caller = caller.to_canonical();
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&caller)) {
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
    fn with_both_settings_both_have_to_fit() {
        let settings = [("METRICS_ALLOWED_IPS", "10.0.0.0/8"), ("METRICS_TOKEN", "t")];
        assert_eq!(asked(&settings, "10.0.0.1", "Bearer t"), Ok(()));
        assert_eq!(asked(&settings, "10.0.0.1", ""), Err(MetricsRefusal::Token));
        assert_eq!(asked(&settings, "11.0.0.1", "Bearer t"), Err(MetricsRefusal::Address));
    }
}
