//! Why an event is in its issue: what it is grouped by, and what was left aside.

use std::fmt;

use serde::Serialize;

use super::frame::Reader;
use super::parameterise::parameterise;
use super::{Part, VERSION, default_parts, digest, fingerprint, own_stack, parts, reader};
use crate::protocol::Event;
use crate::protocol::event::Stacktrace;

/// What an event is grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Version of the algorithm.
    pub version: i16,
    /// The hash, hexadecimal.
    pub hash: String,
    /// What counts, in its order, then what does not.
    pub components: Vec<Component>,
}

/// Something of an event that counts in grouping, or could have counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// `fingerprint`, `exception` (its type), `frame`, `value`, `message`, `csp`, `template`, `transaction`, ….
    pub component: &'static str,
    /// It is part of the hash.
    pub contributes: bool,
    /// As it counts: numbers and names that differ are taken out. What does not count is as it was sent.
    pub value: String,
}

impl Component {
    fn new(part: &Part, contributes: bool) -> Self {
        Self { component: part.name, contributes, value: part.to_string() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ("frame", [place, function, context]) = (self.name, self.texts.as_slice()) else {
            return f.write_str(&self.texts.join(", "));
        };
        let separator = if place.is_empty() || function.is_empty() { "" } else { " in " };
        let colon = if context.is_empty() || (place.is_empty() && function.is_empty()) { "" } else { ": " };
        write!(f, "{place}{separator}{function}{colon}{context}")
    }
}

/// A line for each component; those that do not count are in brackets.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grouped by (version {}):", self.version)?;
        for Component { component, contributes, value } in &self.components {
            if *contributes {
                write!(f, "\n  {component}: {value}")?;
            } else {
                write!(f, "\n  ({component}: {value})")?;
            }
        }
        Ok(())
    }
}

/// What makes the event's hash, and what of the event does not.
pub(in crate::process) fn explain(event: &Event) -> Explanation {
    let mut counted = parts(event);
    let hash = hex::encode(digest(&counted));
    if !fingerprint::is_default(&event.fingerprint) && fingerprint::has_default(&event.fingerprint) {
        counted.extend(default_parts(event));
    }
    let mut components: Vec<Component> = counted.iter().map(|part| Component::new(part, true)).collect();
    for (as_counted, as_sent) in candidates(event) {
        let component = Component::new(&as_sent, false);
        if !counted.contains(&as_counted) && !components.contains(&component) {
            components.push(component);
        }
    }
    Explanation { version: VERSION, hash, components }
}

/// What could count: as it would, and as it was sent.
fn candidates(event: &Event) -> Vec<(Part, Part)> {
    let reader = reader(event);
    let as_it_is = |part: Part| (part.clone(), part);
    let text =
        |name: &'static str, text: &str| (Part::new(name, [parameterise(text)]), Part::new(name, [text.to_owned()]));
    let mut all = Vec::new();
    for exception in &event.exception.values {
        all.extend(exception.exception_type.iter().map(|name| as_it_is(Part::new("exception", [name.clone()]))));
        all.extend(exception.value.iter().map(|value| text("value", value)));
        all.extend(frames(&reader, exception.stacktrace.as_ref()).map(as_it_is));
    }
    all.extend(frames(&reader, own_stack(event).map(|(stack, _)| stack)).map(as_it_is));
    all.extend(event.logentry.iter().map(|entry| text("message", entry.message.as_deref().unwrap_or(entry.text()))));
    all.extend(
        event
            .transaction
            .iter()
            .map(|name| (Part::new("untitled", [name.clone()]), Part::new("transaction", [name.clone()]))),
    );
    all
}

fn frames<'a>(reader: &Reader<'a>, stack: Option<&'a Stacktrace>) -> impl Iterator<Item = Part> {
    stack.into_iter().flat_map(|stack| &stack.frames).filter_map(|frame| reader.part(frame))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::tests::event;

    #[test]
    fn what_counts_comes_first_and_what_does_not_behind_it() {
        let event = event(
            &json!({"platform": "python", "transaction": "/x", "exception": [{"type": "KeyError", "value": "'k7'",
            "stacktrace": {"frames": [
                {"module": "django.base", "function": "get", "in_app": false},
                {"module": "shop.views", "function": "show", "context_line": "  names[key]", "in_app": true}]}}]}),
        );
        let explanation = explain(&event);
        assert_eq!(explanation.hash, hex::encode(super::super::hash(&event)));
        assert_eq!(
            explanation.to_string(),
            "grouped by (version 2):\n  exception: KeyError\n  frame: shop.views in show: names[key]\n  (value: 'k7')\n  \
             (frame: django.base in get)\n  (transaction: /x)"
        );
        assert_eq!(
            serde_json::to_value(&explanation.components[2]).unwrap(),
            json!({"component": "value", "contributes": false, "value": "'k7'"})
        );
    }

    #[test]
    fn values_and_messages_are_shown_as_they_count() {
        let bare = explain(&event(&json!({"exception": [{"type": "E", "value": "order 17 failed"}]})));
        let shown: Vec<_> =
            bare.components.iter().map(|part| (part.component, part.contributes, part.value.as_str())).collect();
        assert_eq!(shown, [("exception", true, "E"), ("value", true, "order <int> failed")]);
        let message = explain(&event(&json!({"message": "order 17 failed", "transaction": "/x"})));
        assert_eq!(message.to_string(), "grouped by (version 2):\n  message: order <int> failed\n  (transaction: /x)");
        let nothing = explain(&event(&json!({"transaction": "/x"})));
        assert_eq!(nothing.to_string(), "grouped by (version 2):\n  untitled: /x");
    }

    #[test]
    fn a_fingerprint_counts_alone_or_with_the_default() {
        let own = explain(&event(&json!({"message": "a", "fingerprint": ["mine", "{{ level }}"]})));
        assert_eq!(own.to_string(), "grouped by (version 2):\n  fingerprint: mine, error\n  (message: a)");
        let hybrid = explain(&event(&json!({"message": "a", "fingerprint": ["{{ default }}", "x"]})));
        let names: Vec<_> = hybrid.components.iter().map(|part| (part.component, part.contributes)).collect();
        assert_eq!(names, [("fingerprint", true), ("message", true)]);
    }
}
