//! Passwords in the addresses of services, and the addresses of people.

use std::net::{IpAddr, SocketAddr};

use super::content::is_parameter;
use super::text::{Finding, Kind, MARKS};

/// A password with a `/` in it is looked for no further than this.
const MAX_PASSWORD: usize = 256;
/// What Go's drivers have before a host.
const PROTOCOLS: [&str; 2] = ["tcp(", "unix("];
/// Stands where an IP address was.
pub(super) const IP: &str = "[ip]";

/// The passwords of `scheme://user:password@host`.
pub(super) fn find_passwords(text: &str, found: &mut Vec<Finding>) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = text.get(start..).unwrap_or_default();
        let is_end = |character: char| {
            character.is_whitespace() || matches!(character, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`')
        };
        let authority = rest.get(..rest.find(is_end).unwrap_or(rest.len())).unwrap_or_default();
        let Some((user, password)) = authority.split_once(':') else { continue };
        if user.contains(['@', '[']) {
            continue;
        }
        let from = start + user.len() + 1;
        // The last `@` counts, since passwords have some; one with a `/` in it was not encoded.
        let length = password.rfind('@').or_else(|| {
            let is_port = password.bytes().all(|byte| byte.is_ascii_digit());
            if is_port { None } else { unencoded(text.get(from..).unwrap_or_default()) }
        });
        let Some(length) = length else { continue };
        let password = text.get(from..from + length).unwrap_or_default();
        if !password.is_empty() && !MARKS.contains(&password) && !is_parameter(password) {
            found.push(Finding { range: from..from + length, kind: Kind::UrlPassword });
        }
    }
}

/// The passwords of addresses without a scheme: `user:password@tcp(host)` of Go, `user/password@host` of Oracle, and
/// `user:password@host:port`. With nothing behind the host it may as well be `email:name@host`, which stays.
pub(super) fn find_bare_passwords(text: &str, found: &mut Vec<Finding>) {
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        let near = text.ceil_char_boundary(at.saturating_sub(MAX_PASSWORD)).max(from);
        let is_edge = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '(' | ',');
        let word = text.get(near..at).and_then(|near| near.rsplit(is_edge).next()).unwrap_or_default();
        from = at + 1;
        let host = text.get(from..).unwrap_or_default();
        let is_oracle = word.starts_with("jdbc:oracle:");
        let login = word.rsplit_once(':').map_or(word, |(_, login)| login);
        let Some((user, password)) = (if is_oracle { login.split_once('/') } else { word.split_once(':') }) else {
            continue;
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_user = user.chars().all(is_name) && user.bytes().any(|byte| byte.is_ascii_alphabetic());
        let is_made = password.bytes().any(|byte| byte.is_ascii_digit())
            && password.bytes().any(|byte| byte.is_ascii_alphabetic())
            && !password.contains(['/', '@']);
        let is_driven = (is_oracle || PROTOCOLS.iter().any(|protocol| host.starts_with(protocol)))
            && !password.is_empty()
            && !is_parameter(password);
        if is_user && (is_made || is_driven) && (is_oracle || is_service(host)) && !MARKS.contains(&password) {
            found.push(Finding { range: at - password.len()..at, kind: Kind::UrlPassword });
        }
    }
}

/// A host that is no mail's: with a port, a path behind it, or a protocol before it.
fn is_service(host: &str) -> bool {
    if PROTOCOLS.iter().any(|protocol| host.starts_with(protocol)) {
        return true;
    }
    let near = host.get(..host.floor_char_boundary(MAX_PASSWORD)).unwrap_or(host);
    let length = near.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(near.len());
    let (name, behind) = near.split_at_checked(length).unwrap_or_default();
    let is_port = behind.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let is_named = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.starts_with("sha");
    (is_named || name.parse::<IpAddr>().is_ok()) && is_port
}

/// Where the password ends if it goes on behind a `/`, `?` or `#`.
fn unencoded(text: &str) -> Option<usize> {
    let near = text.get(..text.floor_char_boundary(MAX_PASSWORD)).unwrap_or(text);
    let end =
        near.find(|character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | '@'))?;
    near.get(end..)?.starts_with('@').then_some(end)
}

/// A header of a proxy, in which the addresses of those who asked stand.
pub(super) fn names_clients(field: &str) -> bool {
    const NAMES: [&str; 11] = [
        "x-forwarded-for",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-envoy-external-address",
        "forwarded",
        "cf-connecting-ip",
        "true-client-ip",
        "fastly-client-ip",
        "remote-addr",
    ];
    let name = field.to_ascii_lowercase().replace('_', "-");
    NAMES.contains(&name.strip_prefix("http-").unwrap_or(&name))
}

/// The text with `[ip]` for each address; `None` if it has none.
pub(super) fn without_ips(text: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':' | '[' | ']' | '%');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at_checked(start)?;
        let (word, behind) = from.split_at_checked(from.find(|c| !is_part(c)).unwrap_or(from.len()))?;
        out.push_str(before);
        let is_ip = is_ip(word);
        changed |= is_ip;
        out.push_str(if is_ip { IP } else { word });
        rest = behind;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// As [`without_ips`], of a text in which anything may stand: what is a part of a longer word (`v1.2.3.4`, `std::cout`)
/// is no address.
pub(super) fn without_addresses(text: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':' | '[' | ']');
    if !text.bytes().any(|byte| byte.is_ascii_digit()) || !text.contains(['.', ':']) {
        return None;
    }
    let is_letter = |character: char| character.is_alphanumeric() || character == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at_checked(start)?;
        let (word, behind) = from.split_at_checked(from.find(|c| !is_part(c)).unwrap_or(from.len()))?;
        out.push_str(before);
        match address_in(word, before.ends_with(is_letter), behind.starts_with(is_letter)) {
            Some(address) => {
                out.push_str(&word.replacen(address, IP, 1));
                changed = true;
            }
            None => out.push_str(word),
        }
        rest = behind;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// The address that a word is but for the punctuation around it, which parts it from a letter before or behind. One
/// without a digit is a word (`a::b`).
fn address_in(word: &str, follows_letter: bool, precedes_letter: bool) -> Option<&str> {
    let marks = ['.', ':'];
    let ways = [word, word.trim_end_matches(marks), word.trim_start_matches(marks), word.trim_matches(marks)];
    ways.into_iter().find(|way| {
        let (is_first, is_last) = (word.starts_with(way), word.ends_with(way));
        let is_part = (is_first && follows_letter) || (is_last && precedes_letter);
        !is_part && way.bytes().any(|byte| byte.is_ascii_digit()) && is_ip(way)
    })
}

fn is_ip(word: &str) -> bool {
    let bare = word.trim_matches(['[', ']']);
    bare.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_addresses_are_found() {
        for (text, password) in [
            ("https://user:hunter2@host/path", Some("hunter2")),
            ("redis://:p@ss@host:6379/0", Some("p@ss")),
            ("postgres://u:a/b@host", Some("a/b")),
            ("https://user:[Filtered]@host", None),
            ("https://user@host", None),
            ("http://host:8080/img@2x.png", None),
            ("http://[::1]:80/x@y", None),
            ("mail a@b.c about http://x", None),
        ] {
            let mut found = Vec::new();
            find_passwords(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), password, "{text}");
        }
    }

    #[test]
    fn addresses_of_clients_are_replaced() {
        for (text, wanted) in [
            ("203.0.113.7", Some("[ip]")),
            ("203.0.113.7, 10.0.0.1:8080", Some("[ip], [ip]")),
            ("for=\"[2001:db8::1]:4711\";proto=https", Some("for=\"[ip]\";proto=https")),
            ("unknown, face", None),
            ("", None),
        ] {
            assert_eq!(without_ips(text).as_deref(), wanted, "{text}");
        }
        for (text, wanted) in [
            ("from 203.0.113.7.", Some("from [ip].")),
            ("ip:203.0.113.7:8080, then", Some("ip:[ip], then")),
            ("host/203.0.113.7 (2001:db8::1)", Some("host/[ip] ([ip])")),
            ("http://[2001:db8::1]:80/x", Some("http://[ip]/x")),
            ("peer ::1 closed", Some("peer [ip] closed")),
            ("std::cout a::b crate::db::x", None),
            ("v1.2.3.4, 1.2.3.4rc1, 1.2.3, 12:30:45, 2026-11-26T10:00:00.5Z", None),
            ("no address", None),
            ("", None),
        ] {
            assert_eq!(without_addresses(text).as_deref(), wanted, "{text}");
        }
        assert!(names_clients("X-Forwarded-For") && names_clients("HTTP_X_REAL_IP") && names_clients("REMOTE_ADDR"));
        assert!(!names_clients("Host"));
    }
}
