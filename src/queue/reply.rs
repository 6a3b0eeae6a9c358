//! Reads what XREADGROUP and XCLAIM answer, by hand: the library's maps copy each entry, and trip over entries
//! that were deleted while pending.

use bytes::Bytes;
use fred::types::Value;

use super::consumer::Entry;
use super::keys::DATA;

/// `[[key, [[id, [field, value, ...]], ...]]]` for one stream, or nil.
pub(super) fn entries(reply: Value) -> Vec<Entry> {
    let streams = array(reply);
    let Some(stream) = streams.into_iter().next() else { return Vec::new() };
    let Some(entries) = array(stream).into_iter().nth(1) else { return Vec::new() };
    array(entries).into_iter().filter_map(entry).collect()
}

/// `[[id, [field, value, ...], deliveries], ...]`, as the script for taking over answers.
pub(super) fn claimed(reply: Value) -> Vec<Entry> {
    array(reply).into_iter().filter_map(entry).collect()
}

/// `[[id, [field, value, ...]], ...]`, as XRANGE answers.
pub(super) fn rows(reply: Value) -> Vec<(String, Vec<(Bytes, Bytes)>)> {
    let read = |row: Value| {
        let mut parts = array(row).into_iter();
        Some((parts.next()?.into_string()?, pairs(parts.next()?)))
    };
    array(reply).into_iter().filter_map(read).collect()
}

/// `[name, value, name, value, ...]`
pub(super) fn pairs(reply: Value) -> Vec<(Bytes, Bytes)> {
    let mut values = array(reply).into_iter();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        pairs.extend(bytes(name).zip(bytes(value)));
    }
    pairs
}

/// `[[id, consumer, idle, deliveries], ...]`, as XPENDING answers.
pub(super) fn pending(reply: Value) -> Vec<(String, u64)> {
    let read = |row: Value| {
        let mut parts = array(row).into_iter();
        let id = parts.next()?.into_string()?;
        Some((id, parts.nth(2)?.as_u64()?))
    };
    array(reply).into_iter().filter_map(read).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let mut parts = array(value).into_iter();
    let id = bytes(parts.next()?)?;
    let id = String::from_utf8(id.to_vec()).ok()?;
    let mut fields = parts.next().map(array).unwrap_or_default().into_iter();
    let mut data = Bytes::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        if bytes(name).is_some_and(|name| name == DATA.as_bytes()) {
            data = bytes(value).unwrap_or_default();
        }
    }
    let deliveries = parts.next().and_then(|value| value.as_u64()).unwrap_or(1);
    Some(Entry { id, data, deliveries })
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::String(text) => Some(text.into_inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &'static str) -> Value {
        Value::from_static_str(value)
    }

    #[test]
    fn entries_keep_their_bytes_and_deleted_ones_are_empty() {
        let full = Value::Array(vec![
            text("1-0"),
            Value::Array(vec![text("x"), text("ignored"), text("d"), Value::Bytes(Bytes::from_static(b"\xff\0"))]),
        ]);
        let deleted = Value::Array(vec![text("2-0"), Value::Null]);
        let reply = Value::Array(vec![Value::Array(vec![text("q:ingest"), Value::Array(vec![full, deleted])])]);
        let read = entries(reply);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].id.as_str(), read[0].data.as_ref()), ("1-0", b"\xff\0".as_slice()));
        assert_eq!((read[1].id.as_str(), read[1].data.len()), ("2-0", 0));
        assert!(entries(Value::Null).is_empty());
    }
}
