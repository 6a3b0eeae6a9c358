//! What of a chain of exceptions counts.

use super::Part;
use super::frame::{Contribution, Reader};
use super::parameterise::parameterise;
use crate::protocol::event::Exception;

/// The outermost exceptions of a longer chain count.
const MAX_EXCEPTIONS: usize = 10;
/// Go's types of errors that are only a text, made by `errors.New`, `fmt.Errorf` and `errors.Join`. An error has no
/// stack of its own there, so that the SDK's is of the place that reported it, which may report all there are.
const TEXT_ERRORS: [&str; 4] = ["*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError"];
/// How Rust's standard library begins its own panics; all panics have one type.
const PANICS: [&str; 20] = [
    "called `Option::unwrap()`",
    "called `Result::unwrap()`",
    "called `Result::unwrap_err()`",
    "index out of bounds",
    "range start index",
    "range end index",
    "slice index starts at",
    "byte index",
    "attempt to divide",
    "attempt to calculate the remainder",
    "attempt to add",
    "attempt to subtract",
    "attempt to multiply",
    "assertion `left",
    "already borrowed",
    "already mutably borrowed",
    "not implemented",
    "not yet implemented",
    "internal error: entered unreachable code",
    "explicit panic",
];

/// The parts of all exceptions that count, innermost first; none if no exception says anything.
pub(super) fn parts<'a>(chain: &'a [Exception], reader: &Reader<'a>) -> Vec<Part> {
    let is_group =
        |exception: &&'a Exception| exception.mechanism.as_ref().is_some_and(|mechanism| mechanism.is_exception_group);
    let has_group = chain.iter().any(|exception| is_group(&exception));
    let mut members: Vec<&'a Exception> = chain.iter().filter(|exception| !is_group(exception)).collect();
    if members.is_empty() {
        members = chain.iter().collect();
    }
    if !has_group {
        members.drain(..members.len().saturating_sub(MAX_EXCEPTIONS));
    }
    let stacks: Vec<Option<Contribution>> = members.iter().map(|exception| contribution(exception, reader)).collect();
    let has_own = stacks.iter().flatten().any(|stack| stack.is_own);
    let components = members.into_iter().zip(stacks).map(|(exception, stack)| component(exception, stack, has_own));
    let mut components: Vec<Vec<Part>> = components.filter(|component| !component.is_empty()).collect();
    if has_group {
        // Which member failed first, and how many failed in the same way, is chance.
        components.sort();
        components.dedup();
        components.truncate(MAX_EXCEPTIONS);
    }
    components.into_iter().flatten().collect()
}

fn contribution<'a>(exception: &'a Exception, reader: &Reader<'a>) -> Option<Contribution> {
    exception.stacktrace.as_ref().map(|stack| reader.read(stack, is_overflow(exception)))
}

/// True if the stack was full, by the words of the platforms.
fn is_overflow(exception: &Exception) -> bool {
    let name = exception.exception_type.as_deref().unwrap_or_default();
    let value = exception.value.as_deref().unwrap_or_default();
    matches!(name.rsplit('.').next(), Some("RecursionError" | "StackOverflowError" | "SystemStackError"))
        || matches!(
            value,
            "Maximum call stack size exceeded" | "Maximum call stack size exceeded." | "too much recursion"
        )
}

fn component(exception: &Exception, stack: Option<Contribution>, has_own: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let name = exception.exception_type.as_deref();
    if let Some(name) = name.filter(|_| !exception.is_synthetic()) {
        parts.push(Part::new("exception", [name.to_owned()]));
    }
    // Apple's errors have a domain, which is the type, and a number.
    if let Some(code) = exception.mechanism.as_ref().and_then(|mechanism| mechanism.meta.get("ns_error")?.get("code")) {
        parts.push(Part::new("code", [code.to_string()]));
    }
    let value = exception.value.as_deref().filter(|value| !value.is_empty());
    let text = || value.map(|value| Part::new("value", [parameterise(value)]));
    match stack {
        // Where in a library a cause came up says less than the program's frames around it, and changes with the library.
        Some(stack) if has_own && !stack.is_own && !parts.is_empty() => {}
        Some(stack) if !stack.frames.is_empty() => {
            if name == Some("panic") {
                let kind = PANICS.iter().find(|kind| value.is_some_and(|value| value.starts_with(**kind)));
                parts.extend(kind.map(|kind| Part::new("panic", [(*kind).to_owned()])));
            }
            parts.extend(stack.frames);
            if stack.is_nameless || name.is_some_and(|name| TEXT_ERRORS.contains(&name)) {
                parts.extend(text());
            }
        }
        _ => parts.extend(text()),
    }
    parts
}
