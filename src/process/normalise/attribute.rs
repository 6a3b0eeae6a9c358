//! The plain attributes of an event.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field::{Errors, Path, cut};
use crate::protocol::Level;
use crate::protocol::event::EventError;

const MAX_RELEASE: usize = 250;
const MAX_ENVIRONMENT: usize = 64;
const MAX_FINGERPRINT: usize = 32;
const MAX_MODULES: usize = 2000;
const MAX_CLIENT_ERRORS: usize = 50;

const PLATFORMS: [&str; 26] = [
    "as3",
    "c",
    "cfml",
    "cocoa",
    "cpp",
    "csharp",
    "dart",
    "elixir",
    "go",
    "groovy",
    "haskell",
    "java",
    "javascript",
    "kotlin",
    "native",
    "node",
    "objc",
    "other",
    "perl",
    "php",
    "powershell",
    "python",
    "ruby",
    "rust",
    "swift",
    "wasm",
];

/// A level by name in any case, by an alias, or by the number of Python's logging.
pub(super) fn level(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Level> {
    let level = match &value {
        Value::Null => return None,
        Value::Number(number) => number.as_f64().and_then(level_of_number),
        Value::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            match text.as_str() {
                "debug" | "trace" | "sample" => Some(Level::Debug),
                "info" | "log" => Some(Level::Info),
                "warning" | "warn" => Some(Level::Warning),
                "error" => Some(Level::Error),
                "fatal" | "critical" => Some(Level::Fatal),
                number => number.parse().ok().and_then(level_of_number),
            }
        }
        _ => None,
    };
    if level.is_none() {
        errors.invalid(at, value, "a level");
    }
    level
}

/// Own levels of a program lie between the usual 10, 20, 30, 40 and 50.
fn level_of_number(number: f64) -> Option<Level> {
    match number {
        1.0..=10.0 => Some(Level::Debug),
        10.0..=20.0 => Some(Level::Info),
        20.0..=30.0 => Some(Level::Warning),
        30.0..=40.0 => Some(Level::Error),
        40.0..=100.0 => Some(Level::Fatal),
        _ => None,
    }
}

/// A known platform, else `other`.
pub(super) fn platform(value: Option<&Value>) -> String {
    let name = value.and_then(Value::as_str).unwrap_or_default().trim().to_ascii_lowercase();
    if PLATFORMS.contains(&name.as_str()) { name } else { "other".to_owned() }
}

/// A release's version, if it can be one.
pub(in crate::process) fn release(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let text = errors.word(at, value, usize::MAX)?;
    let is_valid = text.chars().count() <= MAX_RELEASE
        && !text.contains(['/', '\\', '\n', '\r', '\t', '\u{c}'])
        && !matches!(text.as_str(), "." | "..")
        && !text.eq_ignore_ascii_case("latest");
    valid(errors, at, text, is_valid, "the name of a release")
}

/// An environment's name, if it can be one.
pub(in crate::process) fn environment(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let text = errors.word(at, value, usize::MAX)?;
    let is_valid = text.chars().count() <= MAX_ENVIRONMENT
        && !text.contains(['/', '\n', '\r'])
        && !text.eq_ignore_ascii_case("none");
    valid(errors, at, text, is_valid, "the name of an environment")
}

/// A distribution's name, if it can be one.
pub(super) fn dist(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let text = errors.word(at, value, usize::MAX)?;
    let is_valid = text.chars().count() <= MAX_ENVIRONMENT && !text.contains(char::is_whitespace);
    valid(errors, at, text, is_valid, "the name of a distribution")
}

fn valid(errors: &mut Errors, at: &Path<'_>, text: String, is_valid: bool, wanted: &str) -> Option<String> {
    if is_valid {
        return Some(text);
    }
    errors.invalid(at, Value::String(text), wanted);
    None
}

/// The entries as text; a list with a container in it is no fingerprint.
pub(super) fn fingerprint(errors: &mut Errors, at: &Path<'_>, value: Value) -> Vec<String> {
    let list = errors.list(at, value);
    if list.iter().any(|entry| entry.is_array() || entry.is_object()) {
        errors.note("invalid_data", at, None);
        return Vec::new();
    }
    errors.shortened(at, list.len(), MAX_FINGERPRINT);
    list.into_iter().take(MAX_FINGERPRINT).filter_map(fingerprint_entry).collect()
}

fn fingerprint_entry(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text, 1024)),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Number(number) if number.is_f64() => Some(format!("{:.0}", number.as_f64()?.trunc())),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Packages with a version; others say nothing.
pub(super) fn modules(errors: &mut Errors, at: &Path<'_>, value: Value) -> BTreeMap<String, String> {
    let map = errors.object(at, value).unwrap_or_default();
    errors.shortened(at, map.len(), MAX_MODULES);
    map.into_iter()
        .take(MAX_MODULES)
        .filter_map(|(name, version)| match version {
            Value::String(version) => Some((cut(name, 200), cut(version, 200))),
            _ => None,
        })
        .collect()
}

/// What the client itself found wrong.
pub(super) fn client_errors(errors: &mut Errors, at: &Path<'_>, value: Value) {
    for member in errors.list(at, value).into_iter().take(MAX_CLIENT_ERRORS) {
        let Value::Object(mut map) = member else { continue };
        let mut text = |key: &str| match map.remove(key) {
            Some(Value::String(text)) => Some(cut(text, 200)),
            _ => None,
        };
        let (Some(kind), name) = (text("type"), text("name")) else { continue };
        let value = map.remove("value").filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => Value::String(cut(text, 200)),
            Value::Array(_) | Value::Object(_) => Value::String(cut(value.to_string(), 200)),
            scalar => scalar,
        });
        errors.list.push(EventError { kind, name, value });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_read_kindly() {
        for (value, wanted) in [
            (json!("debug"), Some(Level::Debug)),
            (json!("log"), Some(Level::Info)),
            (json!("WARN"), Some(Level::Warning)),
            (json!("critical"), Some(Level::Fatal)),
            (json!("trace"), Some(Level::Debug)),
            (json!("sample"), Some(Level::Debug)),
            (json!(10), Some(Level::Debug)),
            (json!(20), Some(Level::Info)),
            (json!(25), Some(Level::Warning)),
            (json!("30"), Some(Level::Warning)),
            (json!(40), Some(Level::Error)),
            (json!(50.0), Some(Level::Fatal)),
            (json!(0), None),
            (json!("loud"), None),
            (json!([]), None),
            (json!(null), None),
        ] {
            assert_eq!(level(&mut Errors::default(), &Path::Root, value.clone()), wanted, "{value}");
        }
    }

    #[test]
    fn releases_that_cannot_be_one_are_dropped() {
        let read = |value| release(&mut Errors::default(), &Path::Root, value);
        assert_eq!(read(json!(" shop@1.0 ")).as_deref(), Some("shop@1.0"));
        assert_eq!(read(json!(7)).as_deref(), Some("7"));
        for bad in ["a/b", "a\\b", "a\nb", ".", "..", "Latest", "", &"x".repeat(251)] {
            assert_eq!(read(json!(bad)), None, "{bad}");
        }
        let mut errors = Errors::default();
        release(&mut errors, &Path::Root.key("release"), json!("latest"));
        assert_eq!(errors.list[0].value, Some(json!("latest")));
    }

    #[test]
    fn environments_and_dists_that_cannot_be_one_are_dropped() {
        let read = |value| environment(&mut Errors::default(), &Path::Root, value);
        assert_eq!(read(json!(" prod ")).as_deref(), Some("prod"));
        for bad in ["a/b", "a\nb", "None", "", &"x".repeat(65)] {
            assert_eq!(read(json!(bad)), None, "{bad}");
        }
        let read = |value| dist(&mut Errors::default(), &Path::Root, value);
        assert_eq!(read(json!(42)).as_deref(), Some("42"));
        assert_eq!(read(json!("a b")), None);
    }

    #[test]
    fn platforms_we_do_not_know_are_other() {
        assert_eq!(platform(Some(&json!("Python"))), "python");
        assert_eq!(platform(Some(&json!("cobol"))), "other");
        assert_eq!(platform(Some(&json!(1))), "other");
        assert_eq!(platform(None), "other");
    }

    #[test]
    fn fingerprints_are_lists_of_scalars() {
        let read = |value| fingerprint(&mut Errors::default(), &Path::Root, value);
        assert_eq!(read(json!(["a", 1, true, 2.9, null])), ["a", "1", "True", "2"]);
        assert!(read(json!(["a", {}])).is_empty());
        assert!(read(json!("a")).is_empty());
    }

    #[test]
    fn modules_without_a_version_are_left_out() {
        let read = |value| modules(&mut Errors::default(), &Path::Root, value);
        assert_eq!(
            read(json!({"a": "1", "b": null, "c": 2})).into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "1".to_owned())]
        );
        assert!(read(json!([])).is_empty());
    }
}
