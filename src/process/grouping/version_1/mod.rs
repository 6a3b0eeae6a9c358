//! Grouping as it was before: so that an event which version 2 has not met finds the issue that its fellows are in.
//!
//! ```text
//! fingerprint of the client   (unless it only asks for the default)
//! violation of a policy       directive, what was blocked
//! exception chain             of each: type, and its own frames; without frames the parameterised value
//! thread, stack trace         frames
//! template                    file, line of source
//! message                     parameterised
//! nothing                     transaction or platform
//! ```
//!
//! Frames of the program itself count, all of them only if there is none. Line numbers never count.

mod frame;
mod parameterise;

use sha2::{Digest, Sha256};

use super::{fingerprint, is_captured_message, own_stack};
use crate::process::csp;
use crate::protocol::Event;
use crate::protocol::event::Exception;

/// The outermost exceptions of a longer chain count.
const MAX_EXCEPTIONS: usize = 10;

/// What an event is grouped by, in order.
type Parts = Vec<String>;

/// The hash of what an event is grouped by.
pub(super) fn hash(event: &Event) -> [u8; 32] {
    digest(&parts(event))
}

/// What an event is grouped by: the client's fingerprint, or what we make of the event.
fn parts(event: &Event) -> Parts {
    if fingerprint::is_default(&event.fingerprint) {
        return default_parts(event);
    }
    let mut parts = vec!["fingerprint".to_owned()];
    parts.extend(fingerprint::resolve(event, || hex::encode(digest(&default_parts(event)))));
    parts
}

/// Lengths in front of the parts: `a`, `bc` must not be `ab`, `c`.
fn digest(parts: &Parts) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

fn default_parts(event: &Event) -> Parts {
    if !event.csp.is_empty() {
        return vec!["csp".to_owned(), csp::directive(&event.csp).to_owned(), csp::blocked(&event.csp)];
    }
    let message = event.logentry.as_ref().map(|entry| entry.message.as_deref().unwrap_or(entry.text()));
    let is_message = message.is_some() && is_captured_message(event);
    if !event.exception.is_empty() && !is_message {
        let parts = exception_parts(event);
        if !parts.is_empty() {
            return parts;
        }
    }
    if !is_message && let Some((stack, _)) = own_stack(event) {
        let frames = frame::parts(stack, &event.platform);
        if !frames.is_empty() {
            return labelled("stacktrace", frames);
        }
    }
    if let Some(template) = &event.template {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        return vec!["template".to_owned(), text(&template.filename), text(&template.context_line)];
    }
    if let Some(message) = message {
        return vec!["message".to_owned(), parameterise::parameterise(message)];
    }
    let name = event.transaction.clone().unwrap_or_else(|| event.platform.clone());
    vec!["untitled".to_owned(), name]
}

fn labelled(label: &str, rest: Parts) -> Parts {
    let mut parts = vec![label.to_owned()];
    parts.extend(rest);
    parts
}

fn exception_parts(event: &Event) -> Parts {
    let is_group =
        |exception: &&Exception| exception.mechanism.as_ref().is_some_and(|mechanism| mechanism.is_exception_group);
    let all = &event.exception.values;
    let has_group = all.iter().any(|exception| is_group(&exception));
    let mut members: Vec<&Exception> = all.iter().filter(|exception| !is_group(exception)).collect();
    if members.is_empty() {
        members = all.iter().collect();
    }
    let surplus = members.len().saturating_sub(MAX_EXCEPTIONS);
    let mut components: Vec<Parts> = Vec::with_capacity(members.len());
    for exception in members.into_iter().skip(surplus) {
        let component = exception_component(exception, &event.platform);
        // A group that holds the same thing five times is no other than one that holds it twice.
        if component.is_empty() || (has_group && components.contains(&component)) {
            continue;
        }
        components.push(component);
    }
    components.into_iter().flat_map(|component| labelled("exception", component)).collect()
}

fn exception_component(exception: &Exception, platform: &str) -> Parts {
    let mut parts: Parts = exception.exception_type.iter().filter(|_| !exception.is_synthetic()).cloned().collect();
    let frames = exception.stacktrace.as_ref().map(|stack| frame::parts(stack, platform)).unwrap_or_default();
    if !frames.is_empty() {
        parts.extend(frames);
    } else if let Some(value) = exception.value.as_deref().filter(|value| !value.is_empty()) {
        parts.push(parameterise::parameterise(value));
    }
    parts
}
