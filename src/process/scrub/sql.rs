//! Secrets in statements: values that a column's name tells by their place, and passwords of roles.

use std::sync::LazyLock;

use regex::Regex;

use super::content::{is_nothing, is_parameter};
use super::rules::{ScrubRules, Verdict};
use super::text::{Finding, Kind};

/// Columns and rows of one statement that are looked at.
const MAX_COLUMNS: usize = 100;
const MAX_ROWS: usize = 100;
/// Statements of one text that are looked at.
const MAX_STATEMENTS: usize = 50;

/// `insert into t (a, b) values (`
static INSERTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?:insert|replace)\s[^(]+\(([^()]+)\)\s*values\s*\(").ok());
/// `create role a login password 'x'`, `set password … = password('x')`
static ROLES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:role|user)\s[^;\n']*?\spassword\s+'([^'\n]+)'",
        r"|=\s*(?:old_)?password\(\s*'([^'\n]+)'",
    ))
    .ok()
});

/// True if a statement may begin with these letters.
pub(super) fn may_begin(behind: &[u8]) -> bool {
    let near = behind.get(..behind.len().min(512)).unwrap_or_default();
    near.contains(&b'(')
}

pub(super) fn find(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if (has("PASSWORD") || has("password")) && text.contains('\'') {
        find_roles(text, found);
    }
    if has("VALUES") || has("values") {
        find_inserts(text, rules, found);
    }
}

fn find_roles(text: &str, found: &mut Vec<Finding>) {
    for captures in ROLES.iter().flat_map(|roles| roles.captures_iter(text)) {
        let Some(value) = captures.iter().skip(1).flatten().next() else { continue };
        push(found, value.start(), value.as_str());
    }
}

fn find_inserts(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    for captures in INSERTS.iter().flat_map(|inserts| inserts.captures_iter(text)).take(MAX_STATEMENTS) {
        let (Some(whole), Some(columns)) = (captures.get(0), captures.get(1)) else { continue };
        let is_secret = |name: &str| {
            let name = name.trim().trim_matches(['"', '`', '[', ']', '\\', '\'']);
            matches!(rules.judge(name), Verdict::Likely | Verdict::Sure)
        };
        let secrets: Vec<bool> = columns.as_str().split(',').take(MAX_COLUMNS).map(is_secret).collect();
        if !secrets.contains(&true) {
            continue;
        }
        let mut at = whole.end();
        for _ in 0..MAX_ROWS {
            at = row(text, at, &secrets, found);
            // `), (`
            let rest = text.get(at..).unwrap_or_default();
            let Some(next) = rest.trim_start_matches([')', ',', ' ', '\n']).strip_prefix('(') else { break };
            at = text.len() - next.len();
        }
    }
}

/// The values from `start` on, up to the bracket that closes them; gives back where that is.
fn row(text: &str, start: usize, secrets: &[bool], found: &mut Vec<Finding>) -> usize {
    let mut columns = secrets.iter();
    let mut is_secret = columns.next().copied().unwrap_or_default();
    let (mut quote, mut depth, mut begin) = (None, 0_usize, start);
    let rest = text.get(start..).unwrap_or_default();
    for (at, character) in rest.char_indices() {
        let at = start + at;
        match (quote, character) {
            (Some(open), close) if open == close => {
                if is_secret {
                    push(found, begin, text.get(begin..at).unwrap_or_default());
                }
                quote = None;
            }
            (None, '\'' | '"') => (quote, begin) = (Some(character), at + 1),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return at,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => is_secret = columns.next().copied().unwrap_or_default(),
            _ => {}
        }
    }
    text.len()
}

fn push(found: &mut Vec<Finding>, start: usize, value: &str) {
    if !is_nothing(value) && !is_parameter(value) {
        found.push(Finding { range: start..start + value.len(), kind: Kind::Named });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_column() {
        assert!(INSERTS.is_some() && ROLES.is_some());
        for (text, wanted) in [
            ("INSERT INTO users (email, password) VALUES ('a@b.de', 'x')", vec!["x"]),
            ("insert into `u` (`password`,`n`) values ('a,(b', 1), ('c', 2)", vec!["a,(b", "c"]),
            ("INSERT INTO \"u\" (\"a\", \"api_key\") VALUES (now(), 'k') RETURNING id", vec!["k"]),
            ("INSERT INTO users (email, password) VALUES (%s, %s)", vec![]),
            ("INSERT INTO users (email, name) VALUES ('a', 'b')", vec![]),
            ("INSERT INTO users (email, password) VALUES ('a', NULL)", vec![]),
            ("INSERT INTO users (password) VALUES ('cut off", vec![]),
            ("CREATE ROLE reporting LOGIN PASSWORD 'x'", vec!["x"]),
            ("SET PASSWORD FOR 'bob'@'h' = PASSWORD('x')", vec!["x"]),
            ("validate_password('x')", vec![]),
        ] {
            let mut found = Vec::new();
            find(text, &ScrubRules::default(), &mut found);
            let found: Vec<_> = found.into_iter().filter_map(|finding| text.get(finding.range)).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
