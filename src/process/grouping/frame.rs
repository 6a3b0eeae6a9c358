//! What of a stack counts: of each contributing frame its place, its function and its line of source.

use std::borrow::Cow;

use super::Part;
use super::csharp;
use super::function::function;
use super::image::Images;
use super::place::{file_name, module_name};
use crate::process::in_app;
use crate::protocol::event::{Frame, Stacktrace};

/// The frames nearest the crash that count.
const MAX_FRAMES: usize = 50;
/// A longer line is generated or minified.
const MAX_CONTEXT_LINE: usize = 120;
/// Calls in a circle of this many functions are seen as one round.
const MAX_CYCLE: usize = 8;
/// Minifiers give out names of one and two letters, anew in each build.
const MAX_MINIFIED: usize = 2;

/// Compared and hashed; a part that is missing is empty.
#[derive(PartialEq, Eq)]
struct Key<'a> {
    place: Cow<'a, str>,
    function: Cow<'a, str>,
    context: Cow<'a, str>,
}

impl Key<'_> {
    fn into_part(self) -> Part {
        Part::new("frame", [self.place.into_owned(), self.function.into_owned(), self.context.into_owned()])
    }
}

/// How stacks of an event are read.
pub(super) struct Reader<'a> {
    platform: &'a str,
    images: Images<'a>,
}

/// What of a stack counts.
pub(super) struct Contribution {
    /// Caller first; none if no frame says anything.
    pub(super) frames: Vec<Part>,
    /// They are frames of the program itself.
    pub(super) is_own: bool,
    /// They say where, but neither in which function nor at which line of source.
    pub(super) is_nameless: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(platform: &'a str, images: Images<'a>) -> Self {
        Self { platform, images }
    }

    /// The contributing frames. Of a stack that overflowed each counts once: where in the circle it ended is chance.
    pub(super) fn read(&self, stack: &'a Stacktrace, overflowed: bool) -> Contribution {
        let own = stack.frames.iter().filter(|frame| frame.in_app == Some(true));
        let mut keys = self.keys(own, overflowed);
        let is_own = !keys.is_empty();
        if !is_own {
            let is_native = in_app::is_native(self.platform);
            let machinery =
                stack.frames.iter().rev().take_while(|frame| is_native && in_app::is_runtime(frame)).count();
            let rest = stack.frames.iter().take(stack.frames.len() - machinery);
            keys = self.keys(rest.filter(|frame| !in_app::is_event_loop(frame)), overflowed);
        }
        let says_nothing = |key: &Key<'_>| key.function.is_empty() && key.context.is_empty();
        let is_nameless = is_javascript(self.platform) && keys.iter().all(says_nothing);
        if is_nameless && self.platform == "javascript" {
            // The page, or some bundle, of which the next build makes two.
            keys.clear();
        }
        let surplus = keys.len().saturating_sub(MAX_FRAMES);
        Contribution { frames: keys.into_iter().skip(surplus).map(Key::into_part).collect(), is_own, is_nameless }
    }

    /// One frame, whether it counts or not.
    pub(super) fn part(&self, frame: &'a Frame) -> Option<Part> {
        self.key(frame).map(Key::into_part)
    }

    fn keys(&self, frames: impl Iterator<Item = &'a Frame>, overflowed: bool) -> Vec<Key<'a>> {
        let mut keys: Vec<Key<'a>> = Vec::new();
        for frame in frames {
            let Some(key) = self.key(frame) else { continue };
            if overflowed && keys.contains(&key) {
                continue;
            }
            keys.push(key);
            fold(&mut keys);
        }
        keys
    }

    fn key(&self, frame: &'a Frame) -> Option<Key<'a>> {
        let platform = frame.platform.as_deref().unwrap_or(self.platform);
        let file = frame.filename.as_deref().or(frame.abs_path.as_deref()).unwrap_or_default();
        if is_javascript(platform)
            && (matches!(file, "[native code]" | "native") || frame.function.as_deref() == Some("eval"))
        {
            return None;
        }
        let context = context(frame, platform);
        let is_mapped = is_javascript(platform) && frame.data.contains_key("sourcemap") && !context.is_empty();
        let name = frame.function.as_deref().filter(|_| !is_mapped).unwrap_or_default();
        let mut name = function(name, platform);
        if is_javascript(platform) && context.is_empty() && name.len() <= MAX_MINIFIED {
            name = Cow::Borrowed("");
        }
        let mut place = match frame.module.as_deref() {
            // The file that was started, whichever it is.
            Some("__main__") if platform == "python" => file_name(file, platform),
            Some(module) => module_name(module, platform),
            None => file_name(file, platform),
        };
        if platform == "csharp"
            && let (Some(module), Some(function)) = (frame.module.as_deref(), frame.function.as_deref())
        {
            (place, name) = csharp::demangle(module, function);
        }
        if place.is_empty() && name.is_empty() {
            if let Some((image, offset)) = self.images.locate(frame) {
                (place, name) = (Cow::Owned(image), Cow::Owned(offset));
            } else if context.is_empty() {
                return None;
            }
        }
        Some(Key { place, function: name, context })
    }
}

/// Takes off a round of a circle of calls that is the same as the one before: however deep it went, it counts once.
fn fold(keys: &mut Vec<Key<'_>>) {
    for period in 1..=MAX_CYCLE {
        let Some(middle) = keys.len().checked_sub(period) else { return };
        let Some(start) = middle.checked_sub(period) else { return };
        if keys.get(start..middle) == keys.get(middle..) {
            keys.truncate(middle);
            return;
        }
    }
}

pub(super) fn is_javascript(platform: &str) -> bool {
    matches!(platform, "javascript" | "node")
}

/// The line of source, white space evened out, where SDKs send it reliably.
fn context<'a>(frame: &'a Frame, platform: &str) -> Cow<'a, str> {
    if !matches!(platform, "javascript" | "node" | "python" | "php" | "ruby") {
        return Cow::Borrowed("");
    }
    let line = frame.context_line.as_deref().unwrap_or_default().trim();
    let line = if line.contains("  ") || line.contains('\t') {
        Cow::Owned(line.split_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        Cow::Borrowed(line)
    };
    if line.len() > MAX_CONTEXT_LINE && line.chars().count() > MAX_CONTEXT_LINE { Cow::Borrowed("") } else { line }
}
