//! The body of `/store/`: one event, in one of three wrappings.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

/// Clients pad or do not pad as they please.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a body is not an event in any wrapping. `E` is the inflating function's own error.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreBodyError<E> {
    /// No bytes.
    Empty,
    /// Neither JSON nor base64.
    Unrecognised,
    /// The wrapped data could not be inflated, or not within the limit.
    Inflate(E),
    /// What was inflated is not a JSON object.
    NotJson,
}

impl<E: fmt::Display> fmt::Display for StoreBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty request body"),
            Self::Unrecognised => f.write_str("the body is neither a JSON object nor base64"),
            Self::Inflate(error) => write!(f, "the base64 body could not be inflated: {error}"),
            Self::NotJson => f.write_str("the inflated body is not a JSON object"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for StoreBodyError<E> {}

/// Takes the wrapping off: JSON, base64(JSON) or base64(zlib(JSON)). Plain JSON comes back as a slice of `body`.
///
/// `inflate` undoes zlib within the caller's limit on bytes.
pub fn decode_store_body<E>(
    body: &Bytes,
    inflate: impl FnOnce(&[u8]) -> Result<Bytes, E>,
) -> Result<Bytes, StoreBodyError<E>> {
    let trimmed = body.trim_ascii();
    if trimmed.is_empty() {
        return Err(StoreBodyError::Empty);
    }
    if trimmed.starts_with(b"{") {
        return Ok(body.slice_ref(trimmed));
    }
    // Some clients fold base64 into lines.
    let folded: Vec<u8>;
    let encoded = if trimmed.iter().any(u8::is_ascii_whitespace) {
        folded = trimmed.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        folded.as_slice()
    } else {
        trimmed
    };
    let decoded = BASE64.decode(encoded).map_err(|_| StoreBodyError::Unrecognised)?;
    if decoded.starts_with(b"{") {
        return Ok(decoded.into());
    }
    let inflated = inflate(&decoded).map_err(StoreBodyError::Inflate)?;
    if inflated.trim_ascii_start().starts_with(b"{") { Ok(inflated) } else { Err(StoreBodyError::NotJson) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br#"{"message":"hi"}"#;

    fn no_inflate(_: &[u8]) -> Result<Bytes, String> {
        Err("not zlib".to_owned())
    }

    #[test]
    fn json_is_passed_through_without_a_copy() {
        let body = Bytes::from_static(b"  {\"message\":\"hi\"}\n");
        let out = decode_store_body(&body, no_inflate).unwrap();
        assert_eq!(out, EVENT);
        assert_eq!(out.as_ptr(), body.slice(2..).as_ptr());
    }

    #[test]
    fn base64_is_decoded_padded_or_not_folded_or_not() {
        for text in ["eyJtZXNzYWdlIjoiaGkifQ==", "eyJtZXNzYWdlIjoiaGkifQ", "eyJtZXNzYWdl\r\nIjoiaGkifQ==\n"] {
            assert_eq!(decode_store_body(&Bytes::from(text), no_inflate).unwrap(), EVENT, "{text}");
        }
    }

    #[test]
    fn base64_of_something_else_is_inflated() {
        let body = Bytes::from_static(b"eJyrVg==");
        let seen = decode_store_body(&body, |data: &[u8]| -> Result<Bytes, String> {
            assert_eq!(data, [0x78, 0x9c, 0xab, 0x56]);
            Ok(Bytes::from_static(EVENT))
        });
        assert_eq!(seen.unwrap(), EVENT);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(decode_store_body(&Bytes::from_static(b" \n"), no_inflate), Err(StoreBodyError::Empty));
        assert_eq!(decode_store_body(&Bytes::from_static(b"<html>"), no_inflate), Err(StoreBodyError::Unrecognised));
        assert_eq!(
            decode_store_body(&Bytes::from_static(b"eJyrVg=="), no_inflate),
            Err(StoreBodyError::Inflate("not zlib".to_owned()))
        );
        assert_eq!(
            decode_store_body(&Bytes::from_static(b"eJyrVg=="), |_| Ok::<_, String>(Bytes::from_static(b"[1]"))),
            Err(StoreBodyError::NotJson)
        );
    }
}
