//! Reading one field: what fits is kept, what does not is dropped with a line in the event's `errors`.

use serde_json::{Map, Value, json};

use crate::process::meta;
pub(in crate::process) use crate::process::path::Path;
use crate::protocol::event::EventError;

/// More than this says nothing new about a broken client.
const MAX_ERRORS: usize = 100;
/// Nor more than this about a large event.
const MAX_CUTS: usize = 100;
/// Characters of a refused value that are worth keeping.
const MAX_ERROR_VALUE: usize = 200;
/// Ends a text that was cut.
const ELLIPSIS: &str = "...";

/// What was wrong so far, and the readers that add to it.
#[derive(Default)]
pub(in crate::process) struct Errors {
    pub(in crate::process) list: Vec<EventError>,
    /// What is to be said of a field in `_meta`, in the order in which it was found.
    remarks: Vec<(Vec<String>, Map<String, Value>)>,
    /// Remarks about what was too long.
    cuts: usize,
    /// Members that there was no room for, and where the first of them were.
    left_out: usize,
    left_out_at: Option<String>,
}

impl Errors {
    /// Notes that a field was dropped or changed.
    pub(in crate::process) fn note(&mut self, kind: &str, at: &Path<'_>, value: Option<Value>) {
        self.add(json!(kind), kind, at, value);
    }

    /// Notes a value of the wrong form, and which one is `wanted`; only short ones are kept.
    pub(in crate::process) fn invalid(&mut self, at: &Path<'_>, value: Value, wanted: &str) {
        if self.list.len() >= MAX_ERRORS {
            return;
        }
        let kept = match value {
            Value::String(text) => Some(Value::String(cut(text, MAX_ERROR_VALUE))),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            scalar => Some(scalar),
        };
        let kind = "invalid_data";
        self.add(json!([kind, {"reason": format!("expected {wanted}")}]), kind, at, kept);
    }

    fn add(&mut self, reason: Value, kind: &str, at: &Path<'_>, value: Option<Value>) {
        if self.list.len() >= MAX_ERRORS {
            return;
        }
        let mut remark = Map::from_iter([("err".to_owned(), Value::Array(vec![reason]))]);
        if let Some(value) = &value {
            remark.insert("val".to_owned(), value.clone());
        }
        self.remarks.push((at.segments(), remark));
        self.list.push(EventError { kind: kind.to_owned(), name: Some(at.to_string()), value });
    }

    /// Cuts a text to `limit` characters, with a remark.
    pub(in crate::process) fn cut(&mut self, at: &Path<'_>, text: String, limit: usize) -> String {
        if fits(&text, limit) {
            return text;
        }
        self.trimmed(at, text.chars().count(), limit);
        cut(text, limit)
    }

    /// Remarks that a text of `length` characters was cut to `limit`.
    pub(in crate::process) fn trimmed(&mut self, at: &Path<'_>, length: usize, limit: usize) {
        let kept = limit.saturating_sub(ELLIPSIS.len());
        // From where to where it is not the client's text any longer.
        self.remark_length(at, json!(["!limit", "s", kept, kept + ELLIPSIS.len()]), length);
    }

    /// Remarks that of a list or an object of `length` members at most so many are left, and counts the others.
    pub(in crate::process) fn shortened(&mut self, at: &Path<'_>, length: usize, left: usize) {
        if left >= length {
            return;
        }
        // Variables of frames are many and large wherever programs are: of them, the remark is enough.
        let place = at.to_string();
        if !place.split('.').any(|part| part == "vars") {
            self.left_out += length - left;
            self.left_out_at.get_or_insert(place);
        }
        self.remark_length(at, json!(["!limit", "x"]), length);
    }

    fn remark_length(&mut self, at: &Path<'_>, change: Value, length: usize) {
        if self.cuts < MAX_CUTS {
            self.cuts += 1;
            let remark = [("rem".to_owned(), Value::Array(vec![change])), ("len".to_owned(), length.into())];
            self.remarks.push((at.segments(), Map::from_iter(remark)));
        }
    }

    /// The lines; what else there is to say is added to the event's `_meta`.
    pub(in crate::process) fn finish(mut self, meta: &mut Map<String, Value>) -> Vec<EventError> {
        if self.left_out > 0 {
            let (kind, value) = ("value_too_long".to_owned(), Some(self.left_out.into()));
            self.list.push(EventError { kind, name: self.left_out_at, value });
        }
        for (path, remark) in self.remarks {
            meta::add(meta, &path, remark);
        }
        self.list
    }

    /// A text of at most `limit` characters; numbers are written out.
    pub(in crate::process) fn text(&mut self, at: &Path<'_>, value: Value, limit: usize) -> Option<String> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(self.cut(at, text, limit)),
            Value::Number(number) => Some(number.to_string()),
            other => {
                self.invalid(at, other, "a text");
                None
            }
        }
    }

    /// As [`Self::text`], white space around it taken off; nothing left is nothing.
    pub(in crate::process) fn word(&mut self, at: &Path<'_>, value: Value, limit: usize) -> Option<String> {
        let text = self.text(at, value, usize::MAX)?;
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return None;
        }
        let word = if trimmed.len() == text.len() { text } else { trimmed.to_owned() };
        Some(self.cut(at, word, limit))
    }

    pub(in crate::process) fn flag(&mut self, at: &Path<'_>, value: Value) -> Option<bool> {
        match value {
            Value::Null => None,
            Value::Bool(flag) => Some(flag),
            other => {
                self.invalid(at, other, "a boolean");
                None
            }
        }
    }

    /// A whole number that is not negative, also as text.
    pub(in crate::process) fn unsigned(&mut self, at: &Path<'_>, value: Value) -> Option<u64> {
        let number = match &value {
            Value::Null => return None,
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.invalid(at, value, "an unsigned integer");
        }
        number
    }

    /// A whole number.
    pub(in crate::process) fn signed(&mut self, at: &Path<'_>, value: Value) -> Option<i64> {
        match value {
            Value::Null => None,
            Value::Number(ref number) if number.is_i64() => number.as_i64(),
            other => {
                self.invalid(at, other, "an integer");
                None
            }
        }
    }

    /// An object; PHP writes an empty one as `[]`.
    pub(in crate::process) fn object(&mut self, at: &Path<'_>, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Null => None,
            Value::Object(map) => Some(map),
            Value::Array(list) if list.is_empty() => None,
            other => {
                self.invalid(at, other, "an object");
                None
            }
        }
    }

    pub(in crate::process) fn list(&mut self, at: &Path<'_>, value: Value) -> Vec<Value> {
        match value {
            Value::Null => Vec::new(),
            Value::Array(list) => list,
            other => {
                self.invalid(at, other, "a list");
                Vec::new()
            }
        }
    }

    /// `{"values": […]}`, the list alone, or one member alone.
    pub(in crate::process) fn values(&mut self, at: &Path<'_>, value: Value) -> Vec<Value> {
        match value {
            Value::Object(mut map) if map.contains_key("values") => {
                let values = map.remove("values").unwrap_or_default();
                self.values(&at.key("values"), values)
            }
            Value::Object(map) if map.is_empty() => Vec::new(),
            Value::Object(map) => vec![Value::Object(map)],
            other => self.list(at, other),
        }
    }

    /// Members that are texts of at most `limit` characters.
    pub(in crate::process) fn texts(&mut self, at: &Path<'_>, value: Value, limit: usize) -> Vec<String> {
        let list = self.list(at, value);
        list.into_iter().enumerate().filter_map(|(index, member)| self.text(&at.index(index), member, limit)).collect()
    }
}

/// A double that is a whole number a frame could have as its line.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number in range")]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9.0e15).contains(&number)).then_some(number as u64)
}

/// No text has more characters than bytes, so most are settled by their length.
fn fits(text: &str, limit: usize) -> bool {
    text.len() <= limit || text.char_indices().nth(limit).is_none()
}

/// Cuts a text to `limit` characters, the last three being `...` if anything was lost.
pub(in crate::process) fn cut(mut text: String, limit: usize) -> String {
    if fits(&text, limit) {
        return text;
    }
    let kept = limit.saturating_sub(ELLIPSIS.len());
    let end = text.char_indices().nth(kept).map_or(text.len(), |(index, _)| index);
    text.truncate(end);
    text.push_str(ELLIPSIS);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_by_characters() {
        assert_eq!(cut("äöü".to_owned(), 3), "äöü");
        assert_eq!(cut("äöüßé".to_owned(), 4), "ä...");
        assert_eq!(cut("abc".to_owned(), 2), "...");
    }

    #[test]
    fn numbers_may_be_written_as_text() {
        let mut errors = Errors::default();
        for (value, wanted) in [
            (json!(7), Some(7)),
            (json!("7"), Some(7)),
            (json!(7.0), Some(7)),
            (json!(7.5), None),
            (json!(-1), None),
            (json!("x"), None),
            (json!(null), None),
        ] {
            assert_eq!(errors.unsigned(&Path::Root, value.clone()), wanted, "{value}");
        }
        assert_eq!(errors.list.len(), 3);
    }

    #[test]
    fn values_come_in_three_wrappings() {
        let mut errors = Errors::default();
        for (value, count) in [
            (json!({"values": [1, 2]}), 2),
            (json!([1, 2]), 2),
            (json!({"type": "x"}), 1),
            (json!({}), 0),
            (json!({"values": null}), 0),
            (json!({"values": {"type": "x"}}), 1),
            (json!(null), 0),
        ] {
            assert_eq!(errors.values(&Path::Root, value.clone()).len(), count, "{value}");
        }
        assert!(errors.list.is_empty());
        assert!(errors.values(&Path::Root, json!("x")).is_empty());
        assert_eq!(errors.list[0].value, Some(json!("x")));
    }

    #[test]
    fn errors_are_limited_and_do_not_keep_large_values() {
        let mut errors = Errors::default();
        for _ in 0..200 {
            errors.invalid(&Path::Root, json!("x".repeat(1000)), "less");
        }
        assert_eq!(errors.list.len(), MAX_ERRORS);
        assert_eq!(errors.list[0].value.as_ref().unwrap().as_str().unwrap().len(), MAX_ERROR_VALUE);
    }

    #[test]
    fn every_line_has_its_remark() {
        let mut errors = Errors::default();
        let root = Path::Root;
        let frame = root.key("exception");
        assert_eq!(errors.unsigned(&frame.key("lineno"), json!("x")), None);
        assert_eq!(errors.flag(&frame.key("in_app"), json!([1])), None);
        errors.note("missing_attribute", &root.key("exception").key("type"), None);
        let Value::Object(mut meta) = json!({"exception": {"lineno": {"": {"err": [["invalid_data", {}]], "len": 1}}}})
        else {
            panic!("an object")
        };
        let names: Vec<_> = errors.finish(&mut meta).into_iter().filter_map(|error| error.name).collect();
        assert_eq!(names, ["exception.lineno", "exception.in_app", "exception.type"]);
        assert_eq!(
            Value::Object(meta),
            json!({"exception": {
                "lineno": {"": {"len": 1, "val": "x", "err": [["invalid_data", {}],
                    ["invalid_data", {"reason": "expected an unsigned integer"}]]}},
                "in_app": {"": {"err": [["invalid_data", {"reason": "expected a boolean"}]]}},
                "type": {"": {"err": ["missing_attribute"]}},
            }})
        );
    }
}
