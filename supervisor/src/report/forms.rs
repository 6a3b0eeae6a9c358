//! The guises a secret may have in a text: as it is, and as programs write it into JSON, addresses, HTML and base64.

use std::fmt::Write as _;

/// Each once; some may be short.
pub(super) fn forms(value: &str) -> Vec<String> {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let quoted = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let encoded = percent_encoded(value, b"-._~");
    let mut forms = vec![
        value.to_owned(),
        quoted,
        with_lower_codes(&encoded),
        // As browsers do with what a path may hold, and as forms do with blanks.
        percent_encoded(value, b"-._~!$&'()*+,;=:@/?"),
        encoded.replace("%20", "+"),
        encoded,
        percent_decoded(value),
        html(value, "&#39;"),
        html(value, "&#x27;"),
        html(value, "'"),
    ];
    for alphabet in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|offset| base64(value.as_bytes(), offset, alphabet)));
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// All but letters, digits and `plain` as `%2F`.
fn percent_encoded(text: &str, plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `%2F` -> `%2f`.
pub(super) fn with_lower_codes(encoded: &str) -> String {
    let mut code = 0;
    let lower = |letter: char| {
        let lowered = if code > 0 { letter.to_ascii_lowercase() } else { letter };
        code = if letter == '%' { 2 } else { i32::max(code - 1, 0) };
        lowered
    };
    encoded.chars().map(lower).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = (*first == b'%').then(|| others.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { others.get(2..).unwrap_or_default() } else { others };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn html(text: &str, apostrophe: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', apostrophe)
}

/// What base64 makes of these bytes wherever they begin: after `offset` bytes of something else, modulo three. Signs that
/// also depend on what stands before or after are left out.
fn base64(bytes: &[u8], offset: usize, alphabet: &[u8; 64]) -> String {
    let bit = |index: usize| -> usize {
        let byte = (index / 8).checked_sub(offset).and_then(|place| bytes.get(place)).copied().unwrap_or(0);
        usize::from(byte >> (7 - index % 8) & 1)
    };
    let first = (offset * 8).div_ceil(6);
    let end = (offset + bytes.len()) * 8 / 6;
    let sign = |place: usize| {
        let value = (place * 6..place * 6 + 6).fold(0, |value, index| value * 2 + bit(index));
        alphabet.get(value).copied().map_or('=', char::from)
    };
    (first..end).map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_in_every_guise() {
        let has = |value: &str, form: &str| assert!(forms(value).iter().any(|known| known == form), "{form}");
        has("a b/c?d", "a%20b%2Fc%3Fd");
        has("a b/c?d", "a%20b%2fc%3fd");
        has("a b/c?d", "a+b%2Fc%3Fd");
        has("a b/c?d", "a%20b/c?d");
        has("p%40ss%2Fword", "p@ss/word");
        has("a\"b\\c", "a\\\"b\\\\c");
        has("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;");
        // `printf 'user:hunter2hunter2' | base64` and the like: whatever stands before.
        has("hunter2hunter2", "aHVudGVyMmh1bnRlcj");
        has("hunter2hunter2", "h1bnRlcjJodW50ZXIy");
        has("hunter2hunter2", "odW50ZXIyaHVudGVyM");
    }
}
