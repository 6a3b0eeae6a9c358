//! Title, culprit and metadata: what lists show of an event.

use super::csp;
use super::grouping;
use super::normalise::cut;
use crate::protocol::event::{Exception, Frame, Metadata, Stacktrace};
use crate::protocol::{Event, EventKind};

const MAX_TITLE_TEXT: usize = 100;
const MAX_TYPE: usize = 128;
const MAX_VALUE: usize = 1024;
const MAX_CULPRIT: usize = 200;

/// Fills in title, culprit and metadata.
pub(super) fn describe(event: &mut Event) {
    event.metadata = metadata(event);
    event.title = title(event);
    if event.kind == EventKind::Default {
        event.metadata.title = Some(event.title.clone());
    }
    event.culprit = cut(culprit(event), MAX_CULPRIT);
}

/// The exception that was reported: the outermost.
pub(super) fn main_exception(event: &Event) -> Option<&Exception> {
    event.exception.values.last()
}

/// The exception that the title names: the outermost, but of a group whose members all say the same, a member.
fn named_exception(event: &Event) -> Option<&Exception> {
    let main = main_exception(event)?;
    let group_id = |exception: &Exception| {
        exception
            .mechanism
            .as_ref()
            .filter(|mechanism| mechanism.is_exception_group)
            .and_then(|group| group.exception_id)
    };
    if group_id(main).is_none() {
        return Some(main);
    }
    let all = &event.exception.values;
    let groups: Vec<i64> = all.iter().filter_map(group_id).collect();
    let mut members = all.iter().filter(|exception| {
        let parent = exception.mechanism.as_ref().and_then(|mechanism| mechanism.parent_id);
        group_id(exception).is_none() && parent.is_some_and(|parent| groups.contains(&parent))
    });
    let Some(first) = members.next() else { return Some(main) };
    let says_the_same =
        |other: &Exception| (&other.exception_type, &other.value) == (&first.exception_type, &first.value);
    Some(if members.all(says_the_same) { first } else { main })
}

/// The stack that shows where it crashed: of the outermost exception that has one, of the crashed or current
/// thread, or the event's own.
pub(super) fn crash_stack(event: &Event) -> Option<&Stacktrace> {
    let of_exception = event.exception.values.iter().rev().find_map(|exception| exception.stacktrace.as_ref());
    let threads = &event.threads.values;
    let of_thread = || {
        let crashed = threads.iter().find(|thread| thread.crashed == Some(true) && thread.stacktrace.is_some());
        let current = || threads.iter().find(|thread| thread.current == Some(true) && thread.stacktrace.is_some());
        crashed.or_else(current)?.stacktrace.as_ref()
    };
    of_exception.or(event.stacktrace.as_ref()).or_else(of_thread)
}

/// The frame nearest the crash that is the program's own and has a name, else the last one.
fn crash_frame(event: &Event) -> Option<&Frame> {
    let frames = &crash_stack(event)?.frames;
    let is_usable = |frame: &&Frame| {
        frame.in_app == Some(true)
            && frame.function.as_deref().is_some_and(|name| !matches!(name, "<redacted>" | "<unknown>"))
    };
    frames.iter().rev().find(is_usable).or(frames.last())
}

fn metadata(event: &Event) -> Metadata {
    if event.kind == EventKind::Csp {
        return Metadata {
            directive: Some(csp::directive(&event.csp).to_owned()),
            uri: Some(csp::blocked(&event.csp)),
            message: Some(csp::message(&event.csp)),
            ..Metadata::default()
        };
    }
    let Some(exception) = named_exception(event) else { return Metadata::default() };
    let frame = crash_frame(event);
    let exception_type = match &exception.exception_type {
        _ if exception.is_synthetic() => None,
        Some(name) => Some(cut(name.clone(), MAX_TYPE)),
        None => Some("Error".to_owned()),
    };
    Metadata {
        exception_type,
        value: exception.value.clone().map(|value| cut(value, MAX_VALUE)),
        filename: frame.and_then(|frame| frame.filename.clone()),
        function: frame.and_then(|frame| frame.function.clone()),
        ..Metadata::default()
    }
}

fn title(event: &Event) -> String {
    let message = event.logentry.as_ref().map_or("", |entry| first_line(entry.text()));
    match event.kind {
        EventKind::Csp => csp::message(&event.csp),
        EventKind::Default if message.is_empty() => {
            let function = crash_frame(event).and_then(|frame| frame.function.clone());
            function.unwrap_or_else(|| "<unlabeled event>".to_owned())
        }
        EventKind::Default => shorten(message),
        EventKind::Error => {
            let value = first_line(event.metadata.value.as_deref().unwrap_or_default());
            match event.metadata.exception_type.as_deref() {
                Some(name) if value.is_empty() => name.to_owned(),
                // A made-up type says less than the message that was captured.
                Some(_)
                    if main_exception(event).is_some_and(|main| main.exception_type.is_none())
                        && !message.is_empty() =>
                {
                    shorten(message)
                }
                Some(name) => format!("{name}: {}", shorten(value)),
                // Every crash of a kind has the same value: what tells them apart is where they came.
                None if crashed_function(event).is_some() => shorten(crashed_function(event).unwrap_or_default()),
                None if !message.is_empty() => shorten(message),
                None if !value.is_empty() => shorten(value),
                None => event.metadata.function.clone().unwrap_or_else(|| "<unknown>".to_owned()),
            }
        }
    }
}

/// The function that a signal came in, by its name without what the compiler made of it.
fn crashed_function(event: &Event) -> Option<&str> {
    let frame = crash_frame(event).filter(|frame| {
        is_native(frame.platform.as_deref().unwrap_or(&event.platform))
            && main_exception(event).is_some_and(Exception::is_synthetic)
    })?;
    let function = frame.function.as_deref().filter(|name| !matches!(*name, "" | "<redacted>" | "<unknown>"))?;
    Some(grouping::without_rust_hash(function))
}

/// The first line with something on it.
fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(MAX_TITLE_TEXT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line.to_owned(),
    }
}

fn culprit(event: &Event) -> String {
    if let Some(transaction) = &event.transaction {
        return transaction.clone();
    }
    if event.kind == EventKind::Csp {
        return csp::culprit(&event.csp);
    }
    // The stack of a made-up exception is of the SDK's call, but of a signal it is where it came.
    let is_made_up = main_exception(event).is_some_and(Exception::is_synthetic) && !is_native(&event.platform);
    let generated = if is_made_up { String::new() } else { generated_culprit(event) };
    if !generated.is_empty() {
        return generated;
    }
    if let Some(name) = event.template.as_ref().and_then(|template| template.filename.clone()) {
        return name;
    }
    event.request.as_ref().and_then(|request| request.url.clone()).unwrap_or_default()
}

fn generated_culprit(event: &Event) -> String {
    let Some(stack) = crash_stack(event) else { return String::new() };
    let Some(frame) = stack.frames.iter().rev().find(|frame| frame.in_app == Some(true)).or(stack.frames.last()) else {
        return String::new();
    };
    let platform = frame.platform.as_deref().unwrap_or(&event.platform);
    let place = frame.module.as_deref().or(frame.filename.as_deref());
    let function = frame.function.as_deref().filter(|name| !matches!(*name, "<redacted>" | "<unknown>"));
    match (platform, place, function) {
        ("javascript" | "node", Some(place), _) => format!("{}({place})", function.unwrap_or("?")),
        ("javascript" | "node", None, _) => String::new(),
        (platform, ..) if is_native(platform) => {
            // Without a symbol, the image.
            let image = || frame.package.as_deref().and_then(|path| path.rsplit(['/', '\\']).next());
            grouping::without_rust_hash(function.or_else(image).unwrap_or("?")).to_owned()
        }
        ("csharp", Some(class), Some(function)) => {
            let (class, function) = grouping::demangle(class, function);
            format!("{class} in {function}")
        }
        // Elixir's functions say their module, without what every one of them begins with.
        (_, Some(place), Some(function)) if function.contains(place.trim_start_matches("Elixir.")) => {
            function.to_owned()
        }
        (_, None, Some(function)) => function.to_owned(),
        (_, Some(place), Some(function)) => format!("{place} in {function}"),
        (_, place, None) => place.unwrap_or_default().to_owned(),
    }
}

/// Platforms whose functions are known by their names alone.
fn is_native(platform: &str) -> bool {
    matches!(platform, "native" | "rust" | "c" | "cpp" | "cocoa" | "swift" | "objc")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::process::tests::event;

    fn titled(payload: &Value) -> (String, String) {
        let event = event(payload);
        (event.title, event.culprit)
    }

    #[test]
    fn titles_follow_the_main_exception_or_the_message() {
        let long = "x".repeat(150);
        let cut = format!("E: {}…", "x".repeat(100));
        for (payload, title) in [
            (
                json!({"exception": [{"type": "A", "value": "inner"}, {"type": "B", "value": "outer\nmore"}]}),
                "B: outer",
            ),
            (json!({"exception": [{"type": "A"}]}), "A"),
            (json!({"exception": [{"type": "A", "value": "\n  \n"}]}), "A"),
            (json!({"exception": [{"value": "no type"}]}), "Error: no type"),
            (json!({"exception": [{"type": "E", "value": long}]}), cut.as_str()),
            (
                json!({"message": "captured", "exception": [{"value": "captured", "mechanism": {"synthetic": true}}]}),
                "captured",
            ),
            (
                json!({"exception": [{"type": "Error", "value": "Object captured", "mechanism": {"synthetic": true}}]}),
                "Object captured",
            ),
            (
                json!({"exception": [{"type": "Error", "mechanism": {"synthetic": true}, "stacktrace": [{"function": "f"}]}]}),
                "f",
            ),
            (json!({"exception": [{"type": "Error", "mechanism": {"synthetic": true}}]}), "<unknown>"),
            (json!({"message": "hello\nworld"}), "hello"),
            (json!({"logentry": {"message": "hi %s", "params": ["x"]}}), "hi x"),
            (json!({}), "<unlabeled event>"),
        ] {
            assert_eq!(titled(&payload).0, title, "{payload}");
        }
    }

    #[test]
    fn culprits_are_the_transaction_the_crash_or_the_address() {
        let stack = json!([{"function": "main", "module": "app", "in_app": true}, {"function": "lib", "module": "lib", "in_app": false}]);
        for (payload, culprit) in [
            (
                json!({"transaction": "/x", "platform": "python", "exception": [{"type": "A", "stacktrace": stack}]}),
                "/x",
            ),
            (json!({"culprit": "old", "exception": [{"type": "A"}]}), "old"),
            (json!({"platform": "python", "exception": [{"type": "A", "stacktrace": stack}]}), "app in main"),
            (json!({"platform": "javascript", "exception": [{"type": "A", "stacktrace": stack}]}), "main(app)"),
            (json!({"platform": "native", "exception": [{"type": "A", "stacktrace": stack}]}), "main"),
            (json!({"platform": "python", "stacktrace": stack, "message": "x"}), "app in main"),
            (
                json!({"platform": "java", "exception": [{"type": "A"}], "threads": [{"id": 1}, {"id": 2, "crashed": true, "stacktrace": stack}]}),
                "app in main",
            ),
            (json!({"exception": [{"type": "A"}], "request": {"url": "http://x/y?z"}}), "http://x/y"),
            (
                json!({"platform": "python", "exception": [{"type": "A", "mechanism": {"synthetic": true}, "stacktrace": stack}]}),
                "",
            ),
            (json!({"message": "x"}), ""),
            (
                json!({"platform": "rust", "exception": [{"type": "A", "stacktrace": [{"function": "app::main::{{closure}}::h9f8e7d6c5b4a3921"}]}]}),
                "app::main::{{closure}}",
            ),
            (
                json!({"platform": "elixir", "exception": [{"type": "A", "stacktrace": [{"module": "Elixir.Shop.Orders", "function": "Shop.Orders.sum/1"}]}]}),
                "Shop.Orders.sum/1",
            ),
        ] {
            assert_eq!(titled(&payload).1, culprit, "{payload}");
        }
    }

    #[test]
    fn native_crashes_are_titled_by_where_they_came() {
        let crash = |platform: &str, function: &str| {
            event(&json!({"platform": platform, "exception": [{"type": "SIGSEGV", "value": "Segfault",
                "mechanism": {"type": "signalhandler", "synthetic": true, "handled": false},
                "stacktrace": [{"function": "main", "in_app": false}, {"function": function, "in_app": true}]}]}))
        };
        for (platform, function, title) in [
            ("native", "acme::Audio::mix(short*, int)", "acme::Audio::mix(short*, int)"),
            ("rust", "app::main::{{closure}}::h9f8e7d6c5b4a3921", "app::main::{{closure}}"),
            ("native", "<redacted>", "Segfault"),
            ("native", "", "Segfault"),
            ("python", "f", "Segfault"),
        ] {
            let event = crash(platform, function);
            assert_eq!(event.title, title, "{platform} {function}");
            assert_eq!((event.metadata.value.as_deref(), event.metadata.exception_type), (Some("Segfault"), None));
        }
        // A type of its own says more.
        let payload = json!({"platform": "cocoa", "exception": [{"type": "EXC_BREAKPOINT", "value": "Index out of range",
            "stacktrace": [{"function": "f", "in_app": true}]}]});
        assert_eq!(titled(&payload).0, "EXC_BREAKPOINT: Index out of range");
    }

    #[test]
    fn a_group_of_one_kind_is_titled_by_it() {
        let member = |id: i64, value: &str| json!({"type": "Full", "value": value, "mechanism": {"type": "chained", "exception_id": id, "parent_id": 0}});
        let group = json!({"type": "ExceptionGroup", "value": "2 failed", "mechanism":
            {"type": "generic", "exception_id": 0, "is_exception_group": true}});
        for (members, title) in [
            (vec![member(1, "disk")], "Full: disk"),
            (vec![member(2, "disk"), member(1, "disk")], "Full: disk"),
            (vec![member(2, "disk"), member(1, "tape")], "ExceptionGroup: 2 failed"),
            (vec![], "ExceptionGroup: 2 failed"),
        ] {
            let chain: Vec<Value> = members.into_iter().chain([group.clone()]).collect();
            assert_eq!(titled(&json!({"platform": "python", "exception": chain})).0, title);
        }
    }

    #[test]
    fn metadata_names_the_crashing_frame() {
        let event = event(&json!({"platform": "python", "exception": [{"type": "A", "value": "v", "stacktrace": [
            {"function": "f", "filename": "app.py", "in_app": true},
            {"function": "<unknown>", "filename": "mine.py", "in_app": true},
            {"function": "g", "filename": "lib.py", "in_app": false}]}]}));
        assert_eq!(
            serde_json::to_value(&event.metadata).unwrap(),
            json!({"type": "A", "value": "v", "filename": "app.py", "function": "f"})
        );
    }
}
