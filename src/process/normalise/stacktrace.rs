//! Stack traces, frames and template frames.

use serde_json::{Map, Value};

use super::databag::{DATA, VARS};
use super::field::{Errors, Path};
use crate::process::in_app;
use crate::protocol::event::{Frame, Stacktrace, Template};

/// Frames kept at the caller's end of a stack that is too deep.
const FIRST_FRAMES: usize = 50;
/// Frames kept at the crash's end.
const LAST_FRAMES: usize = 200;
const MAX_NAME: usize = 1024;
const MAX_LINE: usize = 2048;
const MAX_CONTEXT_LINES: usize = 20;

/// An object with `frames`, or the list of frames alone; nothing without a frame.
pub(super) fn stacktrace(errors: &mut Errors, at: &Path<'_>, value: Value, platform: &str) -> Option<Stacktrace> {
    let map = match value {
        Value::Array(frames) => Map::from_iter([("frames".to_owned(), Value::Array(frames))]),
        value => errors.object(at, value)?,
    };
    let mut stack = Stacktrace::default();
    for (key, value) in map {
        let at = at.key(&key);
        match key.as_str() {
            "frames" => {
                let list = errors.list(&at, value);
                (stack.frames, stack.frames_omitted) = frames(errors, &at, list, platform, stack.frames_omitted);
            }
            "frames_omitted" => stack.frames_omitted = serde_json::from_value(value).ok().or(stack.frames_omitted),
            "registers" => stack.registers = DATA.read(errors, &at, value),
            "lang" => stack.lang = errors.word(&at, value, 64),
            "snapshot" => stack.snapshot = errors.flag(&at, value).unwrap_or_default(),
            _ => {}
        }
    }
    if stack.frames.is_empty() {
        return None;
    }
    in_app::mark(&mut stack.frames, platform);
    Some(stack)
}

fn frames(
    errors: &mut Errors,
    at: &Path<'_>,
    mut list: Vec<Value>,
    platform: &str,
    omitted: Option<(u64, u64)>,
) -> (Vec<Frame>, Option<(u64, u64)>) {
    list.retain(|frame| !frame.is_null());
    let mut omitted = omitted;
    if list.len() > FIRST_FRAMES + LAST_FRAMES {
        let end = list.len() - LAST_FRAMES;
        errors.shortened(at, list.len(), FIRST_FRAMES + LAST_FRAMES);
        list.drain(FIRST_FRAMES..end);
        omitted = Some((FIRST_FRAMES as u64, end as u64));
    }
    let frames = list
        .into_iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let at = at.index(index);
            let map = errors.object(&at, value)?;
            Some(frame(errors, &at, map, platform))
        })
        .filter(|frame| *frame != Frame::default())
        .collect();
    (frames, omitted)
}

fn frame(errors: &mut Errors, at: &Path<'_>, map: Map<String, Value>, platform: &str) -> Frame {
    let mut frame = Frame::default();
    for (key, value) in map {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "filename" => frame.filename = name(errors, &at, value),
            "abs_path" => frame.abs_path = name(errors, &at, value),
            "function" => frame.function = name(errors, &at, value).filter(|name| name != "?"),
            "raw_function" => frame.raw_function = name(errors, &at, value),
            "module" => frame.module = name(errors, &at, value),
            "package" => frame.package = name(errors, &at, value),
            "symbol" => frame.symbol = name(errors, &at, value),
            "lineno" => frame.lineno = errors.unsigned(&at, value),
            "colno" => frame.colno = errors.unsigned(&at, value),
            "in_app" => frame.in_app = errors.flag(&at, value),
            "pre_context" => frame.pre_context = lines(errors, &at, value, End::Last),
            "context_line" => frame.context_line = errors.text(&at, value, MAX_LINE),
            "post_context" => frame.post_context = lines(errors, &at, value, End::First),
            "vars" => frame.vars = vars(errors, &at, value),
            "platform" => frame.platform = errors.word(&at, value, 64).filter(|own| own != platform),
            "instruction_addr" => frame.instruction_addr = address(errors, &at, value),
            "symbol_addr" => frame.symbol_addr = address(errors, &at, value),
            "image_addr" => frame.image_addr = address(errors, &at, value),
            "addr_mode" => frame.addr_mode = errors.word(&at, value, 64),
            "function_id" => frame.function_id = address(errors, &at, value),
            "trust" => frame.trust = errors.word(&at, value, 64),
            "stack_start" => frame.stack_start = errors.flag(&at, value).unwrap_or_default(),
            "lock" => frame.lock = DATA.read(errors, &at, value),
            "data" => frame.data = DATA.read(errors, &at, value),
            _ => {}
        }
    }
    if frame.context_line.is_none() && !(frame.pre_context.is_empty() && frame.post_context.is_empty()) {
        frame.context_line = Some(String::new());
    }
    settle_paths(&mut frame);
    frame
}

fn name(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    errors.text(at, value, MAX_NAME).filter(|name| !name.is_empty())
}

/// `abs_path` is the whole of it, `filename` the part that people read: of a URL its path.
fn settle_paths(frame: &mut Frame) {
    if frame.abs_path.is_none() {
        frame.abs_path.clone_from(&frame.filename);
    }
    if frame.filename.is_none() || frame.filename == frame.abs_path {
        let path = frame.abs_path.as_deref().and_then(path_of_url).map(str::to_owned);
        if path.is_some() {
            frame.filename = path;
        }
    }
}

/// `/dist/app.js` of `http://host/dist/app.js?v=1`.
fn path_of_url(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let path = rest.get(rest.find('/')?..)?;
    let path = path.split(['?', '#']).next()?;
    (!path.is_empty()).then_some(path)
}

/// Which of too many lines are kept: those nearest to the one in question, whose numbers are counted from it.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

fn lines(errors: &mut Errors, at: &Path<'_>, value: Value, end: End) -> Vec<String> {
    let mut list = errors.list(at, value);
    errors.shortened(at, list.len(), MAX_CONTEXT_LINES);
    match end {
        End::First => list.truncate(MAX_CONTEXT_LINES),
        End::Last => drop(list.drain(..list.len().saturating_sub(MAX_CONTEXT_LINES))),
    }
    list.into_iter()
        .enumerate()
        .map(|(index, line)| match line {
            // A line that is missing still counts, or the numbers of the others would be wrong.
            Value::String(text) => errors.cut(&at.index(index), text, MAX_LINE),
            _ => String::new(),
        })
        .collect()
}

fn vars(errors: &mut Errors, at: &Path<'_>, value: Value) -> Map<String, Value> {
    let map = match value {
        Value::Array(list) => list.into_iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        value => errors.object(at, value).unwrap_or_default(),
    };
    VARS.map(errors, at, map)
}

/// An address as a number or in hexadecimal, written as `0x…`.
fn address(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<String> {
    let number = match &value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    };
    if number.is_none() {
        errors.invalid(at, value, "an address");
    }
    number.map(|number| format!("{number:#x}"))
}

/// A frame in a template.
pub(super) fn template(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Template> {
    let mut template = Template::default();
    for (key, value) in errors.object(at, value)? {
        let at = at.key(&key);
        match key.as_str() {
            "filename" => template.filename = errors.text(&at, value, MAX_NAME),
            "abs_path" => template.abs_path = errors.text(&at, value, MAX_NAME),
            "lineno" => template.lineno = errors.unsigned(&at, value),
            "pre_context" => template.pre_context = lines(errors, &at, value, End::Last),
            "context_line" => template.context_line = errors.text(&at, value, MAX_LINE),
            "post_context" => template.post_context = lines(errors, &at, value, End::First),
            _ => {}
        }
    }
    (template != Template::default()).then_some(template)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Option<Stacktrace> {
        stacktrace(&mut Errors::default(), &Path::Root, value, "python")
    }

    fn read_frame(value: &Value) -> Frame {
        read(json!([value])).unwrap().frames.remove(0)
    }

    #[test]
    fn without_frames_there_is_no_stack_trace() {
        for value in [json!(null), json!({}), json!({"frames": []}), json!({"frames": [null]}), json!("x"), json!([{}])]
        {
            assert_eq!(read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_bare_list_is_accepted_and_null_frames_are_skipped() {
        assert_eq!(read(json!([{"function": "a"}, null, {"function": "b"}])).unwrap().frames.len(), 2);
    }

    #[test]
    fn urls_are_kept_whole_and_shown_by_path() {
        for (sent, filename, abs_path) in [
            (json!({"filename": "http://x/dist/app.js?v=1"}), Some("/dist/app.js"), Some("http://x/dist/app.js?v=1")),
            (json!({"abs_path": "https://x/a.js"}), Some("/a.js"), Some("https://x/a.js")),
            (json!({"filename": "a.py"}), Some("a.py"), Some("a.py")),
            (json!({"filename": "a.py", "abs_path": "/srv/a.py"}), Some("a.py"), Some("/srv/a.py")),
            (json!({"filename": "http://x"}), Some("http://x"), Some("http://x")),
        ] {
            let frame = read_frame(&sent);
            assert_eq!((frame.filename.as_deref(), frame.abs_path.as_deref()), (filename, abs_path), "{sent}");
        }
    }

    #[test]
    fn fields_are_read_in_every_form() {
        let frame = read_frame(&json!({
            "function": "?", "lineno": "12", "colno": 3, "in_app": "yes", "instruction_addr": 4096, "symbol_addr": "0xFF",
            "image_addr": "junk", "pre_context": ["a", null], "vars": [1, "x"], "package": "", "platform": "python",
        }));
        assert_eq!(frame.function, None);
        assert_eq!((frame.lineno, frame.colno), (Some(12), Some(3)));
        assert_eq!(frame.instruction_addr.as_deref(), Some("0x1000"));
        assert_eq!(frame.symbol_addr.as_deref(), Some("0xff"));
        assert_eq!(frame.image_addr, None);
        assert_eq!(frame.pre_context, ["a", ""]);
        assert_eq!(frame.context_line.as_deref(), Some(""));
        assert_eq!(Value::Object(frame.vars), json!({"0": 1, "1": "x"}));
        assert_eq!((frame.package, frame.platform), (None, None));
        assert_eq!(read_frame(&json!({"function": "<anonymous>"})).function.as_deref(), Some("<anonymous>"));
    }

    #[test]
    fn of_many_lines_those_nearest_to_the_call_are_kept() {
        let lines = |from: usize, to: usize| (from..to).map(|line| line.to_string()).collect::<Vec<_>>();
        let sent =
            json!({"lineno": 31, "pre_context": lines(1, 31), "context_line": "31", "post_context": lines(32, 62)});
        let frame = read_frame(&sent);
        assert_eq!((frame.pre_context, frame.post_context), (lines(11, 31), lines(32, 52)));
        let template = template(&mut Errors::default(), &Path::Root, sent).unwrap();
        assert_eq!((template.pre_context, template.post_context), (lines(11, 31), lines(32, 52)));
    }

    #[test]
    fn deep_stacks_keep_both_ends() {
        let frames: Vec<Value> = (0..300).map(|line| json!({"function": "f", "lineno": line})).collect();
        let stack = read(json!({"frames": frames})).unwrap();
        assert_eq!(stack.frames.len(), 250);
        assert_eq!(stack.frames_omitted, Some((50, 100)));
        assert_eq!(
            (stack.frames[49].lineno, stack.frames[50].lineno, stack.frames[249].lineno),
            (Some(49), Some(100), Some(299))
        );
    }
}
