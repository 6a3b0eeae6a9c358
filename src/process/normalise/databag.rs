//! Free-form values: bounded in depth, in the length of a text and in total.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::field::{Errors, Path};

/// The bounds of one free-form object.
#[derive(Clone, Copy)]
pub(super) struct Bag {
    /// Levels of containers; what is nested deeper becomes its JSON text.
    depth: usize,
    /// Characters of one text.
    text: usize,
    /// Bytes of keys and values together, roughly; what does not fit is dropped.
    total: usize,
}

/// `extra`.
pub(super) const EXTRA: Bag = Bag { depth: 7, text: 16_384, total: 256 * 1024 };
/// One context.
pub(super) const CONTEXT: Bag = Bag { depth: 7, text: 8_192, total: 64 * 1024 };
/// The variables of one frame.
pub(super) const VARS: Bag = Bag { depth: 5, text: 1_024, total: 2 * 1024 };
/// The `data` of a breadcrumb, a mechanism, a frame, a user.
pub(super) const DATA: Bag = Bag { depth: 6, text: 8_192, total: 16 * 1024 };
/// A request's body.
pub(super) const BODY: Bag = Bag { depth: 7, text: 8_192, total: 64 * 1024 };
/// The client's remarks on other fields.
pub(super) const META: Bag = Bag { depth: 24, text: 1_024, total: 64 * 1024 };

/// Members of an object that get a share of the room, however many there are.
const SURE_SHARES: usize = 32;
/// What a scalar other than text counts.
const SCALAR: usize = 8;
/// Environment variables that hold credentials of this very server; some clients send their whole environment.
const OWN_CREDENTIALS: [&str; 2] = ["SENTRY_AUTH_TOKEN", "SENTRY_DSN"];

impl Bag {
    /// An object within the bounds, empty if it is none.
    pub(super) fn read(self, errors: &mut Errors, at: &Path<'_>, value: Value) -> Map<String, Value> {
        errors.object(at, value).map(|map| self.map(errors, at, map)).unwrap_or_default()
    }

    /// The object within the bounds. The members share the room, the smallest first: one that is huge is cut itself
    /// and does not push out its small neighbours.
    pub(super) fn map(self, errors: &mut Errors, at: &Path<'_>, mut map: Map<String, Value>) -> Map<String, Value> {
        let depth = self.depth.saturating_sub(1);
        let mut members: Vec<_> =
            map.iter_mut().map(|(key, member)| (self.weight(key, member, depth), key, member)).collect();
        members.sort_by_key(|(weight, ..)| *weight);
        let least = (self.total / SURE_SHARES).max(1);
        let mut left = self.total;
        let mut waiting = members.len();
        let mut dropped = HashSet::new();
        for (_, key, member) in members {
            let share = left.checked_div(waiting).unwrap_or(left).max(least).min(left);
            let mut unused = share;
            if !self.bound_member(errors, &at.key(key), member, depth, &mut unused) {
                dropped.insert(key.clone());
            }
            left = left.saturating_sub(share - unused);
            waiting -= 1;
        }
        let length = map.len();
        map.retain(|key, _| !dropped.contains(key));
        errors.shortened(at, length, map.len());
        map
    }

    /// The value within the bounds.
    pub(super) fn value(self, errors: &mut Errors, at: &Path<'_>, mut value: Value) -> Value {
        let mut left = self.total;
        self.bound(errors, at, &mut value, self.depth, &mut left);
        value
    }

    fn bound(self, errors: &mut Errors, at: &Path<'_>, value: &mut Value, depth: usize, left: &mut usize) {
        match value {
            Value::String(text) => {
                let limit = self.text.min(*left);
                if text.len() > limit {
                    *text = errors.cut(at, std::mem::take(text), limit);
                }
                *left = left.saturating_sub(text.len());
            }
            Value::Array(list) if list.is_empty() => {}
            Value::Object(map) if map.is_empty() => {}
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                *value = Value::String(value.to_string());
                self.bound(errors, at, value, 0, left);
            }
            Value::Array(list) => {
                let length = list.len();
                let mut index = 0;
                list.retain_mut(|member| {
                    let fits = *left > 0;
                    if fits {
                        self.bound(errors, &at.index(index), member, depth - 1, left);
                    }
                    index += 1;
                    fits
                });
                errors.shortened(at, length, list.len());
            }
            Value::Object(map) => {
                let length = map.len();
                map.retain(|key, member| self.bound_member(errors, &at.key(key), member, depth - 1, left));
                errors.shortened(at, length, map.len());
            }
            _ => *left = left.saturating_sub(SCALAR),
        }
    }

    /// Bounds one member of an object; whether it fits at all.
    fn bound_member(
        self,
        errors: &mut Errors,
        at: &Path<'_>,
        member: &mut Value,
        depth: usize,
        left: &mut usize,
    ) -> bool {
        let Path::Key(_, key) = at else { return true };
        *left = left.saturating_sub(key.len());
        let fits = *left > 0;
        if OWN_CREDENTIALS.contains(key) {
            *member = Value::String("[Filtered]".to_owned());
        } else if fits {
            self.bound(errors, at, member, depth, left);
        }
        fits
    }

    /// What a member counts while there is room.
    fn weight(self, key: &str, member: &Value, depth: usize) -> usize {
        let inside = match member {
            Value::String(text) => text.len().min(self.text),
            Value::Array(list) if list.is_empty() => 0,
            Value::Object(map) if map.is_empty() => 0,
            Value::Array(_) | Value::Object(_) if depth == 0 => member.to_string().len().min(self.text),
            Value::Array(list) => list.iter().map(|member| self.weight("", member, depth - 1)).sum(),
            Value::Object(map) => map.iter().map(|(key, member)| self.weight(key, member, depth - 1)).sum(),
            _ => SCALAR,
        };
        key.len() + inside
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bounded(bag: Bag, value: Value) -> Value {
        let Value::Object(map) = value else { panic!("an object") };
        Value::Object(bag.map(&mut Errors::default(), &Path::Root, map))
    }

    #[test]
    fn small_values_stay_as_they_are() {
        let value = json!({"a": 1, "b": [true, null, {"c": "x"}], "d": {}, "e": []});
        assert_eq!(bounded(EXTRA, value.clone()), value);
    }

    #[test]
    fn deep_values_become_text() {
        let bag = Bag { depth: 2, text: 100, total: 1000 };
        assert_eq!(
            bounded(bag, json!({"a": {"b": {"c": [1]}}, "e": [[2]]})),
            json!({"a": {"b": "{\"c\":[1]}"}, "e": ["[2]"]})
        );
    }

    #[test]
    fn long_texts_are_cut_and_the_rest_is_dropped_when_the_bag_is_full() {
        let bag = Bag { depth: 3, text: 10, total: 28 };
        assert_eq!(
            bounded(bag, json!({"a": "x".repeat(50), "b": ["y".repeat(9), "y".repeat(9), 3], "c": 1})),
            json!({"a": "xxxxx...", "b": ["yyyyyyyyy"], "c": 1})
        );
    }

    #[test]
    fn huge_variables_do_not_push_out_the_small_ones() {
        let huge: Map<String, Value> = (0..200).map(|n| (format!("k{n}"), json!("v".repeat(100)))).collect();
        let bounded = bounded(
            VARS,
            json!({"big": "x".repeat(5_000), "d": huge, "items": [], "password": "[Filtered]", "\u{540d}": "y"}),
        );
        assert_eq!(bounded["items"], json!([]));
        assert_eq!(bounded["password"], "[Filtered]");
        assert_eq!(bounded["\u{540d}"], "y");
        assert!(bounded["big"].as_str().unwrap().len() > 900);
        assert!(bounded["d"].as_object().unwrap().len() > 5);
        assert!(bounded.to_string().len() < 2_400);
    }

    #[test]
    fn of_too_many_variables_the_smallest_are_kept() {
        let many: Map<String, Value> =
            (0..1_000).map(|n| (format!("k{n:03}"), json!("v".repeat(1 + n % 50)))).collect();
        let kept = VARS.map(&mut Errors::default(), &Path::Root, many);
        assert!(kept.len() > 150, "{}", kept.len());
        assert!(kept.iter().all(|(key, member)| key.len() + member.as_str().unwrap().len() < 20));
    }

    #[test]
    fn credentials_of_this_server_are_not_kept() {
        assert_eq!(
            bounded(EXTRA, json!({"environ": {"SENTRY_AUTH_TOKEN": "t", "SENTRY_DSN": ["d"], "PATH": "/bin"}})),
            json!({"environ": {"SENTRY_AUTH_TOKEN": "[Filtered]", "SENTRY_DSN": "[Filtered]", "PATH": "/bin"}})
        );
    }

    #[test]
    fn what_is_left_out_is_remarked_and_told_in_one_line() {
        let bag = Bag { depth: 3, text: 10, total: 28 };
        let read = |value: Value| {
            let (mut errors, mut meta) = (Errors::default(), Map::new());
            let extra = Path::Root.key("extra");
            bag.read(&mut errors, &extra, value);
            let list = errors.finish(&mut meta);
            (Value::Object(meta), list)
        };
        let (meta, list) = read(json!({"a": "\u{e4}".repeat(50), "b": ["y".repeat(9), "y".repeat(9), 3], "c": 1}));
        assert_eq!(
            meta,
            json!({"extra": {
                "a": {"": {"rem": [["!limit", "s", 5, 8]], "len": 50}},
                "b": {"": {"rem": [["!limit", "x"]], "len": 3}},
            }})
        );
        let [line] = list.as_slice() else { panic!("{list:?}") };
        let found = (line.kind.as_str(), line.name.as_deref(), line.value.clone());
        assert_eq!(found, ("value_too_long", Some("extra.b"), Some(json!(2))));
        assert_eq!(read(json!({"a": 1, "b": ["y"]})), (json!({}), Vec::new()));
    }
}
