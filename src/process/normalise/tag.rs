//! The client's tags.

use serde_json::Value;

use super::field::{Errors, Path, cut};

const MAX_KEY: usize = 200;
const MAX_VALUE: usize = 200;
const MAX_TAGS: usize = 200;
/// Names that mean a column or a search term, not a tag of the client's.
const RESERVED: [&str; 5] = ["release", "dist", "user", "filename", "function"];

/// An object, a list of pairs, or a list of `{key, value}`. Of equal keys the first wins.
pub(super) fn tags(errors: &mut Errors, at: &Path<'_>, value: Value) -> Vec<(String, String)> {
    let members: Vec<(Value, Value)> = match value {
        Value::Null => return Vec::new(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (Value::String(key), value)).collect(),
        Value::Array(list) => list.into_iter().filter_map(member).collect(),
        other => {
            errors.invalid(at, other, "an object or a list of pairs");
            return Vec::new();
        }
    };
    errors.shortened(at, members.len(), MAX_TAGS);
    let mut tags: Vec<(String, String)> = Vec::with_capacity(members.len().min(MAX_TAGS) + 16);
    for (key, value) in members.into_iter().take(MAX_TAGS) {
        let Some(key) = tag_key(errors, at, key) else { continue };
        if RESERVED.contains(&key.as_str()) || tags.iter().any(|(known, _)| *known == key) {
            continue;
        }
        if let Some(value) = tag_value(errors, &at.key(&key), value) {
            tags.push((key, value));
        }
    }
    tags
}

fn member(value: Value) -> Option<(Value, Value)> {
    match value {
        Value::Array(pair) => {
            let mut pair = pair.into_iter();
            Some((pair.next()?, pair.next()?))
        }
        Value::Object(mut map) => Some((map.remove("key")?, map.remove("value")?)),
        _ => None,
    }
}

fn tag_key(errors: &mut Errors, at: &Path<'_>, key: Value) -> Option<String> {
    let text = match &key {
        Value::String(text) => text.trim().replace(' ', "-"),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let is_valid = (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-'));
    if !is_valid {
        errors.invalid(at, key, "the name of a tag");
    }
    is_valid.then_some(text)
}

fn tag_value(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => {
            errors.invalid(at, other, "a text");
            return None;
        }
    };
    tidy(text)
}

/// One line of at most 200 characters; `None` if nothing is left.
pub(in crate::process) fn tidy(text: String) -> Option<String> {
    let text = if text.contains(['\n', '\r']) { text.replace("\r\n", " ").replace(['\n', '\r'], " ") } else { text };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return None;
    }
    Some(cut(if trimmed.len() == text.len() { text } else { trimmed.to_owned() }, MAX_VALUE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> (Vec<(String, String)>, usize) {
        let mut errors = Errors::default();
        let tags = tags(&mut errors, &Path::Root.key("tags"), value);
        (tags, errors.list.len())
    }

    fn owned(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_come_in_three_forms() {
        for value in [
            json!({"a": "1", "b": "2"}),
            json!([["a", "1"], ["b", "2"]]),
            json!([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]),
        ] {
            assert_eq!(read(value).0, owned(&[("a", "1"), ("b", "2")]));
        }
    }

    #[test]
    fn values_become_text() {
        assert_eq!(
            read(json!([["t", true], ["f", false], ["i", 5], ["d", 1.25], ["n", null], ["s", " a\nb "], ["e", ""]])),
            (owned(&[("t", "True"), ("f", "False"), ("i", "5"), ("d", "1.25"), ("s", "a b")]), 0)
        );
        assert_eq!(read(json!({"o": {}, "l": [1]})), (vec![], 2));
        assert_eq!(read(json!({"long": "x".repeat(300)})).0[0].1.len(), 200);
    }

    #[test]
    fn keys_are_tidied_and_the_first_of_equal_ones_wins() {
        assert_eq!(
            read(json!([["a b", "1"], ["a-b", "2"], ["é", "3"], ["x/y", "4"], ["", "5"], ["a.b:c_d", "6"]])),
            (owned(&[("a-b", "1"), ("a.b:c_d", "6")]), 3)
        );
        assert_eq!(read(json!([["k", "v"], "junk", ["only"], null, 7])), (owned(&[("k", "v")]), 0));
    }

    #[test]
    fn reserved_names_are_removed() {
        assert_eq!(
            read(json!({"release": "1", "dist": "2", "user": "3", "filename": "4", "function": "5", "ok": "6"})).0,
            owned(&[("ok", "6")])
        );
    }
}
