//! Names and values parted by something else than a sign: elements of XML, printed pairs, and encoded queries.

use std::sync::LazyLock;

use regex::Regex;

use super::assignment;
use super::content::{has_digit, is_nothing, is_parameter, is_prose};
use super::name::has_stem;
use super::rules::{ScrubRules, Verdict};
use super::text::{Finding, Kind, MARKS};

/// Bytes of a name that are looked at.
const MAX_NAME: usize = 64;
/// A value without a digit is a word of a list if it is shorter.
const LONG: usize = 16;

/// `('x-api-key', 'x')`, `["x-api-key","x"]`.
static PAIRS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"[(\[]\s*b?\\?["']([A-Za-z0-9_.-]{2,64})\\?["']\s*,\s*b?\\?["']"#,
        r#"([^"'\\\n]{1,512})\\?["']\s*[)\]]"#
    ))
    .ok()
});
/// `'--password', 'x'`.
static ARGUMENTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"["'](--?[A-Za-z0-9_-]{2,64})\\?["']\s*,\s*\\?["']([^"'\\\n-][^"'\\\n]{0,255})\\?["']"#).ok()
});
/// `password%3Dx%26user%3Dy`.
static ENCODED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:%[0-9A-Fa-f]{2})?([A-Za-z0-9_.-]{2,64})%3[dD]",
        r#"((?:[^%&\s"'<>]|%(?:[013-9a-fA-F][0-9a-fA-F]|2[0-57-9a-fA-F])){1,512})"#,
    ))
    .ok()
});

/// A field of a form: `name="password"`, an empty line, and the value.
static FIELDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"name=\\?["']([A-Za-z0-9_.\[\]-]{2,64})\\?["'](?:\r?\n|\\r\\n|\\n){2}"#,
        r"([^\r\n\\]{1,512})"
    ))
    .ok()
});

/// True if the element that ends here may be a secret's.
pub(super) fn may_close(behind: &[u8]) -> bool {
    let length = behind.iter().take(MAX_NAME).take_while(|byte| **byte != b'>').count();
    behind.get(..length).is_some_and(has_stem)
}

/// True if what ends before the last bytes may be the name of a secret.
pub(super) fn may_end(before: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = before.iter().rev().take(MAX_NAME).take_while(is_part).count();
    before.get(before.len() - length..).is_some_and(has_stem)
}

/// `("password", "x")`, also in source code.
pub(super) fn find_pairs(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    for (pairs, is_arguments) in [(&PAIRS, false), (&ARGUMENTS, true)] {
        for captures in pairs.iter().flat_map(|pairs| pairs.captures_iter(text)) {
            let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
            let content = value.as_str();
            let looks_made = is_arguments || has_digit(content) || content.len() >= LONG;
            if looks_made && is_secret(rules, name.as_str(), content) {
                found.push(Finding { range: value.range(), kind: Kind::Named });
            }
        }
    }
}

/// The others.
pub(super) fn find(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    find_elements(text, rules, found);
    for captures in FIELDS.iter().flat_map(|fields| fields.captures_iter(text)) {
        let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        if is_secret(rules, name.as_str(), value.as_str()) {
            found.push(Finding { range: value.range(), kind: Kind::Named });
        }
    }
    for captures in ENCODED.iter().flat_map(|encoded| encoded.captures_iter(text)) {
        let (Some(name), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        if is_secret(rules, name.as_str(), value.as_str()) {
            found.push(Finding { range: value.range(), kind: Kind::Named });
        }
    }
}

/// `<password>x</password>`, told by its end.
fn find_elements(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    for (at, _) in text.match_indices("</") {
        let behind = text.get(at + 2..).unwrap_or_default();
        let near = behind.get(..behind.floor_char_boundary(MAX_NAME)).unwrap_or(behind);
        let Some((name, _)) = near.split_once('>') else { continue };
        let name = name.rsplit(':').next().unwrap_or(name);
        let head = text.get(..at).unwrap_or_default();
        let Some(start) = head.rfind(['<', '>']).filter(|start| head.as_bytes().get(*start) == Some(&b'>')) else {
            continue;
        };
        let content = head.get(start + 1..).unwrap_or_default();
        let verdict = rules.judge(name);
        let looks_made = verdict == Verdict::Sure || has_digit(content);
        if looks_made && is_secret(rules, name, content) {
            found.push(Finding { range: start + 1..at, kind: Kind::Named });
        }
    }
}

fn is_secret(rules: &ScrubRules, name: &str, value: &str) -> bool {
    let is_named = match rules.judge(name) {
        Verdict::Likely | Verdict::Sure => true,
        Verdict::Random => assignment::is_random(name, value),
        _ => false,
    };
    is_named
        && !value.trim().is_empty()
        && !is_nothing(value)
        && !is_parameter(value)
        && !is_prose(value)
        && !MARKS.iter().any(|mark| value.trim_start().starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_found_without_a_sign() {
        assert!(PAIRS.is_some() && ARGUMENTS.is_some() && ENCODED.is_some() && FIELDS.is_some());
        for (text, wanted) in [
            ("<user>bob</user><password>x y</password>", Some("x y")),
            ("<wsse:Password Type=\"a\">x1</wsse:Password>", Some("x1")),
            ("<label>Password</label>", None),
            ("('x-api-key', 'k1')", Some("k1")),
            ("[\"password\",\"token\"]", None),
            ("['--password', 'x', 'shop']", Some("x")),
            ("['--password', '--user', 'bob']", None),
            ("a%3D1%26password%3Dx%20y%26b%3D2", Some("x%20y")),
            ("page%3D2", None),
            ("form-data; name=\"password\"\r\n\r\nbonjour75\r\n--B", Some("bonjour75")),
            ("form-data; name=\\\"password\\\"\\r\\n\\r\\nx1\\r\\n--B", Some("x1")),
            ("form-data; name=\"page\"\r\n\r\n1\r\n--B", None),
        ] {
            let mut found = Vec::new();
            find_pairs(text, &ScrubRules::default(), &mut found);
            find(text, &ScrubRules::default(), &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), wanted, "{text}");
        }
    }
}
