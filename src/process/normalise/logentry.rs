//! Messages, and putting parameters into their templates.

use serde_json::Value;

use super::databag::DATA;
use super::field::{Errors, Path, cut};
use crate::protocol::event::LogEntry;

const MAX_MESSAGE: usize = 8192;

/// A text, or an object of template, formatted text and parameters.
pub(super) fn logentry(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<LogEntry> {
    let mut entry = LogEntry::default();
    let place = Path::Root.key("logentry");
    let (template, formatted) = (place.key("message"), place.key("formatted"));
    // Of a template that is too long, since it is known only later where it stays.
    let mut length = 0;
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let at = at.key(&key);
                match key.as_str() {
                    "message" => {
                        let text = errors.text(&at, value, usize::MAX);
                        length = text
                            .as_deref()
                            .filter(|text| text.len() > MAX_MESSAGE)
                            .map_or(0, |text| text.chars().count());
                        entry.message = text.map(|text| cut(text, MAX_MESSAGE));
                    }
                    "formatted" => {
                        let text = errors.text(&at, value, usize::MAX);
                        entry.formatted = text.map(|text| errors.cut(&formatted, text, MAX_MESSAGE));
                    }
                    "params" => entry.params = params(errors, &at, value),
                    _ => {}
                }
            }
        }
        value => {
            let text = errors.text(at, value, usize::MAX);
            entry.formatted = text.map(|text| errors.cut(&formatted, text, MAX_MESSAGE));
        }
    }
    let is_empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
    if is_empty(&entry.formatted) {
        entry.formatted = None;
        let interpolated = entry
            .message
            .as_deref()
            .zip(entry.params.as_ref())
            .and_then(|(message, params)| interpolate(message, params));
        if let Some(text) = interpolated {
            entry.formatted = Some(errors.cut(&formatted, text, MAX_MESSAGE));
        } else {
            entry.formatted = entry.message.take();
            if length > MAX_MESSAGE {
                errors.trimmed(&formatted, length, MAX_MESSAGE);
            }
        }
    }
    if length > MAX_MESSAGE && entry.message.is_some() {
        errors.trimmed(&template, length, MAX_MESSAGE);
    }
    if entry.message == entry.formatted {
        entry.message = None;
    }
    if is_empty(&entry.formatted) && is_empty(&entry.message) {
        return None;
    }
    Some(entry)
}

fn params(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(list) if list.is_empty() => None,
        Value::Object(map) if map.is_empty() => None,
        value @ (Value::Array(_) | Value::Object(_)) => Some(DATA.value(errors, at, value)),
        other => {
            errors.invalid(at, other, "a list or an object");
            None
        }
    }
}

/// The template with its parameters in place, printf style if it has such a placeholder, else with braces.
///
/// `None` unless there is a placeholder and each finds its parameter (and, in a list, each parameter its placeholder).
fn interpolate(template: &str, params: &Value) -> Option<String> {
    if template.contains('%')
        && let Some(text) = printf(template, params)
    {
        return Some(text);
    }
    if template.contains('{') { braces(template, params) } else { None }
}

/// Takes positional parameters one by one.
struct Positions<'a> {
    list: &'a [Value],
    used: usize,
}

impl<'a> Positions<'a> {
    fn new(params: &'a Value) -> Self {
        Self { list: params.as_array().map_or(&[], Vec::as_slice), used: 0 }
    }

    fn next(&mut self) -> Option<&'a Value> {
        self.used += 1;
        self.list.get(self.used - 1)
    }
}

fn printf(template: &str, params: &Value) -> Option<String> {
    let mut out = String::with_capacity(template.len() + 32);
    let mut positions = Positions::new(params);
    let mut found = false;
    let mut rest = template;
    while let Some((plain, behind)) = rest.split_once('%') {
        out.push_str(plain);
        if let Some(behind) = behind.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let (value, behind) = match behind.strip_prefix('(') {
            Some(named) => {
                let (name, behind) = named.split_once(')')?;
                (params.get(name)?, behind)
            }
            None => (positions.next()?, behind),
        };
        // Flags, width and precision say how to write it, which we do not follow.
        let behind =
            behind.trim_start_matches(|character: char| character.is_ascii_digit() || "#-+.".contains(character));
        let conversion = behind.chars().next().filter(|character| "sdifrxXobcueEgGjO@".contains(*character))?;
        push_value(&mut out, value);
        found = true;
        rest = behind.get(conversion.len_utf8()..)?;
    }
    out.push_str(rest);
    (found && positions.used == positions.list.len()).then_some(out)
}

fn braces(template: &str, params: &Value) -> Option<String> {
    let mut out = String::with_capacity(template.len() + 32);
    let mut positions = Positions::new(params);
    let mut found = false;
    let mut rest = template;
    while let Some((plain, behind)) = rest.split_once('{') {
        out.push_str(plain);
        let (name, behind) = behind.split_once('}')?;
        let value = if name.is_empty() {
            positions.next()?
        } else if let Ok(index) = name.parse::<usize>() {
            positions.list.get(index)?
        } else {
            params.get(name)?
        };
        push_value(&mut out, value);
        found = true;
        rest = behind;
    }
    out.push_str(rest);
    found.then_some(out)
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Template and text of what was sent.
    fn read(value: Value) -> (Option<String>, Option<String>) {
        let entry = logentry(&mut Errors::default(), &Path::Root, value).unwrap_or_default();
        (entry.message, entry.formatted)
    }

    #[test]
    fn parameters_are_put_into_templates() {
        for (template, params, wanted) in [
            ("hi %s", json!(["x"]), "hi x"),
            ("%d of %d (100%%)", json!([1, 2]), "1 of 2 (100%)"),
            ("%(a)s and %(b)05.2f", json!({"a": 1, "b": true}), "1 and true"),
            ("{} and {}", json!(["x", null]), "x and null"),
            ("{1} before {0}", json!(["x", "y"]), "y before x"),
            ("{name}!", json!({"name": "x"}), "x!"),
        ] {
            assert_eq!(
                read(json!({"message": template, "params": params})),
                (Some(template.to_owned()), Some(wanted.to_owned()))
            );
        }
    }

    #[test]
    fn a_template_that_does_not_fit_is_shown_as_it_is() {
        for (template, params) in [
            ("hi %s %s", json!(["x"])),
            ("hi %s", json!(["x", "y"])),
            ("hi {}", json!({"a": 1})),
            ("100% sure", json!(["x"])),
            ("ends in %", json!(["x"])),
            ("%(open", json!({"open": 1})),
            ("plain", json!([1])),
            ("{open", json!([1])),
        ] {
            assert_eq!(read(json!({"message": template, "params": params})), (None, Some(template.to_owned())));
        }
    }

    #[test]
    fn a_message_alone_is_the_formatted_text() {
        assert_eq!(read(json!("x")), (None, Some("x".to_owned())));
        assert_eq!(read(json!(42)), (None, Some("42".to_owned())));
        assert_eq!(read(json!({"message": "x"})), (None, Some("x".to_owned())));
        assert_eq!(read(json!({"message": "x", "formatted": "x"})), (None, Some("x".to_owned())));
        assert_eq!(
            read(json!({"message": "x %s", "formatted": "x 1"})),
            (Some("x %s".to_owned()), Some("x 1".to_owned()))
        );
        assert_eq!(read(json!({})), (None, None));
        assert_eq!(read(json!("")), (None, None));
    }

    #[test]
    fn messages_are_cut() {
        let text = read(json!("x".repeat(9000))).1.unwrap();
        assert_eq!(text.len(), MAX_MESSAGE);
        assert!(text.ends_with("..."));
    }
}
