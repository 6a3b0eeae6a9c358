//! Sources that reports of content-security-policy violations are not wanted of: `https://*.example.com:8000`, any part of
//! which may be left out or `*`; or a word that browsers report instead of an address (`about`, `data`).

use serde_json::Value;

use crate::protocol::Event;

/// An address, or a pattern of one; what is missing is anything. In lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    scheme: Option<String>,
    host: Option<String>,
    port: Option<String>,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let given = |text: &str| (!text.is_empty() && text != "*").then(|| text.to_ascii_lowercase());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (given(scheme), rest),
            None => (None, text),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (given(host), given(port)),
            _ => (given(authority), None),
        };
        Self { scheme, host, port }
    }

    /// True if the pattern fits the address.
    fn fits(&self, address: &Self) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        // Of what has no address, browsers report the scheme alone.
        let is_scheme_alone =
            self.host.is_none() && self.scheme.is_some() && address.scheme.is_none() && self.scheme == address.host;
        is_scheme_alone
            || (is(&self.scheme, &address.scheme) && is(&self.port, &address.port) && self.fits_host(address))
    }

    fn fits_host(&self, address: &Self) -> bool {
        let Some(wanted) = self.host.as_deref() else { return true };
        let Some(found) = address.host.as_deref() else { return false };
        match wanted.strip_prefix("*.") {
            Some(domain) => found == domain || found.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => found == wanted,
        }
    }
}

/// True for a report about one of these: it was blocked, or a script of it was.
pub(super) fn is_among(event: &Event, sources: &[Source]) -> bool {
    if sources.is_empty() || event.csp.is_empty() {
        return false;
    }
    let texts = ["blocked_uri", "source_file"].into_iter().filter_map(|key| event.csp.get(key).and_then(Value::as_str));
    texts.filter(|text| !text.is_empty()).map(Source::new).any(|found| sources.iter().any(|source| source.fits(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_source_may_be_left_out() {
        for (pattern, address, wanted) in [
            ("*", "http://a.example/x", true),
            ("http://*", "http://a.example", true),
            ("http://*", "https://a.example", false),
            ("a.example", "http://a.example:90/x.js?y", true),
            ("a.example:91", "http://a.example:91", true),
            ("a.example:91", "http://a.example:92", false),
            ("*.example:*", "https://a.b.example/", true),
            ("*.b.example", "https://b.example/", true),
            ("*.b.example", "https://bb.example/", false),
            ("*:8000", "http://a.example:8000", true),
            ("HTTPS://A.example", "https://a.EXAMPLE/", true),
            ("about", "about", true),
            ("data", "data", true),
            ("chrome-extension://*", "chrome-extension://abc/x.js", true),
            ("chrome-extension://*", "chrome-extension", true),
            ("localhost", "http://localhost:3000/", true),
            ("a.example", "inline", false),
            ("http://[::1]:80", "http://[::1]:80/x", true),
            ("[::1]", "http://[::1]/x", true),
        ] {
            assert_eq!(Source::new(pattern).fits(&Source::new(address)), wanted, "{pattern} of {address}");
        }
    }
}
