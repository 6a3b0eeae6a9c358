//! Who is calling: address, scheme and host, with the word of trusted proxies taken into account.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use crate::config::Config;

/// Headers that proxies add, besides the one that lists addresses.
const FORWARDED: &[&str] = &[
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// The caller of a request, as a request extension and as an extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address, trusted proxies taken off.
    pub ip: IpAddr,
    /// The other end of the connection, whatever the headers say.
    pub peer: IpAddr,
    /// The client speaks HTTPS (with us or with a trusted proxy).
    pub is_secure: bool,
    /// The host (with its port, if it gave one) that the client asked for; empty when it named none.
    pub host: String,
}

impl ClientInfo {
    /// Works out the caller from the connection's `peer` and what a trusted peer says of it.
    ///
    /// `X-Forwarded-For` is read from the right, skipping trusted proxies: everything left of the first
    /// address that is not trusted could have been written by the client itself. Where it says nothing, `X-Real-IP`
    /// counts, and then `Forwarded` (RFC 7239), read the same way.
    pub fn resolve(peer: IpAddr, headers: &HeaderMap, uri: &Uri, config: &Config) -> Self {
        let peer = peer.to_canonical();
        let own_host = || {
            let named = headers.get(header::HOST).and_then(|value| value.to_str().ok());
            named.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default().to_owned()
        };
        if !config.trusts(peer) {
            return Self { ip: peer, peer, is_secure: false, host: own_host() };
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A chain of proxies lists one value each; the first is the one the client spoke to.
        let first =
            |name| text(name).and_then(|value| value.split(',').next()).map(str::trim).filter(|v| !v.is_empty());
        let connecting = first("cf-connecting-ip").and_then(parse_address);
        Self {
            ip: connecting
                .or_else(|| nearest(x_forwarded_for(headers), config))
                .or_else(|| first("x-real-ip").and_then(parse_address))
                .or_else(|| nearest(forwarded(headers), config))
                .unwrap_or(peer),
            peer,
            is_secure: first("x-forwarded-proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            host: first("x-forwarded-host").map_or_else(own_host, str::to_owned),
        }
    }

    /// The host without its port and without the brackets of an IPv6 address, in lower case.
    pub fn host_name(&self) -> String {
        host_name(&self.host).to_ascii_lowercase()
    }

    /// `https://host[:port]` or `http://host[:port]`, as the client sees us.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.host)
    }
}

/// `example.com:80` -> `example.com`, `[::1]:80` -> `::1`.
pub(super) fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        };
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Nothing, or a colon with digits: what follows a name must not be able to make the address another one.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The first of `addresses`, the nearest ones first, that is no trusted proxy's; else the farthest of those. What cannot
/// be read hides all behind it.
fn nearest(addresses: impl Iterator<Item = Option<IpAddr>>, config: &Config) -> Option<IpAddr> {
    let mut farthest_trusted = None;
    for address in addresses {
        let Some(address) = address else { return farthest_trusted };
        if !config.trusts(address) {
            return Some(address);
        }
        farthest_trusted = Some(address);
    }
    farthest_trusted
}

fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values = headers.get_all("x-forwarded-for").iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or_default().split(',').rev().map(|part| parse_address(part.trim())))
}

/// The `for` of each proxy's element in `Forwarded`: `for=192.0.2.60;proto=https, for="[2001:db8::1]:4711"`. An element
/// without one, or with a name that stands for an address, cannot be read.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values = headers.get_all(header::FORWARDED).iter().rev();
    values.flat_map(|value| {
        // A quoted comma occurs in no address.
        value.to_str().unwrap_or_default().split(',').rev().map(|element| {
            let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
            let (_, address) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
            parse_address(address.trim().trim_matches('"'))
        })
    })
}

/// Every address that a request says it has come through, as far as its headers name any: the list of
/// `X-Forwarded-For`. `None` when they speak of another client and do not say so in a way that can be read.
pub(super) fn named_on_the_way(headers: &HeaderMap) -> Option<Vec<IpAddr>> {
    let values = headers.get_all("x-forwarded-for").iter();
    let addresses =
        values.map(|value| value.to_str().ok().map(|text| text.split(',').map(str::trim).map(parse_address)));
    let addresses: Vec<IpAddr> = addresses.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect::<Option<_>>()?;
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    (!addresses.is_empty() || !is_forwarded).then_some(addresses)
}

/// An address, with or without a port: proxies write both.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| host_name(text).parse::<IpAddr>().ok())?;
    Some(address.to_canonical())
}

impl<S: Send + Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        let nobody = IpAddr::from([0, 0, 0, 0]);
        Ok(known.unwrap_or(Self { ip: nobody, peer: nobody, is_secure: false, host: String::new() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(peer: &str, headers: &[(&'static str, &str)]) -> ClientInfo {
        let config = Config::from_lookup(&|_| None).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ClientInfo::resolve(peer.parse().unwrap(), &map, &Uri::from_static("/"), &config)
    }

    #[test]
    fn an_untrusted_peer_is_taken_at_its_own_address() {
        let info = resolve(
            "203.0.113.9",
            &[
                ("x-forwarded-for", "1.2.3.4"),
                ("cf-connecting-ip", "1.2.3.4"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil.example"),
                ("host", "good.example"),
            ],
        );
        let address = "203.0.113.9".parse().unwrap();
        assert_eq!(info, ClientInfo { ip: address, peer: address, is_secure: false, host: "good.example".into() });
    }

    #[test]
    fn forwarded_for_is_read_from_the_right_past_trusted_proxies() {
        let ip = |headers: &[(&'static str, &str)]| resolve("127.0.0.1", headers).ip.to_string();
        assert_eq!(ip(&[("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.0.0.2")]), "203.0.113.7");
        assert_eq!(ip(&[("x-forwarded-for", "6.6.6.6, 203.0.113.7"), ("x-forwarded-for", "10.0.0.2")]), "203.0.113.7");
        assert_eq!(ip(&[("x-forwarded-for", "203.0.113.7:4711")]), "203.0.113.7");
        assert_eq!(ip(&[("x-forwarded-for", "[2001:db8::1]:4711")]), "2001:db8::1");
        assert_eq!(ip(&[("x-forwarded-for", "192.168.1.5, 10.0.0.2")]), "192.168.1.5");
        assert_eq!(ip(&[("x-forwarded-for", "unknown, 10.0.0.2")]), "10.0.0.2");
        assert_eq!(ip(&[("x-forwarded-for", "garbage")]), "127.0.0.1");
        assert_eq!(ip(&[("cf-connecting-ip", "203.0.113.8"), ("x-forwarded-for", "10.9.9.9")]), "203.0.113.8");
    }

    #[test]
    fn x_real_ip_and_forwarded_count_where_x_forwarded_for_is_silent() {
        let ip = |headers: &[(&'static str, &str)]| resolve("127.0.0.1", headers).ip.to_string();
        let (real, forwarded) = (("x-real-ip", "203.0.113.7"), ("forwarded", "for=203.0.113.8"));
        assert_eq!(ip(&[forwarded, real, ("x-forwarded-for", "203.0.113.6")]), "203.0.113.6");
        assert_eq!(ip(&[forwarded, real]), "203.0.113.7");
        assert_eq!(ip(&[forwarded, ("x-real-ip", "unknown")]), "203.0.113.8");
        for (value, wanted) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=\"192.0.2.43:80\"", "192.0.2.43"),
            ("for=6.6.6.6, for=192.0.2.43;secret=x, proto=https;for=10.0.0.2", "192.0.2.43"),
            ("for=192.0.2.43, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=unknown", "127.0.0.1"),
            ("proto=https", "127.0.0.1"),
            ("for=\"", "127.0.0.1"),
        ] {
            assert_eq!(ip(&[("forwarded", value)]), wanted, "{value}");
        }
        let two = [("forwarded", "for=6.6.6.6, for=203.0.113.5"), ("forwarded", "for=10.0.0.2")];
        assert_eq!(ip(&two), "203.0.113.5");
        assert_eq!(resolve("203.0.113.9", &[real, forwarded]).ip.to_string(), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_decides_scheme_and_host() {
        let info = resolve(
            "::ffff:10.0.0.1",
            &[("x-forwarded-proto", "https,http"), ("x-forwarded-host", "errors.example:8443"), ("host", "inner")],
        );
        assert_eq!(info.origin(), "https://errors.example:8443");
        assert_eq!(info.host_name(), "errors.example");
    }

    #[test]
    fn host_names_lose_port_and_brackets() {
        for (host, name) in [
            ("a.b:1", "a.b"),
            ("a.b", "a.b"),
            ("[::1]:8000", "::1"),
            ("::1", "::1"),
            ("", ""),
            ("localhost:1@evil.example", "localhost:1@evil.example"),
            ("[::1]@evil.example", "[::1]@evil.example"),
        ] {
            assert_eq!(host_name(host), name);
        }
    }
}
