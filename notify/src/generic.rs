//! Plain JSON for programs of people's own.

use std::fmt::Write as _;

use serde::Serialize;

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
}
