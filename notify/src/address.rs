//! As much of a URL as the services' addresses need.

use std::fmt::Write as _;

/// The parts of an `http` or `https` address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// All before the path: `https://user@host:8080`.
    pub(crate) origin: &'a str,
    /// Without user and port.
    pub(crate) host: &'a str,
    /// Empty, or with a slash before.
    pub(crate) path: &'a str,
    /// Without the question mark.
    pub(crate) query: &'a str,
}

/// Takes an address apart; a fragment is left out.
///
/// # Errors
/// What is wrong with it, without the address: it may be a secret.
pub(crate) fn split(url: &str) -> Result<Parts<'_>, String> {
    if url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err("the address has a space in it".to_owned());
    }
    let url = url.split('#').next().unwrap_or_default();
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .ok_or("the address does not begin with http:// or https://")?;
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let authority = rest.split(['/', '?', '\\']).next().unwrap_or_default();
    let (origin, after) = url.split_at_checked(scheme.len() + authority.len()).unwrap_or((url, ""));
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    Ok(Parts { origin, host, path, query })
}

impl Parts<'_> {
    /// The decoded value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).find(|value| !value.is_empty())
    }

    /// The address with more parameters, whose values are encoded here.
    pub(crate) fn with(&self, pairs: &[(&str, &str)]) -> String {
        let mut url = format!("{}{}", self.origin, self.path);
        let more = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let all: Vec<String> =
            Some(self.query.to_owned()).filter(|query| !query.is_empty()).into_iter().chain(more).collect();
        if !all.is_empty() {
            url.push('?');
            url.push_str(&all.join("&"));
        }
        url
    }
}

/// What stands in the place of a part of an address.
const MASK: &str = "***";

/// Shorter parts of an address are words such as `services`: no secret, and needed to understand a sentence.
const LONG: usize = 12;

/// Shorter parts are no secret even when there are digits in them.
const SHORTEST: usize = 8;

/// The text without the path and the query of this address: for most services whoever knows those can send.
pub fn without_address(text: &str, url: &str) -> String {
    let Ok(parts) = split(url) else { return text.to_owned() };
    let whole = url.split('#').next().unwrap_or_default().get(parts.origin.len()..).unwrap_or_default();
    let segments = parts.path.split('/');
    let values = parts.query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let is_secret =
        |part: &&str| part.len() >= LONG || (part.len() >= SHORTEST && part.bytes().any(|byte| byte.is_ascii_digit()));
    let tokens = segments.chain(values).flat_map(|part| [part, part.split_once(':').map_or("", |(_, token)| token)]);
    let mut secret: Vec<String> = [whole, parts.path, parts.query]
        .into_iter()
        .filter(|part| part.len() > 3)
        .chain(tokens.filter(is_secret))
        .flat_map(|part| [part.to_owned(), decode(part)])
        .collect();
    // The longest first: one is a part of another.
    secret.sort_by_key(|part| std::cmp::Reverse(part.len()));
    secret.dedup();
    secret.iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), MASK))
}

/// Percent-encoding of all but letters, digits and `-._~`.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(match (code, first) {
            (Some(code), _) => code,
            (None, b'+') => b' ',
            (None, other) => *other,
        });
        rest = if code.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_apart() {
        let parts = split("https://u:p@Example.org:8080/a/b?c=%40d+e&f=#g").unwrap();
        assert_eq!(parts.origin, "https://u:p@Example.org:8080");
        assert_eq!((parts.host, parts.path, parts.query), ("Example.org", "/a/b", "c=%40d+e&f="));
        assert_eq!(parts.parameter("c").as_deref(), Some("@d e"));
        assert_eq!((parts.parameter("f"), parts.parameter("x")), (None, None));
        assert_eq!(parts.with(&[("s", "a+/=")]), "https://u:p@Example.org:8080/a/b?c=%40d+e&f=&s=a%2B%2F%3D");
        assert_eq!(split("http://[::1]:9/x").unwrap().host, "::1");
        assert_eq!(split("http://a").unwrap().with(&[("b", "c")]), "http://a?b=c");
    }

    #[test]
    fn nothing_of_an_address_is_left_in_a_sentence() {
        let url = "https://hooks.slack.com/services/T00000001/B00000002/abcdefghijkl?key=se%2Fcret-12345#x";
        for (text, clean) in [
            ("no /services/T00000001/B00000002/abcdefghijkl?key=se%2Fcret-12345 here", "no *** here"),
            ("no /services/T00000001/B00000002/abcdefghijkl", "no ***"),
            ("bad token abcdefghijkl of T00000001", "bad token *** of ***"),
            ("key se/cret-12345 or key=se%2Fcret-12345", "key *** or ***"),
            ("HTTP 404: our services know no team", "HTTP 404: our services know no team"),
        ] {
            assert_eq!(without_address(text, url), clean);
        }
        let bot = "https://api.telegram.org/bot12345:AbCdEfGhIjKl/sendMessage?chat_id=1";
        assert_eq!(without_address("token AbCdEfGhIjKl, chat 1", bot), "token ***, chat 1");
        assert_eq!(without_address("all of it", "https://a.example/"), "all of it");
        assert_eq!(without_address("all of it", "no address"), "all of it");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for url in ["", "ftp://token", "https://", "http://a/token b", "https:/token"] {
            assert!(!split(url).unwrap_err().contains("token"), "{url}");
        }
    }
}
