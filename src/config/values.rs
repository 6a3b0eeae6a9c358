//! What single values may look like: `None` for one that is malformed.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

pub(super) fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// A size; a switch, as some have it, says nothing about it.
pub(super) fn parse_pool_size(text: &str) -> Option<u32> {
    match text.parse() {
        Ok(size) => (1..=1000).contains(&size).then_some(size),
        Err(_) => super::reader::parse_flag(text).map(|_| super::DEFAULT_POOL),
    }
}

pub(super) fn parse_upload_size(text: &str) -> Option<usize> {
    const MIB: u64 = 1024 * 1024;
    let bytes = text.parse::<u64>().ok().filter(|bytes| *bytes >= MIB)?;
    usize::try_from(bytes.min(100 * MIB)).ok()
}

pub(super) fn parse_fsync(text: &str) -> Option<bool> {
    match text {
        "always" => Some(true),
        "everysec" => Some(false),
        _ => None,
    }
}

pub(super) fn parse_spool_size(text: &str) -> Option<u64> {
    text.parse().ok().filter(|bytes| *bytes >= 16 * 1024 * 1024)
}

pub(super) fn parse_life(text: &str) -> Option<u32> {
    text.parse().ok().filter(|days| (1..=36_500).contains(days))
}

/// First parts of our own addresses. The path that a proxy serves us under begins otherwise, so that it is known whether
/// the proxy has taken it off.
const OWN_PATHS: &[&str] = &[
    "_health", "api", "issues", "livez", "login", "logout", "metrics", "projects", "readyz", "settings", "static",
    "tunnel", "usage",
];

/// `https://example.com`, or `https://example.com/errors` where a proxy serves us under a path.
pub(super) fn parse_public_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let path = url.path().trim_end_matches('/');
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.' | '~'))
    };
    let path_is_sound = path.is_empty()
        || path.strip_prefix('/').is_some_and(|path| {
            path.split('/').all(is_part) && path.split('/').next().is_some_and(|first| !OWN_PATHS.contains(&first))
        });
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && path_is_sound
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `*`, `example.com`, `.example.com` (with subdomains) or an address, as Django understands it.
pub(super) fn parse_host_pattern(text: &str) -> Option<String> {
    let is_plain = text
        .chars()
        .all(|character| character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '[' | ']' | '*'));
    is_plain.then(|| text.to_ascii_lowercase())
}

pub(super) fn parse_origin(text: &str) -> Option<String> {
    let (scheme, host) = text.split_once("://")?;
    let sound = matches!(scheme, "http" | "https") && !host.is_empty() && !host.trim_end_matches('/').contains('/');
    sound.then(|| text.trim_end_matches('/').to_ascii_lowercase())
}

pub(super) fn parse_log_format(text: &str) -> Option<bool> {
    match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    }
}
