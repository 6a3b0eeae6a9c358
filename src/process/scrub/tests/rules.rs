//! What rules of one's own change, and how what was taken out is shown.

use serde_json::{Value, json};

use crate::process::tests::captures::{files, incoming};
use crate::process::tests::{event, processed, stamp};
use crate::process::{Incoming, Processed, ScrubRules, process_with};
use crate::protocol::event::Frame;
use crate::protocol::{PrivacySettings, Stamp};

fn with(rules: &ScrubRules, payload: &Value) -> Processed {
    process_with(Incoming { stamp: &stamp(), payload: payload.to_string().as_bytes() }, rules).unwrap()
}

#[test]
fn arguments_of_programs_are_a_matter_of_the_built_in_rules() {
    let arguments = json!(["curl", "-u", "bob:pw1", "https://h/"]);
    for (rules, wanted) in [
        (ScrubRules::default().without_defaults().with_sensitive(["shoe"]), arguments.clone()),
        (ScrubRules::default(), json!(["curl", "-u", "bob:[Filtered]", "https://h/"])),
    ] {
        assert_eq!(with(&rules, &json!({"extra": {"run": arguments}})).event.extra["run"], wanted);
    }
}

#[test]
fn names_of_ones_own_are_added_and_safe_ones_win() {
    let rules = ScrubRules::default().with_sensitive(["Customer-Id", "--"]).with_safe(["csrf_token", "public-secret"]);
    let payload = json!({"extra": {
        "customer_id": 7, "myCustomerIds": "a", "csrfToken": "t", "public_secret": "Bearer abc123def456", "token": "x", "other": 1,
        "text": "customerId=42 csrf_token=9988 token=1122",
    }});
    assert_eq!(
        Value::Object(with(&rules, &payload).event.extra),
        json!({
            "customer_id": "[Filtered]", "myCustomerIds": "[Filtered]", "csrfToken": "t", "public_secret": "Bearer abc123def456",
            "token": "[Filtered]", "other": 1, "text": "customerId=[Filtered] csrf_token=9988 token=[Filtered]",
        })
    );
    let only = ScrubRules::default().without_defaults().with_sensitive(["customer_id"]);
    assert_eq!(
        Value::Object(
            with(&only, &json!({"extra": {"customerId": 7, "password": "x", "a": "4111111111111111"}})).event.extra
        ),
        json!({"customerId": "[Filtered]", "password": "x", "a": "4111111111111111"})
    );
}

#[test]
fn addresses_stay_unless_they_are_switched_off() {
    let payload = json!({
        "user": {"ip_address": "203.0.113.7"},
        "request": {"url": "/", "env": {"REMOTE_ADDR": "203.0.113.7", "HTTP_X_FORWARDED_FOR": "203.0.113.7"},
            "headers": {"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "X-Real-Ip": "203.0.113.7", "Host": "10.1.1.1"}},
    });
    let kept = processed(&payload);
    assert_eq!(kept.user.as_deref(), Some("ip:203.0.113.7"));
    for rules in [ScrubRules::default(), ScrubRules::default().without_defaults()] {
        let without = with(&rules.without_ip_addresses(), &payload);
        let json = String::from_utf8(without.json).unwrap();
        assert!(!json.contains("203.0.113.7") && !json.contains("10.0.0.1"), "{json}");
        assert!(!json.contains("10.1.1.1") && json.contains("[ip], [ip]"));
        assert_eq!((without.user, without.event.user), (None, None));
    }
}

#[test]
fn messages_say_what_was_taken_out() {
    for (text, message, elsewhere) in [
        ("card 4111 1111 1111 1111 declined", "card [creditcard] declined", "card [Filtered] declined"),
        ("to DE89370400440532013000", "to [iban]", "to [Filtered]"),
        ("ssn 078-05-1120", "ssn [usssn]", "ssn [Filtered]"),
        ("Bearer abc123def456 refused", "Bearer [bearer] refused", "Bearer [Filtered] refused"),
        ("password=hunter2", "password=[Filtered]", "password=[Filtered]"),
        ("get https://u:pw@h/", "get https://u:[Filtered]@h/", "get https://u:[Filtered]@h/"),
    ] {
        let of_message = processed(&json!({"message": text}));
        assert_eq!(of_message.title, message);
        assert_eq!(event(&json!({"extra": {"a": text}})).extra["a"], elsewhere);
        assert_eq!(event(&json!({"exception": [{"type": "E", "value": text}]})).title, format!("E: {elsewhere}"));
    }
}

#[test]
fn parameters_and_message_lose_the_same() {
    let named = event(&json!({"logentry": {"message": "hi %(password)s", "params": {"password": "hunter2"}}}))
        .logentry
        .unwrap();
    assert_eq!((named.text(), named.params.clone()), ("hi [Filtered]", Some(json!({"password": "[Filtered]"}))));
    let placed = event(&json!({"logentry": {"message": "password=%s for %s", "params": ["swordfish", "bob"]}}))
        .logentry
        .unwrap();
    assert_eq!(
        (placed.text(), placed.params.clone()),
        ("password=[Filtered] for bob", Some(json!(["[Filtered]", "bob"])))
    );
}

#[test]
fn values_that_cannot_be_secret_stay() {
    let payload = json!({"extra": {
        "password": null, "has_password": true, "token": "", "auth": {}, "secrets": [], "api_key": "None", "pwd": "********",
        "argv": ["app", "--password", "hunter2", "--verbose"],
    }});
    assert_eq!(
        Value::Object(event(&payload).extra),
        json!({"password": null, "has_password": true, "token": "", "auth": {}, "secrets": [], "api_key": "None", "pwd": "********",
            "argv": ["app", "--password", "[Filtered]", "--verbose"]})
    );
}

#[test]
fn a_context_with_the_name_of_a_secret_stays_a_context() {
    let event =
        event(&json!({"contexts": {"credentials": {"user": "bob", "key": 7}, "trace": {"data": {"token": "x9y8"}}}}));
    assert_eq!(
        Value::Object(event.contexts),
        json!({
            "credentials": {"type": "credentials", "user": "[Filtered]", "key": "[Filtered]"},
            "trace": {"type": "trace", "data": {"token": "[Filtered]"}},
        })
    );
}

#[test]
fn places_that_symbolication_and_people_need_are_not_read() {
    let payload = json!({
        "platform": "python",
        "exception": [{"type": "E", "stacktrace": {"frames": [{
            "function": "f", "filename": "/srv/token=abc/a.py", "abs_path": "https://u:pw@h/password=x/a.js", "lineno": 1,
            "context_line": "login(password=hunter2, card='4111111111111111')",
            "pre_context": ["key = 'AKIAABCDEFGHIJKLMNOP'"], "post_context": ["token = make_token()"],
        }]}}],
        "debug_meta": {"images": [{"type": "elf", "code_file": "/srv/password=x", "debug_id": "d"}]},
        "request": {"url": "/", "headers": {"User-Agent": "curl/8 token=abc", "Authorization": "Basic abc"}},
    });
    let event = event(&payload);
    let frame = &event.exception.values[0].stacktrace.as_ref().unwrap().frames[0];
    assert_eq!(frame.filename.as_deref(), Some("/srv/token=abc/a.py"));
    assert_eq!(frame.context_line.as_deref(), Some("login(password=hunter2, card='4111111111111111')"));
    assert_eq!(
        (frame.pre_context[0].as_str(), frame.post_context[0].as_str()),
        ("key = '[Filtered]'", "token = make_token()")
    );
    assert_eq!(event.debug_meta.unwrap().images[0]["code_file"], "/srv/password=x");
    let request = event.request.unwrap();
    assert_eq!(
        (request.header("User-Agent"), request.header("Authorization")),
        (Some("curl/8 token=abc"), Some("[Filtered]"))
    );
}

#[test]
fn the_clients_own_remarks_lose_old_values_only() {
    let payload = json!({"_meta": {
        "extra": {"password": {"": {"rem": [["!config", "s"]], "len": 7, "val": "hunter2"}}, "n": {"": {"val": "token=abc123"}}},
    }});
    assert_eq!(
        Value::Object(event(&payload).meta),
        json!({"extra": {"password": {"": {"rem": [["!config", "s"]], "len": 7, "val": "[Filtered]"}}, "n": {"": {"val": "token=[Filtered]"}}}})
    );
}

#[test]
fn without_addresses_none_is_left_in_any_text() {
    let address = "203.0.113.7";
    let payload = json!({
        "message": format!("refused {address}"), "user": {"id": address, "ip_address": address, "data": {"seen": address}},
        "transaction": format!("GET /{address}"),
        "exception": {"values": [{"type": "E", "value": format!("peer {address}:8080 closed"),
            "stacktrace": {"frames": [{"function": "f", "vars": {"peer": address}}]}}]},
        "breadcrumbs": [{"message": format!("from {address}"), "data": {"ip": address}}],
        "request": {"url": format!("http://{address}/"), "headers": {"X-Client": address}, "env": {"REMOTE_ADDR": address}},
        "extra": {"list": [address, {"deep": "2001:db8::7"}], "version": "4.3.2.1"}, "tags": {"peer": address},
        "contexts": {"browser": {"name": "Chrome", "version": "126.0.0.0"}},
    });
    for rules in [ScrubRules::default(), ScrubRules::default().without_defaults().without_exception_values()] {
        let done = with(&rules.without_ip_addresses(), &payload);
        let json = String::from_utf8(done.json).unwrap();
        assert!(!json.contains(address) && !json.contains("2001:db8::7"), "{json}");
        assert!(json.contains("peer [ip] closed") && json.contains("126.0.0.0") && json.contains("4.3.2.1"), "{json}");
        assert!(!done.title.contains(address) && done.tags.iter().all(|(_, value)| !value.contains(address)));
    }
}

#[test]
fn a_project_says_what_is_taken_out() {
    let payload = json!({
        "exception": {"values": [{"type": "E", "value": "password=hunter2"}]}, "user": {"ip_address": "203.0.113.7"},
        "extra": {"password": "hunter2", "customer": "Ann", "token_public": "abc", "text": "customer=Ann"},
    });
    let set = |change: fn(&mut PrivacySettings)| {
        let mut settings = PrivacySettings::default();
        change(&mut settings);
        let done = with(&ScrubRules::of(&settings), &payload).event;
        let value = done.exception.values[0].value.clone().unwrap();
        let is_known = done.user.is_some();
        (value, is_known, Value::Object(done.extra))
    };
    let (hidden, shown) = ("password=[Filtered]".to_owned(), "password=hunter2".to_owned());
    let extra = |password: &str, customer: &str, text: &str| json!({"password": password, "customer": customer, "token_public": "abc", "text": text});
    let ordinary = extra("[Filtered]", "Ann", "customer=Ann");
    assert_eq!(set(|_| ()), (hidden.clone(), true, ordinary.clone()));
    assert_eq!(set(|settings| settings.scrub_exception_values = false), (shown.clone(), true, ordinary.clone()));
    assert_eq!(set(|settings| settings.scrub_ip_addresses = true), (hidden.clone(), false, ordinary));
    let plain = extra("hunter2", "Ann", "customer=Ann");
    assert_eq!(set(|settings| settings.scrub_defaults = false), (shown.clone(), true, plain.clone()));
    let more = |settings: &mut PrivacySettings| settings.sensitive_fields = vec!["customer".to_owned()];
    assert_eq!(set(more), (hidden.clone(), true, extra("[Filtered]", "[Filtered]", "customer=[Filtered]")));
    let safe = |settings: &mut PrivacySettings| {
        settings.sensitive_fields = vec!["customer".to_owned()];
        settings.safe_fields = vec!["customer".to_owned(), "password".to_owned()];
    };
    assert_eq!(set(safe), (shown.clone(), true, plain.clone()));
    let off = |settings: &mut PrivacySettings| {
        settings.scrub_data = false;
        settings.sensitive_fields = vec!["customer".to_owned()];
    };
    assert_eq!(set(off), (shown, true, plain));
}

#[test]
fn of_what_real_sdks_sent_no_address_is_left_but_where_code_lies() {
    for file in files() {
        let (stamp, payload) = incoming(&file);
        let stamp = Stamp { client_ip: Some("203.0.113.9".parse().unwrap()), ..stamp };
        let rules = ScrubRules::default().without_ip_addresses();
        let mut event = process_with(Incoming { stamp: &stamp, payload: &payload }, &rules).unwrap().event;
        // Source code and its addresses are what symbolication needs.
        event.debug_meta = None;
        let threads = event.threads.values.iter_mut().filter_map(|thread| thread.stacktrace.as_mut());
        let exceptions = event.exception.values.iter_mut().filter_map(|exception| exception.stacktrace.as_mut());
        for frame in threads.chain(exceptions).flat_map(|stack| stack.frames.iter_mut()) {
            let vars = std::mem::take(&mut frame.vars);
            *frame = Frame { vars, ..Frame::default() };
        }
        let json = serde_json::to_string(&event).unwrap();
        for address in ["203.0.113.9", "127.0.0.1", "::1\""] {
            assert!(!json.contains(address), "{file}: {address} in {json}");
        }
    }
}
