//! What programs log, written down before the rules were looked at: how many secrets are left, and how many ordinary
//! texts change.
//!
//! The files have a text or an event in each line, secrets between `⟦` and `⟧`. A line with `\n` in it counts twice: as
//! it is, and with its line breaks.

use serde_json::Value;

use super::corpus::{left_in, secrets, untouched};
use super::places::TEXTS;
use crate::process::tests::processed;

const SECRETS: &str = include_str!("../../../../tests/fixtures/secrets/held_out/secrets.txt");
const SECRET_EVENTS: &str = include_str!("../../../../tests/fixtures/secrets/held_out/secret_events.jsonl");
const ORDINARY: &str = include_str!("../../../../tests/fixtures/secrets/held_out/ordinary.txt");
const ORDINARY_EVENTS: &str = include_str!("../../../../tests/fixtures/secrets/held_out/ordinary_events.jsonl");

/// Of a thousand secrets.
const MAX_LEFT: usize = 30;

/// A text, as it is and with its line breaks.
fn ways(line: &str) -> Vec<String> {
    let broken = line.replace("\\r\\n", "\n").replace("\\n", "\n");
    if broken == line { vec![broken] } else { vec![line.to_owned(), broken] }
}

/// The places of a text that stand for all of them.
fn events(text: &str) -> impl Iterator<Item = (&'static str, Value)> {
    let text = text.to_owned();
    TEXTS
        .into_iter()
        .filter(|(place, _)| matches!(*place, "exception value" | "message" | "breadcrumb message" | "frame variable"))
        .map(move |(place, plant)| (place, plant(&text)))
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn few_secrets_are_left() {
    let (mut count, mut left) = (0, Vec::new());
    let mut check = |payload: &Value, place: &str, secret: &str| {
        count += 1;
        let places = left_in(&processed(payload), secret);
        if !places.is_empty() {
            left.push(format!("{place}: {secret} of {payload}"));
        }
    };
    for text in SECRETS.lines().flat_map(ways) {
        for (place, payload) in events(&text.replace(['⟦', '⟧'], "")) {
            for secret in secrets(&text) {
                check(&payload, place, &secret);
            }
        }
    }
    for line in SECRET_EVENTS.lines() {
        let payload = parsed(&line.replace(['⟦', '⟧'], ""));
        for secret in secrets(line) {
            check(&payload, "event", &secret);
        }
    }
    let distinct = [SECRETS, SECRET_EVENTS].iter().map(|list| secrets(list).len()).sum::<usize>();
    println!("held out: {} of {count} secrets left ({distinct} distinct)\n{}", left.len(), left.join("\n"));
    assert!(distinct >= 240);
    assert!(left.len() * 1_000 <= count * MAX_LEFT, "{} of {count} left:\n{}", left.len(), left.join("\n"));
}

#[test]
fn no_ordinary_text_is_changed() {
    let (mut count, mut changed) = (0, Vec::new());
    let mut check = |payload: &Value, place: &str| {
        count += 1;
        let (scrubbed, plain) = (processed(payload), untouched(payload));
        if scrubbed.json != plain.json || scrubbed.hash != plain.hash {
            changed.push(format!("{place}: {payload}\n  {}", String::from_utf8_lossy(&scrubbed.json)));
        }
    };
    for text in ORDINARY.lines().flat_map(ways) {
        for (place, payload) in events(&text) {
            check(&payload, place);
        }
    }
    for line in ORDINARY_EVENTS.lines() {
        check(&parsed(line), "event");
    }
    let distinct = ORDINARY.lines().count() + ORDINARY_EVENTS.lines().count();
    println!("held out: {} of {count} ordinary texts and events changed ({distinct} distinct)", changed.len());
    assert!(distinct >= 440);
    assert!(changed.is_empty(), "{} changed:\n{}", changed.len(), changed.join("\n"));
}
