//! Secrets that are named in a sentence or a statement, with no sign between the name and the value.
//!
//! `token expired` and `unexpected token 'export'` are sentences, too, so what follows has to look as if it was made up:
//! digits among letters, and the longer, the less the name says.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::content::{is_nothing, is_parameter, is_prose};
use super::text::{Finding, Kind};

/// Bytes behind a name within which a value has to show a digit or a quote.
const NEAR: usize = 64;
/// Letters and digits that no word has mixed.
const RANDOM: usize = 16;

/// `password is x`, `token 'x'`, `with key x`.
static SENTENCES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(password|passwd|passphrase|secret[a-z_]{0,32}|token|(?:api|access|license)[ _-]key",
        r"|(?:with|using|provided:) key)(?: hash|(?: for| of)(?: [a-z0-9_.@-]{1,32}){1,2}?)?([ \t]+(?:is|was|provided|->))?:?[ \t]+",
        r#"(?:'([^'\n]{4,128})'|"([^"\n]{4,128})"|`([^`\n]{4,128})`|([^\s'"`,;()<>\[\]{}]{4,256}))"#,
    ))
    .ok()
});
/// `AUTH x` of Redis and mail servers, with a user or a mechanism before it.
static AUTH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?-u:\b)AUTH[ \t]+(?:['"]?[A-Za-z]+['"]?[ \t]+)?['"]?([A-Za-z0-9+/=_!@#$%^&*.-]{8,128})"#).ok()
});
/// How MySQL and Oracle name the password of a user.
static IDENTIFIED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)identified(?: with [a-z0-9_]+)?[ \t]+by[ \t]+(?:password[ \t]+)?['"]([^'"\n]{1,128})"#).ok()
});
/// Chinese names: what follows them in a sentence is Chinese, a secret is not.
static CHINESE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:密码|密碼|口令|令牌|密钥|密鑰|私钥|验证码|驗證碼)\\?["'”]?\s*(:|：|=|为|是|為)?\s*\\?["'“「]?"#,
        r"([A-Za-z0-9!#$%^&*+./@_~=-]{4,256})",
    ))
    .ok()
});

/// True if a value may follow: something with a digit, or in quotes.
pub(super) fn is_near(behind: &[u8]) -> bool {
    behind.iter().take(NEAR).any(|byte| byte.is_ascii_digit() || matches!(byte, b'\'' | b'"' | b'`'))
}

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(captures) = SENTENCES.as_ref().and_then(|sentences| sentences.captures_at(text, from)) {
        let Some(name) = captures.get(1) else { break };
        from = name.end();
        found.extend(in_sentence(text, &captures));
    }
    for captures in AUTH.iter().flat_map(|auth| auth.captures_iter(text)) {
        found.extend(captures.get(1).filter(|value| is_mixed(value.as_str())).map(|value| named(&value)));
    }
    for captures in IDENTIFIED.iter().flat_map(|identified| identified.captures_iter(text)) {
        let value = captures.get(1).filter(|value| !is_nothing(value.as_str()) && !is_parameter(value.as_str()));
        found.extend(value.map(|value| named(&value)));
    }
    for captures in CHINESE.iter().flat_map(|chinese| chinese.captures_iter(text)) {
        let is_signed = captures.get(1).is_some();
        let value = captures.get(2).filter(|value| {
            let value = value.as_str();
            (is_signed || has_digit(value)) && !is_nothing(value) && !is_prose(value)
        });
        found.extend(value.map(|value| named(&value)));
    }
}

fn named(value: &regex::Match<'_>) -> Finding {
    Finding { range: value.range(), kind: Kind::Named }
}

fn in_sentence(text: &str, captures: &Captures<'_>) -> Option<Finding> {
    let name = captures.get(1)?;
    let before = text.get(..name.start())?.trim_end();
    // What parsers say.
    if before.len() >= 10 && before.get(before.len() - 10..).is_some_and(|word| word.eq_ignore_ascii_case("unexpected"))
    {
        return None;
    }
    let quoted = captures.get(3).or_else(|| captures.get(4)).or_else(|| captures.get(5));
    let value = quoted.or_else(|| captures.get(6))?;
    let content = value.as_str().trim_end_matches(['.', '!', '?', ':']);
    if content.is_empty() || is_nothing(content) || is_parameter(content) || is_prose(content) {
        return None;
    }
    let first = name.as_str().as_bytes().first()?.to_ascii_lowercase();
    let is_said = captures.get(2).is_some();
    let is_secret = match (first, quoted.is_some()) {
        (b'p', true) if name.as_str().len() > 5 && !name.as_str().ends_with("key") => {
            is_said || has_digit(content) || content.contains(' ')
        }
        (b'p', false) if name.as_str().len() > 5 && !name.as_str().ends_with("key") => {
            let is_long = if is_said { content.len() >= 5 } else { content.len() >= 8 && is_mixed(content) };
            is_long && has_digit(content) && !is_place(content)
        }
        (b't', true) => (content.len() >= 8 && is_mixed(content) && is_word(content)) || is_random(content),
        (b'w' | b'u', _) => is_random(content) && has_cases(content),
        _ => is_random(content),
    };
    is_secret.then(|| Finding { range: value.start()..value.start() + content.len(), kind: Kind::Named })
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

/// Digits and letters.
fn is_mixed(value: &str) -> bool {
    has_digit(value) && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn has_cases(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_uppercase()) && value.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_word(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'~'))
}

/// Digits among letters, without the signs of paths, names and versions.
fn is_random(value: &str) -> bool {
    let least = if has_cases(value) { 10 } else { RANDOM };
    value.len() >= least && is_mixed(value) && is_word(value)
}

/// A date, an address, a version or a path.
fn is_place(word: &str) -> bool {
    word.contains('/')
        || word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-' | b'T'))
            && word.contains(['.', ':', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_compile() {
        assert!(SENTENCES.is_some() && AUTH.is_some() && IDENTIFIED.is_some() && CHINESE.is_some());
    }

    #[test]
    fn values_are_told_from_what_sentences_go_on_with() {
        for (text, wanted) in [
            ("the password is hunter2.", Some("hunter2")),
            ("with password Tr0ub4dor9", Some("Tr0ub4dor9")),
            ("the password is expired since 2026-11-26", None),
            ("password \"correct horse\" rejected", Some("correct horse")),
            ("token token f81d4fae7dec11d0", Some("f81d4fae7dec11d0")),
            ("Unexpected token 'h264x265'", None),
            ("AUTH default s3cretpw", Some("s3cretpw")),
            ("AUTH failed after 3 attempts", None),
            ("IDENTIFIED BY 'x'", Some("x")),
            ("IDENTIFIED BY ?", None),
            ("密码为abc123，请重试", Some("abc123")),
            ("密码长度必须至少为8位", None),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), wanted, "{text}");
        }
    }
}
