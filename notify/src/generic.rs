//! Plain JSON for programs of people's own.

use std::fmt::Write as _;

use serde::Serialize;

use crate::verdict::{Answer, Verdict};
use crate::{Message, sign};

/// The headers that carry the [`signature`], each the same: receivers look for the one or for the other.
pub const SIGNATURE_HEADERS: [&str; 2] = ["X-Signature", "X-Signature-256"];
/// The header with which a receiver recognises a repetition.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";
/// Raised when a field changes its meaning; a new field does not raise it.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a> {
    version: u32,
    kind: &'a str,
    #[serde(flatten)]
    message: &'a Message,
}

/// The request body. `kind` says what happened in a word for programs, such as `restart.report` or `test`.
pub fn body(message: &Message, kind: &str) -> Vec<u8> {
    // Strings and lists of strings: there is nothing in it that JSON cannot express.
    serde_json::to_vec(&Envelope { version: VERSION, kind, message }).unwrap_or_default()
}

/// The value of the [`SIGNATURE_HEADERS`] for exactly these bytes of `body`: `sha256=` and HMAC-SHA256 in hexadecimal.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut value = "sha256=".to_owned();
    for byte in sign(secret.as_bytes(), body) {
        // Writing to a string cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    value
}

/// The headers for exactly these bytes of `body`: the `id` by which a repetition is known, and with a secret the
/// signatures.
pub fn headers(secret: Option<&str>, id: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    let mut headers = vec![(IDEMPOTENCY_HEADER, id.to_owned())];
    if let Some(secret) = secret {
        let signature = signature(secret, body);
        headers.extend(SIGNATURE_HEADERS.map(|name| (name, signature.clone())));
    }
    headers
}

/// The status decides. Nothing found may be a program that is being replaced.
pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    match answer.status {
        404 => Verdict::later("HTTP 404", answer.after),
        _ => answer.by_status(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    #[test]
    fn the_body_is_stable_json() {
        let wanted = concat!(
            r#"{"version":1,"kind":"test","title":"Restart <failed>","level":"error","#,
            r#""facts":[{"name":"Service","value":"web & worker"}],"body":"line one\nline two","#,
            r#""link":"https://errors.example.com/","language":"en"}"#
        );
        assert_eq!(String::from_utf8(body(&message(), "test")).unwrap(), wanted);
    }

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn headers_name_the_message_and_sign_it() {
        assert_eq!(headers(None, "id", b""), [(IDEMPOTENCY_HEADER, "id".to_owned())]);
        let signed = headers(Some("s"), "id", b"x");
        assert_eq!(signed.len(), 3);
        assert!(signed.iter().skip(1).all(|(_, value)| *value == signature("s", b"x")));
    }

    #[test]
    fn nothing_found_may_be_found_later() {
        let read = |status| verdict(&Answer::new(status, None, b"whatever"));
        assert_eq!(read(204), Verdict::Taken);
        assert_eq!(read(404), Verdict::later("HTTP 404", None));
        assert_eq!(read(401), Verdict::refused("HTTP 401"));
    }
}
