//! JSON as clients really send it, in headers as in payloads.
//!
//! The strict parser goes first. What it refuses is rewritten once, and tried again: bare `NaN` and `Infinity`, numbers
//! beyond a double's range, lone surrogates, raw control characters, bytes that are not UTF-8, and nesting without end.
//! U+0000 is taken out in any case, since PostgreSQL refuses it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Containers nested deeper become `null`; below the strict parser's own limit of 128.
const MAX_DEPTH: usize = 100;

/// Reads a JSON object; the error says what is wrong with it, even leniently.
pub fn parse_object(payload: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    if let Ok(text) = std::str::from_utf8(payload)
        && let Some(object) = parse_strictly(text)
    {
        return Ok(object);
    }
    serde_json::from_str(&repair(&String::from_utf8_lossy(payload)))
}

/// Reads JSON inside a string of the payload; `None` if it is not strictly JSON.
pub fn parse_strictly<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    if text.contains("\\u0000") {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Rewrites what the strict parser refuses, without recursion. What is no JSON at all stays that way.
fn repair(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => {
                let (string, behind) = split_string(rest);
                if depth <= MAX_DEPTH {
                    repair_string(string, &mut out);
                }
                rest = behind;
                continue;
            }
            '{' | '[' => {
                depth += 1;
                if depth <= MAX_DEPTH {
                    out.push(first);
                } else if depth == MAX_DEPTH + 1 {
                    out.push_str("null");
                }
            }
            '}' | ']' => {
                if depth <= MAX_DEPTH {
                    out.push(first);
                }
                depth = depth.saturating_sub(1);
            }
            _ if is_word(first) => {
                let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if depth <= MAX_DEPTH {
                    out.push_str(if is_no_number(word) { "null" } else { word });
                }
                rest = behind;
                continue;
            }
            _ if depth <= MAX_DEPTH => out.push(first),
            _ => {}
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    out
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
}

/// `NaN`, `Infinity` and numbers that no double can hold; all read as not finite.
fn is_no_number(word: &str) -> bool {
    word.parse::<f64>().is_ok_and(|number| !number.is_finite())
}

/// Splits behind the closing quote of the string that `text` begins with.
fn split_string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return text.split_at_checked(index + 1).unwrap_or((text, "")),
            _ => {}
        }
    }
    (text, "")
}

fn repair_string(string: &str, out: &mut String) {
    let mut rest = string;
    while let Some(at) = rest.find(|character: char| character == '\\' || character < ' ') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        rest = if tail.starts_with('\\') { repair_escape(tail, out) } else { repair_control(tail, out) };
    }
    out.push_str(rest);
}

/// Writes the raw control character that `text` begins with as an escape; returns what follows.
fn repair_control<'a>(text: &'a str, out: &mut String) -> &'a str {
    let code = text.bytes().next().unwrap_or_default();
    if code != 0 {
        // Writing to a string cannot fail.
        let _written = write!(out, "\\u{code:04x}");
    }
    text.get(1..).unwrap_or_default()
}

/// Copies the escape that `text` begins with, unless it is U+0000 or half of a surrogate pair; returns what follows.
fn repair_escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some(unit) = utf16_escape(text) else {
        // An escape of one character, which need not be ASCII; the parser will judge it.
        let length = 1 + text.chars().nth(1).map_or(0, char::len_utf8);
        let (escape, rest) = text.split_at_checked(length).unwrap_or((text, ""));
        out.push_str(escape);
        return rest;
    };
    let (escape, rest) = text.split_at_checked(6).unwrap_or((text, ""));
    match unit {
        0 => rest,
        0xd800..=0xdbff if utf16_escape(rest).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) => {
            let (low, behind) = rest.split_at_checked(6).unwrap_or((rest, ""));
            out.push_str(escape);
            out.push_str(low);
            behind
        }
        0xd800..=0xdfff => {
            out.push('\u{fffd}');
            rest
        }
        _ => {
            out.push_str(escape);
            rest
        }
    }
}

fn utf16_escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(payload: &str) -> Value {
        Value::Object(parse_object(payload.as_bytes()).unwrap())
    }

    #[test]
    fn bare_nan_and_infinity_become_null() {
        assert_eq!(
            parsed(r#"{"a":NaN,"b":[Infinity,-Infinity,1e999],"c":"NaN, Infinity","d":-1.5e3,"e":true}"#),
            json!({"a": null, "b": [null, null, null], "c": "NaN, Infinity", "d": -1500.0, "e": true})
        );
    }

    #[test]
    fn nul_is_removed_and_lone_surrogates_replaced() {
        assert_eq!(
            parsed(r#"{"a\u0000":"x\u0000y\\u0000","b":"\ud800|\udc00|\ud83d\ude00|\ud800A"}"#),
            json!({"a": "xy\\u0000", "b": "\u{fffd}|\u{fffd}|\u{1f600}|\u{fffd}A"})
        );
    }

    #[test]
    fn raw_control_characters_and_broken_utf8_are_kept_as_well_as_can_be() {
        assert_eq!(parsed("{\"a\":\"x\ny\tz\u{1}\"}"), json!({"a": "x\ny\tz\u{1}"}));
        assert_eq!(Value::Object(parse_object(b"\xef\xbb\xbf{\"a\":\"\xff\"}").unwrap()), json!({"a": "\u{fffd}"}));
    }

    #[test]
    fn nesting_without_end_is_cut_off() {
        let payload = format!("{{\"a\":{}1{},\"b\":2}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(parsed(&payload)["b"], 2);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for payload in ["", "[]", "\"x\"", "{", "{\"a\":}", "{\"a\":\"", "{\"a\":1} x", "nonsense", "{\"\\", "\\u12"] {
            assert!(parse_object(payload.as_bytes()).is_err(), "{payload}");
        }
    }
}
