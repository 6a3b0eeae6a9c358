//! Free-form values: bounded in depth, in the length of a text and in total.

use serde_json::{Map, Value};

use super::field::cut;

/// The bounds of one free-form object.
#[derive(Clone, Copy)]
pub(super) struct Bag {
    /// Levels of containers; what is nested deeper becomes its JSON text.
    depth: usize,
    /// Characters of one text.
    text: usize,
    /// Bytes of keys and values together, roughly; what comes later is dropped.
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

/// What a scalar other than text counts.
const SCALAR: usize = 8;
/// Environment variables that hold credentials of this very server; some clients send their whole environment.
const OWN_CREDENTIALS: [&str; 2] = ["SENTRY_AUTH_TOKEN", "SENTRY_DSN"];

impl Bag {
    /// The object within the bounds.
    pub(super) fn map(self, mut map: Map<String, Value>) -> Map<String, Value> {
        let mut left = self.total;
        self.bound_map(&mut map, self.depth.saturating_sub(1), &mut left);
        map
    }

    /// The value within the bounds.
    pub(super) fn value(self, mut value: Value) -> Value {
        let mut left = self.total;
        self.bound(&mut value, self.depth, &mut left);
        value
    }

    fn bound(self, value: &mut Value, depth: usize, left: &mut usize) {
        match value {
            Value::String(text) => {
                let limit = self.text.min(*left);
                if text.len() > limit {
                    *text = cut(std::mem::take(text), limit);
                }
                *left = left.saturating_sub(text.len());
            }
            Value::Array(list) if list.is_empty() => {}
            Value::Object(map) if map.is_empty() => {}
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                *value = Value::String(value.to_string());
                self.bound(value, 0, left);
            }
            Value::Array(list) => list.retain_mut(|member| {
                let fits = *left > 0;
                if fits {
                    self.bound(member, depth - 1, left);
                }
                fits
            }),
            Value::Object(map) => self.bound_map(map, depth - 1, left),
            _ => *left = left.saturating_sub(SCALAR),
        }
    }

    fn bound_map(self, map: &mut Map<String, Value>, depth: usize, left: &mut usize) {
        map.retain(|key, member| {
            *left = left.saturating_sub(key.len());
            let fits = *left > 0;
            if OWN_CREDENTIALS.contains(&key.as_str()) {
                *member = Value::String("[Filtered]".to_owned());
            } else if fits {
                self.bound(member, depth, left);
            }
            fits
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bounded(bag: Bag, value: Value) -> Value {
        let Value::Object(map) = value else { panic!("an object") };
        Value::Object(bag.map(map))
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
            json!({"a": "xxxxxxx...", "b": ["yyyyyyyyy", "yyyy..."]})
        );
    }

    #[test]
    fn credentials_of_this_server_are_not_kept() {
        assert_eq!(
            bounded(EXTRA, json!({"environ": {"SENTRY_AUTH_TOKEN": "t", "SENTRY_DSN": ["d"], "PATH": "/bin"}})),
            json!({"environ": {"SENTRY_AUTH_TOKEN": "[Filtered]", "SENTRY_DSN": "[Filtered]", "PATH": "/bin"}})
        );
    }
}
