//! The client's fingerprint and the variables in it.

use std::borrow::Cow;

use super::parameterise::parameterise;
use crate::process::title::{crash_stack, main_exception};
use crate::protocol::Event;
use crate::protocol::event::Frame;

/// True if there is no fingerprint, or one that only says "as you like".
pub(super) fn is_default(fingerprint: &[String]) -> bool {
    match fingerprint {
        [] => true,
        [only] => variable(only) == Some("default"),
        _ => false,
    }
}

/// True if the event's own parts are among those of the fingerprint.
pub(super) fn has_default(fingerprint: &[String]) -> bool {
    fingerprint.iter().any(|entry| variable(entry) == Some("default"))
}

/// The entries with their variables replaced; `default` gives the hash that the event would have without it.
pub(super) fn resolve(event: &Event, default: impl Fn() -> String) -> Vec<String> {
    let message = event.logentry.as_ref().map(crate::protocol::event::LogEntry::text);
    event
        .fingerprint
        .iter()
        .map(|entry| match variable(entry) {
            Some("default") => default(),
            Some(name) => value(event, name).map_or_else(|| format!("<no-{name}>"), Cow::into_owned),
            // The message itself has the same ids and numbers in it as a message without a fingerprint.
            None if message == Some(entry.as_str()) => parameterise(entry),
            None => entry.clone(),
        })
        .collect()
}

/// `name` of `{{ name }}`.
fn variable(entry: &str) -> Option<&str> {
    Some(entry.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim())
}

fn value<'a>(event: &'a Event, name: &str) -> Option<Cow<'a, str>> {
    let exception = || main_exception(event);
    let text = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Cow::Borrowed);
    match name {
        "transaction" => text(&event.transaction),
        "message" | "raw_message" => {
            let entry = event.logentry.as_ref()?;
            Some(Cow::Owned(parameterise(entry.message.as_deref().unwrap_or(entry.text()))))
        }
        "type" | "error.type" => exception().and_then(|exception| text(&exception.exception_type)),
        "value" | "error.value" => exception().and_then(|exception| text(&exception.value)),
        "function" | "stack.function" => text(&frame(event)?.function),
        "path" | "stack.abs_path" => text(&frame(event)?.abs_path),
        "stack.filename" => text(&frame(event)?.filename),
        "module" | "stack.module" => text(&frame(event)?.module),
        "package" | "stack.package" => text(&frame(event)?.package),
        "level" => Some(Cow::Borrowed(event.level.as_str())),
        "logger" => Some(Cow::Borrowed(event.logger.as_str())).filter(|name| !name.is_empty()),
        name => {
            let key = name.strip_prefix("tags.")?;
            event.tags.iter().find(|(known, _)| known == key).map(|(_, value)| Cow::Borrowed(value.as_str()))
        }
    }
}

/// The frame nearest the crash that is the program's own, else the last.
fn frame(event: &Event) -> Option<&Frame> {
    let frames = &crash_stack(event)?.frames;
    frames.iter().rev().find(|frame| frame.in_app == Some(true)).or(frames.last())
}
