//! Takes out of a message what differs from one occurrence to the next.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Bytes of a message that are looked at.
const MAX_LENGTH: usize = 8 * 1024;

/// Name of what is replaced, and its form; at one place the first that matches counts. ASCII letters and digits only,
/// for speed.
const FORMS: [(&str, &str); 16] = [
    ("email", r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+"),
    ("url", r"(?-u:\b)[a-zA-Z][a-zA-Z0-9+.-]*://[!#-&(-;=?-~]+"),
    (
        "hostname",
        r"(?-u:\b)(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})\.)+(?:com|net|org|edu|gov|mil|int|biz|info|io|dev|app|ai|cloud|local|internal|localdomain|cn|de|eu|fr|jp|ru|uk)(?-u:\b)",
    ),
    (
        "ip",
        r"(?-u:\b)(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|(?:[0-9a-fA-F]{1,4}:){2,6}(?::[0-9a-fA-F]{1,4}){1,5}|fe80::[0-9a-fA-F:]+)(?-u:\b)",
    ),
    ("traceparent", r"(?-u:\b)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?-u:\b)"),
    ("uuid", r"(?-u:\b)[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?-u:\b)"),
    ("sha1", r"(?-u:\b)[0-9a-fA-F]{40}(?-u:\b)"),
    ("md5", r"(?-u:\b)[0-9a-fA-F]{32}(?-u:\b)"),
    (
        "date",
        concat!(
            r"(?-u:\b)(?:",
            // 2026-11-20T14:31:34.5+01:00
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?",
            // 20/11/2026 14:31
            r"|[0-9]{1,4}/[0-9]{1,2}/[0-9]{2,4}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?",
            // Fri, 20 Nov 2026 14:31:34 GMT; Fri Nov 20 2026 14:31:34 GMT+0100; Nov 20 14:31:34
            r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{0,6}),? )?(?:[0-9]{1,2}[ -])?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?[ -][0-9]{1,4}(?:,? [0-9]{4})?(?:,? [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?(?: (?:GMT|UTC|[A-Z]{3,4})?(?:[+-][0-9]{4})?)?(?: [0-9]{4})?",
            // 14:31:34.5, 2:31 PM
            r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp][Mm])?",
            r")(?-u:\b)",
        ),
    ),
    (
        "duration",
        r"(?-u:\b)[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|secs?|seconds?|mins?|minutes?|hours?|hrs?|h|m|days?|d)(?-u:\b)",
    ),
    ("hex", r"(?-u:\b)(?:0[xX][0-9a-fA-F]+|[0-9a-f]{8,128}|[0-9A-F]{8,128})(?-u:\b)"),
    ("git_sha", r"(?-u:\b)[0-9a-f]{7}(?-u:\b)"),
    ("float", r"-?(?-u:\b)[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?(?-u:\b)"),
    ("int", r"-?(?-u:\b)[0-9]+(?-u:\b)"),
    ("quoted_str", r#"=(?:'[^']*'|"[^"]*")"#),
    ("bool", r"=(?:true|false|True|False)(?-u:\b)"),
];

static ALTERNATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let groups: Vec<String> = FORMS.iter().map(|(_, form)| format!("({form})")).collect();
    // A test sees to it that this compiles.
    Regex::new(&groups.join("|")).ok()
});

/// The message with what differs replaced by `<name>`; cut to 8 KiB.
pub(super) fn parameterise(message: &str) -> String {
    let text = message.get(..message.floor_char_boundary(MAX_LENGTH)).unwrap_or(message);
    if !may_differ(text) {
        return text.to_owned();
    }
    let Some(alternation) = ALTERNATION.as_ref() else { return text.to_owned() };
    alternation.replace_all(text, replacement).into_owned()
}

/// True unless no form can match: each needs a digit, or one of these characters.
fn may_differ(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'@' | b'=' | b'.' | b':'))
}

fn replacement(captures: &Captures<'_>) -> String {
    let found = captures.iter().skip(1).zip(FORMS).find_map(|(group, (name, _))| Some((group?.as_str(), name)));
    let Some((text, name)) = found else { return String::new() };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    match name {
        // Words such as `deadbeef` and `facade` are no numbers, and digits alone are an ordinary one.
        "hex" | "git_sha" if digits == 0 => text.to_owned(),
        "hex" | "git_sha" if digits == text.len() => "<int>".to_owned(),
        "quoted_str" | "bool" => format!("=<{name}>"),
        _ => format!("<{name}>"),
    }
}
