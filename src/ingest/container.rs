//! Large containers of logs and spans, `{"version": 2, "items": [...]}`: taken apart between their records, since what is
//! kept travels in pieces.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::head;
use super::kept::PART_BYTES;

/// Largest container (the protocol's limit for all of an envelope).
pub(super) const MAX_BYTES: usize = 12 * 1024 * 1024;

/// Records of one piece; what a container has beyond as many is not looked at later.
const MAX_RECORDS: usize = 1_000;

/// A container in pieces, each a container of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) pieces: Vec<Bytes>,
    /// Records that are larger than a piece.
    pub(super) left_out: u64,
}

/// Takes a container apart; `None` if it cannot be read. Bare numbers, which old clients send, are no obstacle, as they are
/// none in a small container.
pub(super) fn take_apart(payload: &[u8]) -> Option<Pieces> {
    pieces(payload).or_else(|| pieces(&head::without_bare_numbers(payload)))
}

fn pieces(payload: &[u8]) -> Option<Pieces> {
    let mut fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(payload).ok()?;
    let records: Vec<&RawValue> = serde_json::from_str(fields.remove("items")?.get()).ok()?;
    let mut head = String::from("{");
    for (name, value) in fields {
        for part in [&serde_json::Value::from(name).to_string(), ":", value.get(), ","] {
            head.push_str(part);
        }
    }
    head.push_str("\"items\":[");
    let (mut pieces, mut left_out) = (Vec::new(), 0);
    let mut piece = head.clone();
    let mut count = 0;
    for record in records {
        let size = record.get().len() + ",]}".len();
        if head.len() + size > PART_BYTES {
            left_out += 1;
            continue;
        }
        if count == MAX_RECORDS || piece.len() + size > PART_BYTES {
            pieces.push(whole(std::mem::replace(&mut piece, head.clone())));
            count = 0;
        }
        if count > 0 {
            piece.push(',');
        }
        piece.push_str(record.get());
        count += 1;
    }
    if count > 0 {
        pieces.push(whole(piece));
    }
    Some(Pieces { pieces, left_out })
}

fn whole(piece: String) -> Bytes {
    Bytes::from(piece + "]}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn records(payload: &Value) -> (Vec<Value>, u64) {
        let Pieces { pieces, left_out } = take_apart(payload.to_string().as_bytes()).unwrap();
        let mut all = Vec::new();
        for piece in pieces {
            assert!(piece.len() <= PART_BYTES);
            let Value::Object(mut piece) = serde_json::from_slice(&piece).unwrap() else { panic!("no object") };
            let Some(Value::Array(items)) = piece.remove("items") else { panic!("no items") };
            assert!((1..=MAX_RECORDS).contains(&items.len()));
            all.extend(items);
            let mut rest = payload.clone();
            rest.as_object_mut().unwrap().remove("items");
            assert_eq!(Value::Object(piece), rest);
        }
        (all, left_out)
    }

    #[test]
    fn each_record_is_in_one_piece_and_each_piece_is_a_container() {
        for (size, count) in [(1, 1), (1, 2_500), (1024 * 1024, 11), (PART_BYTES / 2, 5)] {
            let items: Vec<Value> = (0..count).map(|n| json!({ "n": n, "body": "ß".repeat(size / 2) })).collect();
            let payload = json!({ "version": 2, "ingest_settings": { "infer_ip": "auto" }, "items": items });
            assert_eq!(records(&payload), (items, 0), "{count} of {size}");
        }
    }

    #[test]
    fn records_larger_than_a_piece_are_left_out() {
        let items = [json!(1), json!("x".repeat(PART_BYTES)), json!({ "a": [] })];
        assert_eq!(records(&json!({ "items": items })), (vec![json!(1), json!({ "a": [] })], 1));
        let heavy = json!({ "version": "x".repeat(PART_BYTES), "items": [1, 2] });
        assert_eq!(records(&heavy), (vec![], 2));
    }

    #[test]
    fn bare_numbers_are_none_and_the_records_around_them_are_kept() {
        let text = r#"{"version":NaN,"items":[{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN"},NaN,{"d":"\ud800"}]}"#;
        let Pieces { pieces, left_out } = take_apart(text.as_bytes()).unwrap();
        let whole = r#"{"version":null,"items":[{"a":null,"b":[null,null],"c":"NaN"},null,{"d":"\ud800"}]}"#;
        assert_eq!((pieces, left_out), (vec![Bytes::from(whole)], 0));
    }

    #[test]
    fn what_is_no_container_has_no_pieces() {
        for text in ["", "[]", "{}", "{\"items\":1}", "{\"items\":[}", "{\"items\":[1]", "{\"items\":[nan]}"] {
            assert_eq!(take_apart(text.as_bytes()), None, "{text}");
        }
        assert_eq!(records(&json!({ "items": [] })), (vec![], 0));
    }
}
