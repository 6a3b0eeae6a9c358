//! Patterns of whole texts, in any case: `*` is any text, `?` one character, `{a,b}` one of several; `\` takes the
//! meaning from what follows.

use regex::{Regex, RegexBuilder};

/// What one pattern may take in memory, in bytes; a longest one takes a tenth of it.
const MAX_COMPILED: usize = 1024 * 1024;

/// What one pattern may take while it works, in bytes; one that needs more is slower, and still linear.
const MAX_WORKING: usize = 256 * 1024;

/// Longest text that is looked at, in bytes. No message or release is longer once it is normalised.
const MAX_TEXT: usize = 32 * 1024;

/// Patterns of one list.
#[derive(Debug, Clone, Default)]
pub(super) struct Globs(Vec<Regex>);

impl Globs {
    /// A pattern that is too large to be used is left out.
    pub(super) fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().filter_map(|pattern| compile(pattern)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if there is a text, and some pattern is all of it.
    pub(super) fn match_any(&self, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| text.len() <= MAX_TEXT) else { return false };
        self.0.iter().any(|pattern| pattern.is_match(text))
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    let built = RegexBuilder::new(&translate(pattern))
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_WORKING)
        .build();
    built.ok()
}

/// The pattern as a regular expression, which is linear in the text whatever the pattern.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2 + 8);
    out.push_str(r"\A");
    let mut characters = pattern.chars();
    // Alternatives that are open. One that is never closed is a brace like any other letter.
    let mut depth = 0;
    while let Some(character) = characters.next() {
        match character {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '{' if characters.as_str().contains('}') => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '\\' => escape(&mut out, characters.next().unwrap_or('\\')),
            other => escape(&mut out, other),
        }
    }
    out.push_str(&")".repeat(depth));
    out.push_str(r"\z");
    out
}

fn escape(out: &mut String, character: char) {
    out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_whole_text_in_any_case() {
        for (pattern, text, wanted) in [
            ("ConnectionError*", "connectionerror: refused", true),
            ("ConnectionError", "ConnectionError: refused", false),
            ("*refused*", "x\nrefused\ny", true),
            ("1.?.0", "1.2.0", true),
            ("1.?.0", "1.22.0", false),
            ("*invariant={418,419}*", "see ?invariant=419 for more", true),
            ("*invariant={418,419}*", "see ?invariant=420 for more", false),
            ("a[0] + (b)", "a[0] + (b)", true),
            ("a[0]", "a0", false),
            (r"100\*", "100*", true),
            (r"100\*", "1000", false),
            ("{open", "{open", true),
            ("a,b", "a,b", true),
            ("{a{b,c},d}", "ac", true),
            ("{a{b,c}", "ab", true),
            ("*", "", true),
            ("", "x", false),
            ("Fehler: Größe*", "fehler: GRÖSSE", false),
            ("fehler: größe*", "FEHLER: GRÖßE 3", true),
            ("连接*", "连接失败", true),
            ("\\", "\\", true),
        ] {
            let globs = Globs::new(&[pattern.to_owned()]);
            assert!(!globs.is_empty(), "{pattern}");
            assert_eq!(globs.match_any(Some(text)), wanted, "{pattern} of {text}");
        }
        assert!(!Globs::new(&["*".to_owned()]).match_any(None), "what is not there matches nothing");
    }

    #[test]
    fn no_pattern_takes_long_or_much() {
        let text = "a".repeat(8192);
        for pattern in ["*a".repeat(125), "{a,*}".repeat(50), "{".repeat(249) + "}", "?".repeat(250)] {
            let began = std::time::Instant::now();
            let globs = Globs::new(std::slice::from_ref(&pattern));
            globs.match_any(Some(&text));
            assert!(began.elapsed() < std::time::Duration::from_secs(2), "{pattern}");
            assert!(!globs.is_empty(), "{pattern} is small enough");
        }
    }
}
