//! Whatever is sent, an event comes out or a refusal, and what comes out can be stored.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

static PAYLOADS: LazyLock<Vec<Bytes>> = LazyLock::new(super::captures::payloads);

/// True if the outcome can be stored: it reads back, writes the same bytes, and holds nothing that PostgreSQL refuses.
fn is_sound(payload: &[u8]) -> bool {
    let Ok(processed) = process(Incoming { stamp: &stamp(), payload }) else { return true };
    let read: Event = serde_json::from_slice(&processed.json).unwrap();
    let text = std::str::from_utf8(&processed.json).unwrap();
    let texts = processed.tags.iter().flat_map(|(key, value)| [key, value]);
    let has_nul =
        texts.chain([&processed.title, &processed.culprit, &processed.logger]).any(|text| text.contains('\0'));
    serde_json::to_vec(&read).unwrap() == processed.json && !text.contains("\\u0000") && !has_nul
}

/// Keys that mean something, so that arbitrary values get to where they are looked at.
const KEYS: [&str; 56] = [
    "exception",
    "values",
    "type",
    "value",
    "mechanism",
    "stacktrace",
    "frames",
    "function",
    "filename",
    "abs_path",
    "module",
    "lineno",
    "in_app",
    "context_line",
    "pre_context",
    "vars",
    "threads",
    "id",
    "crashed",
    "breadcrumbs",
    "timestamp",
    "level",
    "data",
    "request",
    "url",
    "query_string",
    "headers",
    "cookies",
    "env",
    "REMOTE_ADDR",
    "user",
    "ip_address",
    "contexts",
    "os",
    "name",
    "version",
    "tags",
    "extra",
    "message",
    "logentry",
    "params",
    "formatted",
    "platform",
    "fingerprint",
    "release",
    "environment",
    "sdk",
    "packages",
    "settings",
    "debug_meta",
    "images",
    "csp",
    "blocked_uri",
    "template",
    "errors",
    "_meta",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        select(
            &[
                "javascript",
                "node",
                "native",
                "java",
                "ruby",
                "%s {} %(a)s",
                "{{auto}}",
                "http://x/é?a=%00#b",
                "\u{0}",
                "%",
                "{{ default }}",
                "::h0123456789abcdef",
                "auto",
                "a: b"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 8, |inner| {
        let key = prop_oneof![select(&KEYS[..]).prop_map(str::to_owned), "[a-z\u{0}é]{0,4}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..10)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Value> {
    proptest::collection::vec((select(&KEYS[..]), any_json()), 0..12)
        .prop_map(|members| Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

proptest! {
    #[test]
    fn any_bytes(payload in proptest::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(is_sound(&payload));
    }

    #[test]
    fn any_bytes_within_an_object(inside in proptest::collection::vec(
        prop_oneof![any::<u8>(), select(&b"\"\\u0d8{}[],:NaInfy-e9"[..])], 0..64)) {
        let payload = [b"{\"message\":\"", &inside[..], b"\",\"extra\":{\"a\":", &inside[..], b"}}"].concat();
        prop_assert!(is_sound(&payload));
    }

    #[test]
    fn any_values_below_known_keys(event in any_event()) {
        prop_assert!(is_sound(event.to_string().as_bytes()));
    }

    #[test]
    fn damaged_captures(capture in any::<Index>(), damage in proptest::collection::vec((any::<Index>(), any::<u8>(), 0_u8..4), 1..12)) {
        let mut payload = capture.get(PAYLOADS.as_slice()).to_vec();
        for (at, byte, kind) in damage {
            if payload.is_empty() {
                break;
            }
            let at = at.index(payload.len());
            match kind {
                0 => payload[at] = byte,
                1 => payload.insert(at, byte),
                2 => { payload.remove(at); }
                _ => payload.truncate(at.max(payload.len() / 2)),
            }
        }
        prop_assert!(is_sound(&payload));
    }
}
