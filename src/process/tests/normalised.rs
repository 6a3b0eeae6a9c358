//! The rules for the event as a whole.

use serde_json::json;

use super::*;

fn json_of(payload: &Value) -> Value {
    serde_json::from_slice(&processed(payload).json).unwrap()
}

#[test]
fn an_empty_object_is_an_event() {
    assert_eq!(
        json_of(&json!({})),
        json!({
            "event_id": "0123456789abcdef0123456789abcdef", "type": "default", "level": "error", "platform": "other",
            "timestamp": "2026-11-20T12:00:00Z", "received": "2026-11-20T12:00:00Z", "title": "<unlabeled event>",
            "metadata": {"title": "<unlabeled event>"}, "tags": [["level", "error"]],
        })
    );
}

#[test]
fn what_is_no_object_is_rejected() {
    for payload in ["", "null", "[]", "\"x\"", "{", "not json", "\u{0}"] {
        let outcome = process(Incoming { stamp: &stamp(), payload: payload.as_bytes() });
        assert!(matches!(outcome, Err(Rejected::NotAnObject(_))), "{payload}");
    }
}

#[test]
fn an_invalid_id_is_noted_and_the_stamp_counts() {
    let event = event(&json!({"event_id": "nonsense"}));
    assert_eq!(event.event_id, stamp().event_id);
    assert_eq!(event.errors[0].name.as_deref(), Some("event_id"));
    assert!(super::event(&json!({"event_id": "9ec79c33-ec99-42ab-8353-589fcb2e04dc"})).errors.is_empty());
}

#[test]
fn one_bad_field_costs_only_itself() {
    let payload = json!({
        "level": "loud", "release": "a/b", "environment": "none", "tags": 7, "extra": [1], "user": "me", "request": 5,
        "exception": "E", "breadcrumbs": 1, "contexts": "x", "fingerprint": "x", "sdk": "sentry.python", "modules": 3,
        "threads": true, "debug_meta": "x", "template": 1, "timestamp": "noon", "logger": {}, "transaction": [1], "message": "kept",
    });
    let event = event(&payload);
    assert_eq!(event.title, "kept");
    assert_eq!(event.level, Level::Error);
    let mut names: Vec<&str> = event.errors.iter().filter_map(|error| error.name.as_deref()).collect();
    names.sort_unstable();
    let mut wanted: Vec<&str> =
        payload.as_object().unwrap().keys().map(String::as_str).filter(|key| *key != "message").collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
}

#[test]
fn names_of_old_clients_are_understood() {
    let event = event(&json!({
        "sentry.interfaces.Exception": {"values": [{"type": "A"}]},
        "sentry.interfaces.Message": {"message": "hi %s", "params": ["x"]},
        "sentry.interfaces.Http": {"url": "http://x"},
        "sentry.interfaces.User": {"id": 1},
        "sentry.interfaces.Breadcrumbs": {"values": [{"message": "b"}]},
        "sentry.interfaces.Template": {"filename": "t.html"},
        "sentry.interfaces.Stacktrace": {"frames": [{"function": "f"}]},
        "user": {"id": 2},
    }));
    assert_eq!(event.exception.values.len(), 1);
    assert!(event.exception.values[0].stacktrace.is_some(), "the loose stack trace belongs to the only exception");
    assert_eq!(event.logentry.unwrap().text(), "hi x");
    assert_eq!(event.request.unwrap().url.as_deref(), Some("http://x"));
    assert_eq!(event.user.unwrap().id.as_deref(), Some("2"));
    assert_eq!(event.breadcrumbs.values.len(), 1);
    assert!(event.template.is_some());
}

#[test]
fn messages_come_in_three_forms_and_the_log_entry_wins() {
    for (payload, text) in [
        (json!({"message": "a"}), "a"),
        (json!({"message": 42}), "42"),
        (json!({"message": {"message": "x %s", "params": [1]}}), "x 1"),
        (json!({"message": "a", "logentry": {"formatted": "b"}}), "b"),
        (json!({"message": "a", "logentry": {}}), "a"),
    ] {
        assert_eq!(event(&payload).logentry.unwrap().text(), text, "{payload}");
    }
}

#[test]
fn kinds_follow_what_is_there() {
    for (payload, kind) in [
        (json!({"message": "a"}), EventKind::Default),
        (json!({"type": "error", "message": "a"}), EventKind::Default),
        (json!({"exception": [{"type": "A"}], "type": "default"}), EventKind::Error),
        (json!({"exception": {"values": []}}), EventKind::Default),
        (json!({"csp": {"effective-directive": "img-src"}}), EventKind::Csp),
    ] {
        assert_eq!(processed(&payload).kind, kind, "{payload}");
    }
}

#[test]
fn every_interface_is_kept() {
    let frame = json!({"filename": "a.c", "abs_path": "/a.c", "function": "f", "raw_function": "_f", "module": "m", "package": "p",
        "symbol": "s", "lineno": 1, "colno": 2, "in_app": true, "pre_context": ["a"], "context_line": "b", "post_context": ["c"],
        "vars": {"x": "1"}, "platform": "native", "instruction_addr": "0x1", "symbol_addr": "0x1", "image_addr": "0x1",
        "addr_mode": "abs", "function_id": "0x1", "trust": "cfi", "stack_start": true, "lock": {"type": 1}, "data": {"orig_in_app": 1}});
    let stack = json!({"frames": [frame], "frames_omitted": [1, 2], "registers": {"rip": "0x1"}, "lang": "c", "snapshot": true});
    let payload = json!({
        "platform": "java", "logger": "l", "transaction": "t", "release": "r@1", "dist": "1", "environment": "e",
        "timestamp": "2026-11-20T11:59:00.123456Z", "level": "fatal",
        "logentry": {"message": "m %s", "formatted": "m 1", "params": ["1"]},
        "exception": {"values": [{"type": "T", "value": "v", "module": "m", "thread_id": 7, "stacktrace": stack, "raw_stacktrace": stack,
            "mechanism": {"type": "g", "handled": false, "synthetic": true, "description": "d", "help_link": "h", "data": {"a": "1"},
                "meta": {"signal": {"number": 11}}, "exception_id": 1, "parent_id": 0, "is_exception_group": true, "source": "s"}}]},
        "stacktrace": stack,
        "threads": {"values": [{"id": 7, "name": "main", "crashed": true, "current": true, "main": true, "state": "RUNNABLE",
            "stacktrace": stack, "held_locks": {"0x1": {"type": 1}}}]},
        "breadcrumbs": {"values": [{"timestamp": "2026-11-20T11:58:00Z", "type": "http", "category": "c", "level": "info", "message": "m",
            "data": {"url": "u"}, "event_id": "9ec79c33ec9942ab8353589fcb2e04dc"}]},
        "request": {"url": "http://x/", "method": "GET", "query_string": [["a", "1"]], "fragment": "f", "headers": [["Host", "x"]],
            "cookies": [["c", "1"]], "data": {"a": 1}, "inferred_content_type": "application/json", "env": {"SERVER_NAME": "s"}},
        "user": {"id": "1", "email": "e", "username": "u", "name": "n", "ip_address": "192.0.2.1",
            "geo": {"country_code": "DE", "city": "B", "region": "Germany", "subdivision": "BE"}, "segment": "s", "data": {"a": 1}},
        "template": {"filename": "t", "abs_path": "/t", "lineno": 1, "pre_context": ["a"], "context_line": "b", "post_context": ["c"]},
        "contexts": {"runtime": {"type": "runtime", "name": "JVM"}}, "extra": {"a": [1, {"b": null}]}, "modules": {"a": "1"},
        "fingerprint": ["{{ default }}"], "tags": [["k", "v"]],
        "sdk": {"name": "s", "version": "1", "packages": [{"name": "p", "version": "1"}], "integrations": ["i"], "features": ["f"],
            "settings": {"infer_ip": "never"}},
        "debug_meta": {"images": [{"type": "elf", "debug_id": "d"}], "sdk_info": {"sdk_name": "iOS"}},
        "errors": [{"type": "t", "name": "n", "value": 1}], "_meta": {"extra": {"": {"len": 7}}},
    });
    let stored = json_of(&payload);
    for (key, value) in payload.as_object().unwrap() {
        if key != "tags" {
            assert_eq!(stored[key], *value, "{key}");
        }
    }
    assert_eq!(stored["tags"][0], json!(["k", "v"]));
}

#[test]
fn times_with_nanoseconds_are_kept_to_the_microsecond() {
    let event = event(&json!({"timestamp": "2026-11-20T11:59:00.123456789Z"}));
    assert_eq!(event.timestamp.timestamp_subsec_nanos(), 123_456_000);
}

#[test]
fn breadcrumbs_and_event_share_the_corrected_clock() {
    let mut stamp = stamp();
    stamp.sent_at = Some(stamp.received_at - chrono::TimeDelta::days(400));
    let payload = json!({"timestamp": "2025-10-16T11:59:59Z", "breadcrumbs": [{"timestamp": "2025-10-16T11:59:58Z"}]})
        .to_string();
    let processed = process(Incoming { stamp: &stamp, payload: payload.as_bytes() }).unwrap();
    assert_eq!(processed.occurred_at.to_rfc3339(), "2026-11-20T11:59:59+00:00");
    assert_eq!(processed.event.breadcrumbs.values[0].timestamp.unwrap().to_rfc3339(), "2026-11-20T11:59:58+00:00");
}

#[test]
fn a_clock_that_is_fast_moves_nothing_into_the_future() {
    let crumb = |payload: Value| event(&payload).breadcrumbs.values[0].timestamp.unwrap().to_rfc3339();
    let payload = |year: &str| json!({"timestamp": format!("{year}-11-20T12:20:00Z"), "breadcrumbs": [{"timestamp": format!("{year}-11-20T12:19:58Z")}]});
    for (year, kind) in [("2026", "future_timestamp"), ("2226", "future_timestamp"), ("1996", "past_timestamp")] {
        let event = event(&payload(year));
        assert_eq!(event.timestamp, event.received, "{year}");
        assert_eq!(event.errors[0].kind, kind);
        assert_eq!(crumb(payload(year)), "2026-11-20T11:59:58+00:00", "{year}");
    }
}

#[test]
fn the_site_is_a_tag_of_its_own() {
    let tag = |payload: Value, wanted: &str| {
        let mut tags = event(&payload).tags.into_iter();
        tags.find(|(key, _)| key == wanted).map(|(_, value)| value)
    };
    let both = json!({"server_name": "web-1", "site": "example.com"});
    assert_eq!(tag(both.clone(), "server_name").as_deref(), Some("web-1"));
    assert_eq!(tag(both, "site").as_deref(), Some("example.com"));
    assert_eq!(tag(json!({"site": "example.com"}), "server_name"), None);
    assert_eq!(tag(json!({"site": "a", "tags": {"site": "b"}}), "site").as_deref(), Some("b"));
}

#[test]
fn what_was_refused_is_remarked_at_its_place_without_its_secrets() {
    let payload = json!({
        "release": "a/b", "extra": [1], "message": "kept", "tags": {"password": ["x"], "n": {}},
        "contexts": {"api_key": "sk-very-secret-0123456789", "mine": "see https://u:p4ssw0rdp4ss@example.com/"},
        "exception": [{"type": "A", "stacktrace": [{"function": "f", "lineno": "twelve"}]}],
        "_meta": {"release": {"": {"err": ["theirs"], "val": "older"}}},
    });
    let event = event(&payload);
    let meta = &event.meta;
    assert_eq!(
        meta["release"][""],
        json!({"err": ["theirs", ["invalid_data", {"reason": "expected the name of a release"}]], "val": "older"})
    );
    assert_eq!(meta["extra"][""], json!({"err": [["invalid_data", {"reason": "expected an object"}]]}));
    let line = &meta["exception"]["values"]["0"]["stacktrace"]["frames"]["0"]["lineno"][""];
    assert_eq!(*line, json!({"err": [["invalid_data", {"reason": "expected an unsigned integer"}]], "val": "twelve"}));
    assert_eq!(meta["contexts"]["api_key"][""]["val"], "[Filtered]");
    let text = json_of(&payload).to_string();
    assert!(
        text.contains("\"val\":\"see https://") && !text.contains("p4ssw0rd") && !text.contains("sk-very"),
        "{text}"
    );
}

#[test]
fn what_was_too_long_is_remarked_where_it_is_kept() {
    let long = "x".repeat(20_000);
    let frames: Vec<Value> = (0..300).map(|line| json!({"function": "f", "lineno": line})).collect();
    let crumbs: Vec<Value> = (0..150).map(|number| json!({"message": number.to_string()})).collect();
    let vars: serde_json::Map<String, Value> = (0..500).map(|number| (format!("v{number}"), json!("value"))).collect();
    let tags: serde_json::Map<String, Value> = (0..201).map(|number| (format!("t{number}"), json!(1))).collect();
    let event = event(&json!({
        "tags": tags, "message": {"message": long}, "transaction": long, "extra": {"note": long}, "breadcrumbs": crumbs,
        "request": {"url": "/", "data": long}, "user": {"id": long},
        "exception": [{"type": "A", "value": long, "stacktrace": frames}, {"type": "B", "stacktrace": [{"function": "g", "vars": vars}]}],
    }));
    let cut = |limit: usize| json!({"rem": [["!limit", "s", limit - 3, limit]], "len": 20_000});
    let shortened = |length: usize| json!({"rem": [["!limit", "x"]], "len": length});
    let values = &event.meta["exception"]["values"];
    for (place, wanted) in [
        (&event.meta["logentry"]["formatted"], cut(8_192)),
        (&event.meta["transaction"], cut(200)),
        (&event.meta["extra"]["note"], cut(16_384)),
        (&event.meta["request"]["data"], cut(8_192)),
        (&event.meta["user"]["id"], cut(128)),
        (&values["0"]["value"], cut(8_192)),
        (&values["0"]["stacktrace"]["frames"], shortened(300)),
        (&values["1"]["stacktrace"]["frames"]["0"]["vars"], shortened(500)),
        (&event.meta["breadcrumbs"]["values"], shortened(150)),
        (&event.meta["tags"], shortened(201)),
    ] {
        assert_eq!(place[""], wanted);
    }
    let [line] = event.errors.as_slice() else { panic!("{:?}", event.errors) };
    assert_eq!((line.kind.as_str(), line.name.as_deref()), ("value_too_long", Some("breadcrumbs.values")));
}
