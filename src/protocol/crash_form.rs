//! The form that a crash comes with: an event in one field, in pieces, or in fields of their own; and annotations.
//!
//! ```text
//! sentry = {"release": "1"}        sentry__1 = {"rel        sentry[tags][a] = b        anything else -> extra
//!                                  sentry__2 = ease"…
//! ```

use serde_json::{Map, Value, json};

/// Characters of one annotation.
const MAX_TEXT: usize = 8192;

/// Fields of a form.
const MAX_FIELDS: usize = 300;

/// Annotations kept.
const MAX_EXTRA: usize = 100;

/// Levels of `sentry[a][b]…`.
const MAX_DEPTH: usize = 10;

/// What crashed, by the way it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// A minidump was sent.
    Minidump,
    /// The crash reporter of Unreal Engine sent its archive.
    Unreal,
}

impl Crash {
    /// What stands for the exception until somebody reads the dump, and its mechanism.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Minidump => ("Minidump", "minidump"),
            Self::Unreal => ("Unreal crash", "unreal"),
        }
    }
}

/// The keys of an event's exceptions, the second being that of old clients.
const EXCEPTION: [&str; 2] = ["exception", "sentry.interfaces.Exception"];

/// The event that a crash becomes. `event` is what its sender says of it, and stays where it says anything.
pub fn crash_event(crash: Crash, mut event: Map<String, Value>) -> Map<String, Value> {
    if !has_exception(&event) {
        let (name, mechanism) = crash.names();
        let [key, old_key] = EXCEPTION;
        event.remove(old_key);
        let exception = json!({"values": [{"type": name, "mechanism": {"type": mechanism, "handled": false}}]});
        event.insert(key.to_owned(), exception);
    }
    for (key, value) in [("level", json!("fatal")), ("platform", json!("native"))] {
        let own = event.entry(key).or_insert(Value::Null);
        if own.is_null() {
            *own = value;
        }
    }
    event
}

/// True for an event that says itself what crashed: by an exception, or by the stack of the thread that did.
pub fn says_what_crashed(event: &Map<String, Value>) -> bool {
    let is_crashed = |thread: &Value| {
        let part = |key: &str| thread.get(key).unwrap_or(&Value::Null);
        *part("crashed") == true && part("stacktrace").is_object()
    };
    has_exception(event) || event.get("threads").and_then(values).is_some_and(|threads| threads.iter().any(is_crashed))
}

fn has_exception(event: &Map<String, Value>) -> bool {
    EXCEPTION.iter().filter_map(|key| event.get(*key)).any(|exception| match values(exception) {
        Some(list) => list.iter().any(|one| !one.is_null()),
        // One without a list around it.
        None => exception.as_object().is_some_and(|one| !one.is_empty() && !one.contains_key("values")),
    })
}

/// A list, alone or as the `values` of an object.
fn values(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().or_else(|| value.get("values")?.as_array())
}

/// The fields in an item `form_data`, in which a relay passes a form on: pairs of texts, `["name","text"]`, one after the
/// other or in a list. Reads as far as it can.
pub fn fields_of_item(payload: &[u8]) -> Vec<(String, String)> {
    let values = serde_json::Deserializer::from_slice(payload).into_iter::<Value>().map_while(Result::ok);
    let pairs = values.flat_map(|value| match value {
        Value::Array(list) if list.first().is_some_and(Value::is_array) => list,
        value => vec![value],
    });
    let pair = |value: Value| serde_json::from_value(value).ok();
    pairs.filter_map(pair).take(MAX_FIELDS).collect()
}

/// The event that the fields of a form describe, on top of what is `known` of it. What cannot be read is an annotation
/// like all others.
pub fn event_of_form(
    known: Map<String, Value>,
    fields: impl IntoIterator<Item = (String, String)>,
) -> Map<String, Value> {
    let mut whole = Vec::new();
    let mut pieces: Vec<(u32, String)> = Vec::new();
    let mut single = Vec::new();
    let mut extra = Vec::new();
    for (name, text) in fields {
        if name == "sentry" {
            whole.push(text);
        } else if let Some(number) = name.strip_prefix("sentry__").and_then(|number| number.parse().ok()) {
            pieces.push((number, text));
        } else if let Some(path) = name.strip_prefix("sentry").and_then(brackets) {
            single.push((path, text));
        } else {
            extra.push((name, text));
        }
    }
    pieces.sort_by_key(|(number, _)| *number);
    if !pieces.is_empty() {
        whole.push(pieces.into_iter().map(|(_, text)| text).collect());
    }
    let mut event = known;
    for text in whole {
        match serde_json::from_str(&text) {
            Ok(part) => merge(&mut event, part),
            Err(_) => extra.push(("sentry".to_owned(), text)),
        }
    }
    for (path, text) in single {
        set(&mut event, &path, text);
    }
    add_extra(&mut event, extra);
    event
}

fn add_extra(event: &mut Map<String, Value>, annotations: Vec<(String, String)>) {
    if annotations.is_empty() {
        return;
    }
    let extra = event.entry("extra").or_insert_with(|| json!({}));
    if !extra.is_object() {
        *extra = json!({});
    }
    let Some(extra) = extra.as_object_mut() else { return };
    for (name, mut text) in annotations.into_iter().take(MAX_EXTRA) {
        if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(end);
        }
        extra.entry(name).or_insert(Value::String(text));
    }
}

/// `[a][b]` -> a, b; `None` for anything else.
fn brackets(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let path: Vec<String> = inner.split("][").take(MAX_DEPTH + 1).map(str::to_owned).collect();
    (path.len() <= MAX_DEPTH && path.iter().all(|key| !key.is_empty() && !key.contains(['[', ']']))).then_some(path)
}

fn set(event: &mut Map<String, Value>, path: &[String], text: String) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = event;
    for key in parents {
        let next = at.entry(key.as_str()).or_insert(Value::Null);
        if !next.is_object() {
            *next = json!({});
        }
        match next {
            Value::Object(map) => at = map,
            _ => return,
        }
    }
    at.insert(last.clone(), Value::String(text));
}

/// Adds what another part of the same event says; objects are merged, of other values the later one counts.
fn merge(event: &mut Map<String, Value>, part: Map<String, Value>) {
    for (key, value) in part {
        match (event.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (_, value) => {
                event.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(fields: &[(&str, &str)]) -> Value {
        let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Value::Object(event_of_form(Map::new(), fields))
    }

    #[test]
    fn forms_passed_on_are_pairs_in_a_row_or_in_a_list() {
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        for (payload, fields) in [
            (r#"["a","b"]["c","d"]"#, vec![pair("a", "b"), pair("c", "d")]),
            ("[\"a\",\"b\"]\n[\"c\",\"d\"]\n", vec![pair("a", "b"), pair("c", "d")]),
            (r#"[["a","b"],["c",7],["e","f"]]"#, vec![pair("a", "b"), pair("e", "f")]),
            (r#"["a","b"]["c""#, vec![pair("a", "b")]),
            ("[]", vec![]),
            ("x", vec![]),
        ] {
            assert_eq!(fields_of_item(payload.as_bytes()), fields, "{payload}");
        }
    }

    #[test]
    fn the_event_is_read_whole_in_pieces_or_by_field() {
        let event = json!({"release": "1", "tags": {"a": "b"}});
        let text = event.to_string();
        let (first, second) = text.split_at(7);
        assert_eq!(form(&[("sentry", &text)]), event);
        assert_eq!(form(&[("sentry__2", second), ("sentry__1", first)]), event);
        assert_eq!(form(&[("sentry[release]", "1"), ("sentry[tags][a]", "b")]), event);
        assert_eq!(
            form(&[
                ("sentry", r#"{"release":"0","tags":{"c":"d"}}"#),
                ("sentry[release]", "1"),
                ("sentry[tags][a]", "b")
            ]),
            json!({"release": "1", "tags": {"a": "b", "c": "d"}})
        );
    }

    #[test]
    fn everything_else_becomes_extra() {
        assert_eq!(
            form(&[("prod", "App"), ("sentry", "no json"), ("sentry[]", "x"), ("sentry__x", "y"), ("sentryish", "z")]),
            json!({"extra": {"prod": "App", "sentry": "no json", "sentry[]": "x", "sentry__x": "y", "sentryish": "z"}})
        );
        let long = "é".repeat(MAX_TEXT + 1);
        let kept = form(&[("a", &long)]);
        assert_eq!(kept["extra"]["a"].as_str().unwrap().chars().count(), MAX_TEXT);
    }

    #[test]
    fn a_crash_is_fatal_unless_its_sender_knows_better() {
        let plain = Value::Object(crash_event(Crash::Minidump, Map::new()));
        assert_eq!((&plain["level"], &plain["platform"]), (&json!("fatal"), &json!("native")));
        assert_eq!(plain["exception"]["values"][0]["type"], "Minidump");
        let Value::Object(own) = json!({"level": "error", "platform": null}) else { panic!("an object") };
        let own = Value::Object(crash_event(Crash::Unreal, own));
        assert_eq!((&own["level"], &own["platform"]), (&json!("error"), &json!("native")));
        assert_eq!(own["exception"]["values"][0]["mechanism"]["type"], "unreal");
    }

    #[test]
    fn an_event_says_what_crashed_by_an_exception_or_the_stack_of_a_thread() {
        let stack = json!({"frames": [{"function": "f"}]});
        for (event, says) in [
            (json!({"message": "m", "level": "fatal"}), false),
            (json!({"exception": null}), false),
            (json!({"exception": {}}), false),
            (json!({"exception": []}), false),
            (json!({"exception": {"values": null}}), false),
            (json!({"exception": {"values": [null]}}), false),
            (json!({"exception": {"values": [{"type": "E"}]}}), true),
            (json!({"exception": [{"type": "E"}]}), true),
            (json!({"exception": {"type": "E"}}), true),
            (json!({"sentry.interfaces.Exception": [{"type": "E"}]}), true),
            (json!({"threads": {"values": [{"id": 1, "crashed": true, "stacktrace": stack}]}}), true),
            (json!({"threads": [{"id": 1, "stacktrace": stack}, {"id": 2, "crashed": true}, 3]}), false),
        ] {
            let event = event.as_object().unwrap();
            assert_eq!(says_what_crashed(event), says, "{event:?}");
            // A place that is held for an exception is free.
            let crash = Value::Object(crash_event(Crash::Minidump, event.clone()));
            assert_eq!(crash["exception"]["values"][0]["type"] == "Minidump", !has_exception(event), "{event:?}");
        }
    }

    proptest! {
        #[test]
        fn any_form_becomes_an_event(fields in proptest::collection::vec(
            (prop_oneof![Just("sentry".to_owned()), "sentry__[0-9]{1,2}", "sentry(\\[[a-c\\[\\]]{0,3}\\]){0,12}", "[a-z]{0,4}"],
             prop_oneof![Just("{\"a\":{\"b\":1}}".to_owned()), "[{}\":a-c]{0,8}"]), 0..12)) {
            let event = event_of_form(Map::new(), fields);
            prop_assert!(event.get("extra").is_none_or(Value::is_object));
        }
    }
}
