//! What groups together and what does not.

use serde_json::{Value, json};

use super::*;
use crate::process::tests::event;

fn parts_of(payload: &Value) -> Vec<String> {
    texts(&event(payload))
}

fn same(first: &Value, second: &Value) {
    assert_eq!(parts_of(first), parts_of(second));
    assert_eq!(hash(&event(first)), hash(&event(second)));
}

fn different(first: &Value, second: &Value) {
    assert_ne!(hash(&event(first)), hash(&event(second)), "{:?}", parts_of(first));
}

fn error(value: &str, frames: &Value) -> Value {
    json!({"platform": "python", "exception": [{"type": "ValueError", "value": value, "stacktrace": {"frames": frames}}]})
}

#[test]
fn frames_count_and_values_and_lines_do_not() {
    let at = |line: u64, function: &str| json!([{"module": "app", "function": function, "lineno": line, "in_app": true, "context_line": "raise"}]);
    same(&error("user 1", &at(10, "f")), &error("user 2", &at(20, "f")));
    different(&error("x", &at(10, "f")), &error("x", &at(10, "g")));
}

#[test]
fn two_raises_in_one_function_differ() {
    let at = |line: &str| json!([{"module": "app", "function": "f", "in_app": true, "context_line": line}]);
    different(&error("x", &at("raise A")), &error("x", &at("raise B")));
    same(&error("x", &at("raise   A")), &error("x", &at("    raise A")));
    let long = |tail: &str| json!([{"module": "app", "function": "f", "in_app": true, "context_line": format!("{}{tail}", "x".repeat(130))}]);
    same(&error("x", &long("a")), &error("x", &long("b")));
}

#[test]
fn frames_of_libraries_count_only_if_there_is_no_other() {
    let with = |library: &str| json!([{"module": "app", "function": "f", "in_app": true}, {"module": library, "function": "g", "in_app": false}]);
    same(&error("x", &with("lib.v1")), &error("x", &with("lib.v2")));
    let only = |library: &str| json!([{"module": library, "function": "g", "in_app": false}]);
    different(&error("x", &only("lib.v1")), &error("x", &only("lib.v2")));
}

#[test]
fn recursion_counts_once_and_only_the_nearest_fifty_frames_count() {
    let frame = json!({"module": "app", "function": "f", "in_app": true});
    same(&error("x", &json!([frame])), &error("x", &json!([frame, frame, frame])));
    let deep = |first: &str| {
        let mut frames = vec![json!({"module": "app", "function": first, "in_app": true})];
        frames.extend((0..50).map(|number| json!({"module": "app", "function": format!("f{number}"), "in_app": true})));
        json!(frames)
    };
    same(&error("x", &deep("a")), &error("x", &deep("b")));
}

#[test]
fn without_frames_the_parameterised_value_counts() {
    let of = |value: &str| json!({"exception": [{"type": "E", "value": value}]});
    same(&of("order 17 failed"), &of("order 18 failed"));
    different(&of("order 17 failed"), &of("order 17 lost"));
    assert_eq!(parts_of(&of("order 17 failed")), ["exception", "E", "value", "order <int> failed"]);
    assert_eq!(parts_of(&json!({"exception": [{"type": "E"}]})), ["exception", "E"]);
}

#[test]
fn every_exception_of_a_chain_counts() {
    let chain = |inner: &str| json!({"exception": [{"type": inner, "value": "x"}, {"type": "Outer", "value": "y"}]});
    different(&chain("A"), &chain("B"));
    let long = |first: &str| {
        let mut list = vec![json!({"type": first})];
        list.extend((0..10).map(|number| json!({"type": format!("E{number}")})));
        json!({"exception": list})
    };
    same(&long("A"), &long("B"));
}

#[test]
fn members_of_a_group_count_once_and_its_wrapper_does_not() {
    let group = |members: &[&str], wrapper: &str| {
        let mut list: Vec<Value> = members.iter().map(|name| json!({"type": name, "value": "x"})).collect();
        list.push(json!({"type": wrapper, "value": format!("{} sub-exceptions", members.len()), "mechanism": {"type": "chained", "is_exception_group": true, "exception_id": 0}}));
        json!({"exception": list})
    };
    same(&group(&["A", "B"], "ExceptionGroup"), &group(&["A", "B", "A"], "Other"));
    different(&group(&["A"], "ExceptionGroup"), &group(&["B"], "ExceptionGroup"));
}

#[test]
fn made_up_types_do_not_count_and_captured_messages_are_messages() {
    let synthetic = |name: &str| json!({"exception": [{"type": name, "value": "x", "mechanism": {"type": "generic", "synthetic": true}}]});
    same(&synthetic("Error"), &synthetic("Exception"));
    let captured = |message: &str, function: &str| {
        json!({"platform": "node", "message": message,
        "exception": [{"value": message, "mechanism": {"type": "generic", "synthetic": true}, "stacktrace": {"frames": [{"function": function, "in_app": true}]}}]})
    };
    assert_eq!(parts_of(&captured("hello 7", "f")), ["message", "hello <int>"]);
    same(&captured("hello 7", "f"), &json!({"platform": "node", "message": "hello 8"}));
}

#[test]
fn messages_count_by_their_template() {
    let of = |template: &str, param: u64| json!({"logentry": {"message": template, "params": [param]}});
    same(&of("order %s", 1), &of("order %s", 2));
    different(&of("order %s", 1), &of("user %s", 1));
    assert_eq!(parts_of(&of("order %s", 1)), ["message", "order %s"]);
}

#[test]
fn threads_stacks_templates_and_names_stand_in() {
    let stack = json!({"frames": [{"module": "app", "function": "f", "in_app": true}]});
    let wanted = ["frame", "app", "f", ""];
    assert_eq!(parts_of(&json!({"stacktrace": stack})), wanted);
    assert_eq!(parts_of(&json!({"threads": [{"id": 1, "stacktrace": stack}, {"id": 2}]})), wanted);
    assert_eq!(
        parts_of(
            &json!({"threads": [{"id": 1, "stacktrace": {"frames": [{"function": "other"}]}}, {"id": 2, "crashed": true, "stacktrace": stack}]})
        ),
        wanted
    );
    assert_eq!(
        parts_of(&json!({"template": {"filename": "a.html", "context_line": "{% x %}"}, "message": "m"})),
        ["template", "a.html", "{% x %}"]
    );
    assert_eq!(parts_of(&json!({"transaction": "/x"})), ["untitled", "/x"]);
    assert_eq!(parts_of(&json!({"platform": "go"})), ["untitled", "go"]);
}

#[test]
fn violations_count_by_directive_and_what_was_blocked() {
    assert_eq!(
        parts_of(&json!({"csp": {"effective_directive": "img-src", "blocked_uri": "https://evil.com/a.png"}})),
        ["csp", "img-src", "evil.com"]
    );
}

#[test]
fn fingerprints_replace_or_extend_the_default() {
    let with = |fingerprint: Value, message: &str| json!({"message": message, "fingerprint": fingerprint, "transaction": "/x", "tags": {"shop": "eu"}, "level": "info"});
    same(&with(json!(["{{ default }}"]), "a"), &with(json!([]), "a"));
    same(&with(json!(["{{default}}"]), "a"), &with(json!(null), "a"));
    same(&with(json!(["mine"]), "a"), &with(json!(["mine"]), "b"));
    different(&with(json!(["mine"]), "a"), &with(json!(["MINE"]), "a"));
    different(&with(json!(["a", "bc"]), "x"), &with(json!(["ab", "c"]), "x"));
    different(&with(json!(["{{ default }}", "x"]), "a"), &with(json!(["{{ default }}", "x"]), "b"));
    different(&with(json!(["{{ default }}", "x"]), "a"), &with(json!(["{{ default }}"]), "a"));
    assert_eq!(
        parts_of(&with(
            json!(["{{ transaction }}", "{{ tags.shop }}", "{{ level }}", "{{ type }}", "{{ message }}", "id 7", true]),
            "id 7"
        )),
        ["fingerprint", "/x", "eu", "info", "<no-type>", "id <int>", "id <int>", "True"]
    );
    same(
        &json!({"checksum": "900150983cd24fb0d6963f7d28e17f72", "message": "a"}),
        &json!({"checksum": "900150983cd24fb0d6963f7d28e17f72", "message": "b"}),
    );
}

#[test]
fn javascript_files_group_across_builds() {
    let of = |file: &str| {
        json!({"platform": "javascript", "exception": [{"type": "TypeError", "value": "x is undefined",
        "stacktrace": {"frames": [{"filename": file, "function": "App.render", "in_app": true}, {"filename": file, "function": "?", "in_app": true}]}}]})
    };
    same(&of("https://x/static/app.3f9a1c2b.js"), &of("https://x/static/app.77aa00bb.js?v=2"));
    let bare = |file: &str| json!({"platform": "javascript", "exception": [{"type": "E", "value": "x 1", "stacktrace": {"frames": [{"filename": file}]}}]});
    assert_eq!(parts_of(&bare("https://x/page")), ["exception", "E", "value", "x <int>"]);
}

#[test]
fn the_machinery_of_a_rust_panic_does_not_count() {
    let of = |runtime: &str| {
        json!({"platform": "native", "exception": [{"type": "panic", "value": "x", "stacktrace": {"frames": [
        {"function": "app::main::h0123456789abcdef", "in_app": true}, {"function": runtime, "in_app": true}]}}]})
    };
    same(&of("sentry_panic::handler"), &of("std::panicking::begin_panic"));
    assert_eq!(parts_of(&of("rust_begin_unwind")), ["exception", "panic", "frame", "", "app::main", ""]);
}

#[test]
fn circles_of_calls_count_once_and_overflows_wherever_they_end() {
    let of = |value: &str, functions: &[&str]| {
        let frames: Vec<Value> =
            functions.iter().map(|name| json!({"module": "app", "function": name, "in_app": true})).collect();
        json!({"platform": "java", "exception": [{"type": value, "value": "x", "stacktrace": {"frames": frames}}]})
    };
    same(&of("E", &["main", "a", "b", "c"]), &of("E", &["main", "a", "b", "a", "b", "a", "b", "c"]));
    different(&of("E", &["main", "a", "b", "a"]), &of("E", &["main", "a", "b"]));
    same(&of("StackOverflowError", &["main", "a", "b", "a"]), &of("StackOverflowError", &["main", "a", "b"]));
}

#[test]
fn causes_in_libraries_count_by_type_beside_frames_of_the_program() {
    let of = |cause: &str, function: &str| {
        json!({"platform": "java", "exception": [
            {"type": cause, "value": "x", "stacktrace": {"frames": [{"module": "org.lib", "function": function, "in_app": false}]}},
            {"type": "Outer", "value": "y", "stacktrace": {"frames": [{"module": "app", "function": "f", "in_app": true}]}}]})
    };
    same(&of("A", "v1"), &of("A", "v2"));
    different(&of("A", "v1"), &of("B", "v1"));
}

#[test]
fn members_of_a_group_count_in_any_order() {
    let group = |members: &[&str]| {
        let mut list: Vec<Value> = members.iter().map(|name| json!({"type": name, "value": "x"})).collect();
        list.push(
            json!({"type": "Group", "mechanism": {"type": "chained", "is_exception_group": true, "exception_id": 0}}),
        );
        json!({"exception": list})
    };
    same(&group(&["A", "B"]), &group(&["B", "A", "B"]));
}

#[test]
fn what_an_attached_stack_belongs_to_counts_unless_it_crashed() {
    let of = |message: &str, crashed: bool| {
        json!({"platform": "go", "message": message, "threads": [{"id": 1, "crashed": crashed, "stacktrace": {"frames": [
            {"module": "app", "function": "report", "in_app": true}]}}]})
    };
    assert_eq!(parts_of(&of("a 1", false)), ["frame", "app", "report", "", "message", "a <int>"]);
    assert_eq!(parts_of(&of("a 1", true)), ["frame", "app", "report", ""]);
}

#[test]
fn frames_without_a_name_count_by_their_place_in_the_image() {
    let of = |base: u64, offset: u64| {
        json!({"platform": "native", "exception": [{"type": "SIGSEGV", "value": "x", "stacktrace": {"frames": [
            {"instruction_addr": format!("{:#x}", base + offset)}]}}],
            "debug_meta": {"images": [{"type": "elf", "code_file": "/opt/Game", "image_addr": format!("{base:#x}"), "image_size": 4096}]}})
    };
    assert_eq!(parts_of(&of(0x1000, 0x10)), ["exception", "SIGSEGV", "frame", "game", "+0x10", ""]);
    same(&of(0x1000, 0x10), &of(0x7000, 0x10));
    different(&of(0x1000, 0x10), &of(0x1000, 0x20));
    assert_eq!(parts_of(&of(0x1000, 0x2000)), ["exception", "SIGSEGV", "value", "x"]);
}

#[test]
fn minified_names_do_not_count_and_values_stand_in() {
    let of = |function: &str, value: &str| {
        json!({"platform": "javascript", "exception": [{"type": "TypeError", "value": value,
        "stacktrace": {"frames": [{"filename": "https://x/app.js", "function": function, "in_app": true}, {"filename": "https://x/app.js", "function": "t.Qn", "in_app": true}]}}]})
    };
    same(&of("Xe", "a"), &of("$1", "a"));
    different(&of("Xe", "a"), &of("Xe", "b"));
    different(&of("load", "a"), &of("save", "a"));
}

#[test]
fn types_that_are_only_a_text_count_with_it() {
    let of = |platform: &str, kind: &str, value: &str| json!({"platform": platform, "exception": [{"type": kind, "value": value, "stacktrace": {"frames": [{"module": "app", "function": "f", "in_app": true}]}}]});
    different(&of("go", "*errors.errorString", "a"), &of("go", "*errors.errorString", "b"));
    same(&of("go", "*net.OpError", "a"), &of("go", "*net.OpError", "b"));
    different(
        &of("native", "panic", "attempt to divide by zero"),
        &of("native", "panic", "attempt to add with overflow"),
    );
    different(&of("native", "panic", "attempt to divide by zero"), &of("native", "panic", "index out of bounds: x"));
    same(&of("native", "panic", "no user Anna"), &of("native", "panic", "no user Bob"));
}
