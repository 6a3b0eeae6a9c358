//! Planted secrets, none of which may be left, and ordinary texts that look close, none of which may change.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::places::{NAMES, SPECIAL_NAMES, TEXTS};
use crate::process::tests::{processed, stamp};
use crate::process::{Incoming, Processed, ScrubRules, process_with};

#[derive(Deserialize)]
struct Planted {
    /// Names of secrets.
    names: Vec<String>,
    /// Texts with secrets between `⟦` and `⟧`.
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Ordinary {
    names: Map<String, Value>,
    texts: Vec<String>,
}

fn planted() -> Planted {
    serde_json::from_str(include_str!("../../../../tests/fixtures/secrets/planted.json")).unwrap()
}

fn ordinary() -> Ordinary {
    serde_json::from_str(include_str!("../../../../tests/fixtures/secrets/ordinary.json")).unwrap()
}

/// Secrets of one text: of each the longest part that JSON writes as it is.
pub(super) fn secrets(text: &str) -> Vec<String> {
    text.split('⟦')
        .skip(1)
        .map(|rest| rest.split_once('⟧').unwrap().0)
        .map(|secret| secret.split(['\n', '\\', '"']).max_by_key(|part| part.len()).unwrap().to_owned())
        .collect()
}

/// Where a secret is left.
pub(super) fn left_in(processed: &Processed, secret: &str) -> Vec<&'static str> {
    let tags: Vec<&str> = processed.tags.iter().flat_map(|(key, value)| [key.as_str(), value]).collect();
    [
        ("json", std::str::from_utf8(&processed.json).unwrap()),
        ("title", &processed.title),
        ("culprit", &processed.culprit),
        ("metadata", &processed.metadata.to_string()),
        ("tags", &tags.join("\n")),
        ("user", processed.user.as_deref().unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, text)| text.contains(secret))
    .map(|(place, _)| place)
    .collect()
}

/// A name as a header has it: words in capitals would be lost.
fn is_header(name: &str) -> bool {
    !name.as_bytes().windows(2).any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
}

#[test]
fn no_planted_secret_is_left() {
    let planted = planted();
    let (mut count, mut left) = (0, Vec::new());
    let mut check = |payload: &Value, place: &str, secret: &str| {
        count += 1;
        let left_in = left_in(&processed(payload), secret);
        if !left_in.is_empty() {
            left.push(format!("{place}: {secret} of {payload} in {left_in:?}"));
        }
    };
    for text in &planted.texts {
        let plain = text.replace(['⟦', '⟧'], "");
        for (place, plant) in TEXTS {
            for secret in secrets(text) {
                check(&plant(&plain), place, &secret);
            }
        }
    }
    for (index, name) in planted.names.iter().enumerate() {
        let secret = format!("Zq{index}-planted");
        for (place, plant) in NAMES.into_iter().chain(SPECIAL_NAMES) {
            if place != "headers" || is_header(name) {
                check(&plant(name, &json!(secret)), place, &secret);
            }
        }
        // Not only texts are secret.
        let number = 918_273_640_000 + index;
        check(&json!({"extra": {name: number}}), "number", &number.to_string());
        check(&json!({"extra": {name: {"a": [secret]}}}), "object", &secret);
    }
    let distinct = planted.names.len() + planted.texts.iter().map(|text| secrets(text).len()).sum::<usize>();
    println!(
        "secrets left: {} of {count} ({distinct} secrets in {} places)",
        left.len(),
        TEXTS.len() + NAMES.len() + 4
    );
    assert!(distinct >= 150);
    assert!(left.is_empty(), "{} left:\n{}", left.len(), left.join("\n"));
}

pub(super) fn untouched(payload: &Value) -> Processed {
    let rules = ScrubRules::default().without_defaults();
    process_with(Incoming { stamp: &stamp(), payload: payload.to_string().as_bytes() }, &rules).unwrap()
}

#[test]
fn no_ordinary_text_is_changed() {
    let ordinary = ordinary();
    let (mut count, mut changed) = (0, Vec::new());
    let mut check = |payload: &Value, place: &str, text: &str| {
        count += 1;
        let (scrubbed, plain) = (processed(payload), untouched(payload));
        if scrubbed.json != plain.json || scrubbed.hash != plain.hash {
            changed.push(format!("{place}: {text}\n  {}", String::from_utf8_lossy(&scrubbed.json)));
        }
    };
    for text in &ordinary.texts {
        for (place, plant) in TEXTS {
            check(&plant(text), place, text);
        }
    }
    for (name, value) in &ordinary.names {
        for (place, plant) in NAMES {
            check(&plant(name, value), place, name);
        }
    }
    let distinct = ordinary.texts.len() + ordinary.names.len();
    println!("ordinary texts changed: {} of {count} ({distinct} texts and names)", changed.len());
    assert!(distinct >= 300);
    assert!(changed.is_empty(), "{} changed:\n{}", changed.len(), changed.join("\n"));
}

/// What is filtered though it may well be no secret, and why that is as it should be.
#[test]
fn ambiguous_cases_are_filtered() {
    for (payload, reason) in [
        (json!({"extra": {"next_token": "page-2"}}), "the word means a credential far more often than a page"),
        (json!({"extra": {"id": 4_111_111_111_111_111_u64}}), "a number that passes every check a card's does"),
        (json!({"message": "invalid password: swordfish"}), "alone behind the name, which is how passwords are logged"),
        (json!({"extra": {"text": "123-45-6789"}}), "the form is that of a social security number"),
        (json!({"request": {"url": "/", "cookies": {"session_hint": "dark"}}}), "cookies of sessions have many names"),
    ] {
        assert_ne!(processed(&payload).json, untouched(&payload).json, "{reason}: {payload}");
    }
}

#[test]
fn the_environment_of_the_command_line_client_loses_its_secrets() {
    let environ = json!({
        "HOME": "/home/u", "PATH": "/usr/bin:/bin", "PWD": "/srv/app", "SHELL": "/bin/bash", "TERM": "xterm", "SENTRY_ORG": "acme",
        "SENTRY_AUTH_TOKEN": "0123456789abcdef", "SENTRY_DSN": "http://a0b1c2d3@127.0.0.1:9911/7", "GITHUB_TOKEN": "gh-t0k3n",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtn", "DATABASE_URL": "postgres://app:s3cr3t@db/shop", "DB_PASS": "x1y2", "API_KEY": "k-77",
    });
    let event = processed(&json!({"extra": {"environ": environ, "x": "y"}})).event;
    assert_eq!(
        Value::Object(event.extra),
        json!({"x": "y", "environ": {
            "HOME": "/home/u", "PATH": "/usr/bin:/bin", "PWD": "/srv/app", "SHELL": "/bin/bash", "TERM": "xterm", "SENTRY_ORG": "acme",
            "SENTRY_AUTH_TOKEN": "[Filtered]", "SENTRY_DSN": "[Filtered]", "GITHUB_TOKEN": "[Filtered]",
            "AWS_SECRET_ACCESS_KEY": "[Filtered]", "DATABASE_URL": "postgres://app:[Filtered]@db/shop", "DB_PASS": "[Filtered]",
            "API_KEY": "[Filtered]",
        }})
    );
    assert_eq!(event.meta["extra"]["environ"]["API_KEY"][""], json!({"rem": [["@password", "s"]], "len": 4}));
}
