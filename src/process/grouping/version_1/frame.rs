//! What of a stack counts: of each contributing frame its place, its function and its line of source.

use std::borrow::Cow;

use super::Parts;
use crate::process::in_app;
use crate::protocol::event::{Frame, Stacktrace};

/// The frames nearest the crash that count.
const MAX_FRAMES: usize = 50;
/// A longer line is generated or minified.
const MAX_CONTEXT_LINE: usize = 120;

/// Compared and hashed; a part that is missing is empty.
#[derive(PartialEq, Eq)]
struct Key<'a> {
    place: Cow<'a, str>,
    function: Cow<'a, str>,
    context: Cow<'a, str>,
}

/// The parts of the contributing frames, caller first; none if no frame says anything.
pub(super) fn parts(stack: &Stacktrace, platform: &str) -> Parts {
    let own = stack.frames.iter().filter(|frame| frame.in_app == Some(true));
    let mut keys = keys(own, platform);
    if keys.is_empty() {
        let machinery = stack.frames.iter().rev().take_while(|frame| in_app::is_runtime(frame)).count();
        let machinery = if in_app::is_native(platform) { machinery } else { 0 };
        keys = self::keys(stack.frames.iter().take(stack.frames.len() - machinery), platform);
    }
    if let [only] = keys.as_slice()
        && only.function.is_empty()
        && is_javascript(platform)
        && stack.frames.iter().all(is_url)
    {
        // The top level of some script: says nothing about what went wrong.
        return Parts::new();
    }
    let surplus = keys.len().saturating_sub(MAX_FRAMES);
    let mut parts = Parts::with_capacity((keys.len() - surplus) * 4);
    for key in keys.into_iter().skip(surplus) {
        parts.extend(["frame".to_owned(), key.place.into_owned(), key.function.into_owned(), key.context.into_owned()]);
    }
    parts
}

fn keys<'a>(frames: impl Iterator<Item = &'a Frame>, platform: &str) -> Vec<Key<'a>> {
    let mut keys: Vec<Key<'a>> = Vec::new();
    for frame in frames {
        if let Some(key) = key(frame, frame.platform.as_deref().unwrap_or(platform))
            // A function that calls itself counts once, however deep it went.
            && keys.last() != Some(&key)
        {
            keys.push(key);
        }
    }
    keys
}

fn is_javascript(platform: &str) -> bool {
    matches!(platform, "javascript" | "node")
}

fn is_url(frame: &Frame) -> bool {
    frame.abs_path.as_deref().is_some_and(|path| path.starts_with("http://") || path.starts_with("https://"))
}

fn key<'a>(frame: &'a Frame, platform: &str) -> Option<Key<'a>> {
    let file = frame.filename.as_deref().or(frame.abs_path.as_deref()).unwrap_or_default();
    if is_javascript(platform)
        && (matches!(file, "[native code]" | "native") || frame.function.as_deref() == Some("eval"))
    {
        return None;
    }
    let context = context(frame, platform);
    let is_mapped = is_javascript(platform) && frame.data.contains_key("sourcemap") && !context.is_empty();
    let function = match frame.function.as_deref() {
        Some(name) if !is_mapped => function(name, platform),
        _ => Cow::Borrowed(""),
    };
    let place = match frame.module.as_deref() {
        Some(module) => module_name(module, platform),
        None => file_name(file, platform),
    };
    let says_nothing = place.is_empty() && function.is_empty() && context.is_empty();
    (!says_nothing).then_some(Key { place, function, context })
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

/// A function's name without what differs between builds and runs; empty if it has none.
fn function<'a>(name: &'a str, platform: &str) -> Cow<'a, str> {
    let name = name.trim();
    if matches!(name, "" | "?" | "<anonymous>" | "<redacted>" | "<unknown>") {
        return Cow::Borrowed("");
    }
    match platform {
        "javascript" | "node" => {
            let name = name.split(" [as ").next().unwrap_or(name);
            let name = name.rsplit('.').next().unwrap_or(name);
            let is_anonymous = name.ends_with("/<") || matches!(name, "<anonymous>" | "?" | "");
            Cow::Borrowed(if is_anonymous { "" } else { name })
        }
        "java" | "kotlin" | "groovy" if name.starts_with("lambda$") => Cow::Borrowed(without_number(name)),
        "ruby" => match name.split_once("__") {
            _ if name.starts_with("block ") => Cow::Borrowed("block"),
            Some((erb, _)) if erb.ends_with("erb") => Cow::Borrowed(erb),
            _ => Cow::Borrowed(name),
        },
        "php" if name.contains("@anonymous") || name.starts_with("[Anonymous") => {
            let method = name.rsplit("::").next().unwrap_or_default();
            Cow::Owned(format!("class@anonymous::{method}"))
        }
        "native" | "rust" => Cow::Borrowed(without_rust_hash(name)),
        _ => Cow::Borrowed(name),
    }
}

/// `app::run` of `app::run::h0123456789abcdef`.
fn without_rust_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

fn without_number(name: &str) -> &str {
    name.trim_end_matches(|character: char| character.is_ascii_digit())
}

/// A module's or class's name without the numbers of generated classes.
fn module_name<'a>(module: &'a str, platform: &str) -> Cow<'a, str> {
    if !matches!(platform, "java" | "kotlin" | "groovy") {
        return Cow::Borrowed(module);
    }
    for generated in
        ["$$Lambda$", "CGLIB$$", "GeneratedMethodAccessor", "GeneratedConstructorAccessor", "_$$_javassist_"]
    {
        if let Some((before, _)) = module.split_once(generated) {
            return Cow::Owned(format!("{before}{generated}"));
        }
    }
    Cow::Borrowed(module)
}

/// The last part of a path in lower case; of a script without its content hash and version.
fn file_name<'a>(path: &'a str, platform: &str) -> Cow<'a, str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "<anonymous>" | "[native code]") {
        return Cow::Borrowed("");
    }
    let name = if name.chars().any(char::is_uppercase) && !is_javascript(platform) {
        Cow::Owned(name.to_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    if is_javascript(platform) && name.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Owned(without_hashes(&name));
    }
    if is_javascript(platform) { Cow::Owned(name.to_lowercase()) } else { name }
}

/// `app.<hash>.js` of `app.3f9a1c2b.js`, `jquery-<version>.min.js` of `jquery-3.6.0.min.js`.
fn without_hashes(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for piece in name.split_inclusive(['.', '-']) {
        let word = piece.trim_end_matches(['.', '-']);
        let separator = piece.get(word.len()..).unwrap_or_default();
        let digits = word.trim_start_matches('v');
        if !digits.is_empty() && digits.len() < 7 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            if out.ends_with("<version>.") {
                out.pop();
            } else {
                out.push_str("<version>");
            }
            out.push_str(separator);
        } else if is_content_hash(word) {
            out.push_str("<hash>");
            out.push_str(separator);
        } else {
            out.push_str(&piece.to_lowercase());
        }
    }
    out
}

/// Seven or more hexadecimal digits, or eight and more letters of both cases; with a digit among them.
fn is_content_hash(word: &str) -> bool {
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    let all = |test: fn(&u8) -> bool| word.as_bytes().iter().all(test);
    if !has(u8::is_ascii_digit) {
        return false;
    }
    let is_hexadecimal = word.len() >= 7 && all(u8::is_ascii_hexdigit);
    let is_mixed =
        word.len() >= 8 && all(u8::is_ascii_alphanumeric) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    is_hexadecimal || is_mixed
}
