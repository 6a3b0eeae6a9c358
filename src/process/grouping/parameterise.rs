//! Takes out of a message what differs from one occurrence to the next.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Bytes of a message that are looked at.
const MAX_LENGTH: usize = 8 * 1024;
/// Lines of a message that count, empty ones aside; what follows are details.
const MAX_LINES: usize = 2;
/// Words whose number belongs to them.
const NUMBERED_WORDS: [&str; 34] = [
    "aes128", "aes256", "amd64", "arm64", "base32", "base64", "ed25519", "es256", "float32", "float64", "hs256",
    "http2", "http3", "int16", "int32", "int64", "int8", "ipv4", "ipv6", "md5", "oauth2", "python3", "rs256", "sha1",
    "sha256", "sha384", "sha512", "uint16", "uint32", "uint64", "uint8", "utf16", "utf8", "win32",
];

/// Name of what is replaced, and its form; at one place the first that matches counts. ASCII letters and digits only,
/// for speed.
const FORMS: [(&str, &str); 19] = [
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
    ("size", r"(?-u:\b)[0-9]+(?:\.[0-9]+)?(?: ?(?:[kKMGT]i?[Bb]|[Bb]ytes?|B)(?-u:\b)|%)"),
    ("hex", r"(?-u:\b)(?:0[xX][0-9a-fA-F]+|[0-9a-f]{8,128}|[0-9A-F]{8,128})(?-u:\b)"),
    ("git_sha", r"(?-u:\b)[0-9a-f]{7}(?-u:\b)"),
    // Begins with a digit and has letters between digits: made by a machine.
    ("id", r"(?-u:\b)[0-9]+[a-zA-Z]+[0-9][0-9a-zA-Z]*(?-u:\b)"),
    ("float", r"-?(?-u:\b)[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?(?-u:\b)"),
    ("int", r"-?(?-u:\b)[0-9]+(?-u:\b)"),
    ("word", r"(?-u:\b)[a-zA-Z][a-zA-Z_]*[0-9]+(?-u:\b)"),
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
    let text = first_lines(text);
    if !may_differ(&text) {
        return text.into_owned();
    }
    let Some(alternation) = ALTERNATION.as_ref() else { return text.into_owned() };
    alternation.replace_all(&text, replacement).into_owned()
}

fn first_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\n') {
        return Cow::Borrowed(text);
    }
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    Cow::Owned(lines.take(MAX_LINES).collect::<Vec<_>>().join("\n"))
}

/// `worker_<int>` of `worker_12`, unless the number is part of the word, or the word a code such as `E1001`.
fn without_number(word: &str) -> String {
    let letters = word.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_code = letters.bytes().all(|byte| byte.is_ascii_uppercase());
    let lower = word.to_ascii_lowercase();
    if is_code || letters.len() < 2 || NUMBERED_WORDS.contains(&lower.as_str()) {
        word.to_owned()
    } else {
        format!("{letters}<int>")
    }
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
        "word" => without_number(text),
        "quoted_str" | "bool" => format!("=<{name}>"),
        _ => format!("<{name}>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_replaced() {
        for (message, wanted) in [
            ("mail to a.b+c@example.com failed", "mail to <email> failed"),
            ("GET https://x.example.com/a/b?c=1 failed", "GET <url> failed"),
            ("no route to db-1.prod.internal", "no route to <hostname>"),
            ("refused by 10.0.0.1:5432", "refused by <ip>:<int>"),
            ("refused by 2001:db8::ff00:42:8329", "refused by <ip>"),
            ("std::vec::Vec and A::b", "std::vec::Vec and A::b"),
            ("trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "trace <traceparent>"),
            ("user 9ec79c33-ec99-42ab-8353-589fcb2e04dc", "user <uuid>"),
            ("commit 356a192b7913b04c54574d18c28d46e6395428ab", "commit <sha1>"),
            ("etag 900150983cd24fb0d6963f7d28e17f72", "etag <md5>"),
            ("at 2026-11-20T14:31:34.927760Z", "at <date>"),
            ("at 2026-11-20 14:31:34,927", "at <date>"),
            ("on 2026-11-20", "on <date>"),
            ("at Fri, 20 Nov 2026 14:31:34 GMT", "at <date>"),
            ("at 2:31 PM", "at <date>"),
            ("after 12ms or 3.5s", "after <duration> or <duration>"),
            ("at 0x7f578069ae", "at <hex>"),
            ("key 7f578069ae01", "key <hex>"),
            ("a deadbeef facade", "a deadbeef facade"),
            ("number 123456789", "number <int>"),
            ("build 3f9a1c2", "build <git_sha>"),
            ("ratio 0.75, -1.5e10", "ratio <float>, <float>"),
            ("case 0 of -12", "case <int> of <int>"),
            ("user_123 and abc123", "user_<int> and abc<int>"),
            ("worker-12 lost job42", "worker<int> lost job<int>"),
            ("utf8, SHA256, x86_64, E1001, s3", "utf8, SHA256, x86_64, E1001, s3"),
            ("file 7f3a9c of 99e0, the 2nd of 4xx", "file <id> of <id>, the 2nd of 4xx"),
            ("17.5MB of 512 bytes and 3 kB, 91.5% or 93%", "<size> of <size> and <size>, <size> or <size>"),
            ("one 1\n\ntwo 2\nthree 3", "one <int>\ntwo <int>"),
            ("name='Bob' active=true", "name=<quoted_str> active=<bool>"),
            ("plain words", "plain words"),
            ("", ""),
        ] {
            assert_eq!(parameterise(message), wanted, "{message}");
        }
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let message = "ä".repeat(MAX_LENGTH);
        assert_eq!(parameterise(&message).len(), MAX_LENGTH);
        assert!(parameterise(&"1 ".repeat(MAX_LENGTH)).starts_with("<int> <int> "));
    }
}
