//! The little that the edge reads of an event itself.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ids::EventId;

/// What an event says of its own id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PayloadId {
    /// A good one.
    Given(EventId),
    /// None, or all zero.
    Absent,
    /// Something else.
    Invalid,
}

#[derive(Default)]
struct Head<'a> {
    event_id: Option<&'a RawValue>,
    event_type: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    EventId,
    Type,
    #[serde(other)]
    Other,
}

/// By hand, because a key that occurs twice is no error: the last one counts.
impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Head<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
                let mut head = Head::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::EventId => head.event_id = Some(map.next_value()?),
                        Key::Type => head.event_type = Some(map.next_value()?),
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// An event's id and type; `None` if the payload is not strict JSON. Sound values are skipped, not built.
pub(super) fn read(payload: &[u8]) -> Option<(PayloadId, Option<&str>)> {
    let head: Head<'_> = serde_json::from_slice(payload).ok()?;
    let event_type = head.event_type.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Some((payload_id(head.event_id), event_type))
}

fn payload_id(raw: Option<&RawValue>) -> PayloadId {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return PayloadId::Absent };
    match serde_json::from_str::<EventId>(raw.get()) {
        Ok(id) if id.0.is_nil() => PayloadId::Absent,
        Ok(id) => PayloadId::Given(id),
        Err(_) => PayloadId::Invalid,
    }
}

/// The payload with bare `NaN`, `Infinity` and `-Infinity`, which old Python clients send, as `null`.
pub(super) fn without_bare_numbers(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut rest = payload;
    let mut in_string = false;
    while let Some((byte, tail)) = rest.split_first() {
        if in_string {
            out.push(*byte);
            rest = tail;
            if *byte == b'\\' {
                if let Some((escaped, tail)) = rest.split_first() {
                    out.push(*escaped);
                    rest = tail;
                }
            } else if *byte == b'"' {
                in_string = false;
            }
            continue;
        }
        let bare = [b"NaN".as_slice(), b"-Infinity", b"Infinity"].into_iter().find_map(|word| rest.strip_prefix(word));
        if let Some(tail) = bare {
            out.extend_from_slice(b"null");
            rest = tail;
        } else {
            in_string = *byte == b'"';
            out.push(*byte);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn ids_are_read_in_every_spelling() {
        let id = |text: &str| read(text.as_bytes()).map(|(id, _)| id);
        let given = PayloadId::Given(EventId::parse(ID).unwrap());
        assert_eq!(id(&format!(r#"{{"a":[1,{{"event_id":5}}],"event_id":"{ID}"}}"#)), Some(given));
        assert_eq!(id(r#"{"event_id":null}"#), Some(PayloadId::Absent));
        assert_eq!(id(r#"{"event_id":"00000000000000000000000000000000"}"#), Some(PayloadId::Absent));
        assert_eq!(id(r#"{"message":"x"}"#), Some(PayloadId::Absent));
        assert_eq!(id(r#"{"event_id":"short"}"#), Some(PayloadId::Invalid));
        assert_eq!(id(r#"{"event_id":7}"#), Some(PayloadId::Invalid));
        let twice = format!(r#"{{"event_id":"short","event_id":"{ID}"}}"#);
        assert_eq!(id(&twice), Some(PayloadId::Given(EventId::parse(ID).unwrap())));
        assert_eq!(id("nonsense"), None);
    }

    #[test]
    fn the_type_is_read() {
        assert_eq!(read(br#"{"type":"transaction"}"#), Some((PayloadId::Absent, Some("transaction"))));
    }

    #[test]
    fn bare_numbers_become_null_outside_of_strings_only() {
        let fixed = without_bare_numbers(br#"{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN \" Infinity"}"#);
        assert_eq!(fixed, br#"{"a":null,"b":[null,null],"c":"NaN \" Infinity"}"#);
    }
}
