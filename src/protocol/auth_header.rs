//! The `Sentry …` credentials of the headers `X-Sentry-Auth` and `Authorization`.

use super::PublicKey;

/// What is read from a `Sentry key=value, …` header. The version, secret and timestamp that old
/// clients add say nothing we need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthHeader {
    /// `sentry_key`, or its synonym `glitchtip_key`.
    pub key: PublicKey,
    /// `sentry_client`: the SDK's name and version.
    pub client: Option<String>,
}

/// Reads a header such as `Sentry sentry_key=…, sentry_version=7, sentry_client=name/version`.
///
/// The scheme is case-insensitive and followed by a space; the order of pairs is free and unknown ones are ignored.
/// `None` when it is another scheme or carries no well-formed key.
pub fn parse_sentry_auth(header_value: &str) -> Option<AuthHeader> {
    let (scheme, pairs) = header_value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("sentry") {
        return None;
    }
    let mut key = None;
    let mut client = None;
    for pair in pairs.split(',') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "sentry_key" | "glitchtip_key" => key = PublicKey::parse(value).or(key),
            "sentry_client" if !value.is_empty() => client = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(AuthHeader { key: key?, client })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

    #[test]
    fn reads_what_clients_send() {
        for (header, client) in [
            (
                format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0"),
                Some("sentry.python/2.75.0"),
            ),
            (
                format!(
                    "Sentry sentry_version=5,sentry_timestamp=1763649000123,sentry_client=raven-node/2.6.4,sentry_secret=x, sentry_key={KEY}"
                ),
                Some("raven-node/2.6.4"),
            ),
            (format!("sentry glitchtip_key = {KEY} , other , sentry_timestamp=1763649000.12"), None),
            (format!("SENTRY sentry_key=\"{}\"", KEY.to_uppercase()), None),
        ] {
            let auth = parse_sentry_auth(&header).unwrap();
            assert_eq!(auth.key.as_str(), KEY, "{header}");
            assert_eq!(auth.client.as_deref(), client, "{header}");
        }
    }

    #[test]
    fn refuses_other_schemes_and_bad_keys() {
        for header in [
            String::new(),
            "Sentry".to_owned(),
            format!("Bearer {KEY}"),
            format!("Sentrysentry_key={KEY}"),
            "Sentry sentry_key=abc".to_owned(),
        ] {
            assert_eq!(parse_sentry_auth(&header), None, "{header}");
        }
    }
}
