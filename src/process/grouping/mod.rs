//! Grouping, version 2: which events are one issue.
//!
//! ```text
//! fingerprint of the client   (unless it only asks for the default)
//! violation of a policy       directive, what was blocked
//! exception chain             of each: type, and its own frames; without frames the parameterised value
//! thread, stack trace         frames; unless it crashed, the message, too
//! template                    file, line of source
//! message                     parameterised
//! nothing                     transaction or platform
//! ```
//!
//! Frames of the program itself count, all of them only if there is none. Line numbers never count.

mod csharp;
mod exception;
mod explain;
mod fingerprint;
mod frame;
mod function;
mod image;
mod parameterise;
mod place;
mod version_1;

use sha2::{Digest, Sha256};

pub(super) use self::csharp::demangle;
pub(super) use self::explain::explain;
pub use self::explain::{Component, Explanation};
pub(super) use self::function::without_rust_hash;

use self::frame::Reader;
use self::image::Images;
use super::csp;
use super::title::main_exception;
use crate::protocol::Event;
use crate::protocol::event::{Exception, Stacktrace};

/// Stored with every hash; a change of what follows is a new version once it has been released.
pub(super) const VERSION: i16 = 2;

/// One of the things that an event is grouped by: what it is, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    name: &'static str,
    texts: Vec<String>,
}

impl Part {
    fn new<const N: usize>(name: &'static str, texts: [String; N]) -> Self {
        Self { name, texts: texts.into() }
    }
}

/// The hash of what an event is grouped by.
pub(super) fn hash(event: &Event) -> [u8; 32] {
    digest(&parts(event))
}

/// What earlier versions made of an event, the latest first: by these its issue is looked up when nobody has met its hash.
pub(super) fn earlier_hashes(event: &Event) -> Vec<[u8; 32]> {
    vec![version_1::hash(event)]
}

/// What an event is grouped by, in order: the client's fingerprint, or what we make of the event.
fn parts(event: &Event) -> Vec<Part> {
    if fingerprint::is_default(&event.fingerprint) {
        return default_parts(event);
    }
    let texts = fingerprint::resolve(event, || hex::encode(digest(&default_parts(event))));
    vec![Part { name: "fingerprint", texts }]
}

/// Lengths in front of the texts, and their number: `a`, `bc` must not be `ab`, `c`.
fn digest(parts: &[Part]) -> [u8; 32] {
    fn add(hasher: &mut Sha256, text: &str) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut hasher = Sha256::new();
    for part in parts {
        add(&mut hasher, part.name);
        hasher.update((part.texts.len() as u64).to_le_bytes());
        part.texts.iter().for_each(|text| add(&mut hasher, text));
    }
    hasher.finalize().into()
}

fn default_parts(event: &Event) -> Vec<Part> {
    if !event.csp.is_empty() {
        return vec![Part::new("csp", [csp::directive(&event.csp).to_owned(), csp::target(&event.csp)])];
    }
    let reader = reader(event);
    let message = event.logentry.as_ref().map(|entry| entry.message.as_deref().unwrap_or(entry.text()));
    let message = message.map(|message| Part::new("message", [parameterise::parameterise(message)]));
    let is_message = message.is_some() && is_captured_message(event);
    if !event.exception.is_empty() && !is_message {
        let parts = exception::parts(&event.exception.values, &reader);
        if !parts.is_empty() {
            return parts;
        }
    }
    if !is_message && let Some((stack, crashed)) = own_stack(event) {
        let mut parts = reader.read(stack, false).frames;
        if !parts.is_empty() {
            // A stack that was attached to a message is of the helper that sends messages.
            parts.extend(message.filter(|_| !crashed));
            return parts;
        }
    }
    if let Some(template) = &event.template {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        return vec![Part::new("template", [text(&template.filename), text(&template.context_line)])];
    }
    if let Some(message) = message {
        return vec![message];
    }
    let name = event.transaction.clone().unwrap_or_else(|| event.platform.clone());
    vec![Part::new("untitled", [name])]
}

fn reader(event: &Event) -> Reader<'_> {
    Reader::new(&event.platform, Images::of(event))
}

/// Some SDKs report a message as an exception whose type is made up, or has none, beside the message itself.
fn is_captured_message(event: &Event) -> bool {
    let [exception] = event.exception.values.as_slice() else { return false };
    let says_nothing = exception.exception_type.is_none() && exception.stacktrace.is_none();
    main_exception(event).is_some_and(Exception::is_synthetic) || says_nothing
}

/// The stack of the only thread that has one, or of the crashed thread, or the event's own; and whether it crashed.
fn own_stack(event: &Event) -> Option<(&Stacktrace, bool)> {
    let with_stack = || event.threads.values.iter().filter(|thread| thread.stacktrace.is_some());
    let mut threads = with_stack();
    let thread = match (threads.next(), threads.next()) {
        (only, None) => only,
        _ => with_stack().find(|thread| thread.crashed == Some(true)),
    };
    let stack = thread.and_then(|thread| Some((thread.stacktrace.as_ref()?, thread.crashed == Some(true))));
    stack.or_else(|| Some((event.stacktrace.as_ref()?, false)))
}

/// Names and texts of the parts, one behind the other.
#[cfg(test)]
pub(super) fn texts(event: &Event) -> Vec<String> {
    parts(event).into_iter().flat_map(|part| [vec![part.name.to_owned()], part.texts].concat()).collect()
}

#[cfg(test)]
mod tests;
