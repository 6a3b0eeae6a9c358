//! Takes known secrets out of what is written.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Shorter values would blank out ordinary words.
const SHORTEST: usize = 8;

/// Words that stand in every other line; whoever chose one as a password would otherwise read nothing but stars.
const WORDS: [&str; 3] = ["postgres", "glitchbox", "supervisor"];

/// What stands in the place of a secret.
const STARS: &str = "***";

/// The secret values to look for.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
    /// Finds all of them, however they are written, in one pass.
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// Adds values; those that are too short, known or ordinary words are left out.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = String>) {
        let before = self.secrets.len();
        for value in values {
            if value.len() >= SHORTEST && !WORDS.contains(&value.as_str()) && !self.secrets.contains(&value) {
                self.secrets.push(value);
            }
        }
        if self.secrets.len() > before {
            let patterns: Vec<String> = self.secrets.iter().flat_map(|secret| shapes(secret)).collect();
            // The longest first: one secret may be a part of another.
            self.search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns).ok();
        }
    }

    /// The text with stars in the place of every secret.
    pub(super) fn clean<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        let Some(search) = &self.search else { return text };
        if !search.is_match(text.as_ref()) {
            return text;
        }
        let mut cleaned = String::with_capacity(text.len());
        search.replace_all_with(&text, &mut cleaned, |_, _, cleaned| {
            cleaned.push_str(STARS);
            true
        });
        cleaned.into()
    }
}

/// A secret as it is, as a part of a URL, of a JSON text, and of base64 wherever in it it begins (a password in an
/// `Authorization` header stands behind the user's name).
fn shapes(secret: &str) -> Vec<String> {
    let mut shapes = vec![secret.to_owned(), escaped_for_url(secret), escaped_for_json(secret)];
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        // Only the characters that all their bits come from the secret.
        let from = (before * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        shapes.extend(encoded.get(from..to).map(str::to_owned));
    }
    shapes.retain(|shape| shape.len() >= SHORTEST);
    shapes.sort();
    shapes.dedup();
    shapes
}

fn escaped_for_url(text: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn escaped_for_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map_or(String::new(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(redactor: &Redactor, line: &str) -> String {
        redactor.clean(line.into()).into_owned()
    }

    #[test]
    fn secrets_of_eight_characters_and_more_are_replaced() {
        let mut redactor = Redactor::default();
        redactor.add(["postgres".into(), "hunter2".into(), "correct-horse".into()]);
        redactor.add(["correct-horse-battery".into()]);
        let line = "a correct-horse-battery b correct-horse c hunter2 postgres correct-horse";
        assert_eq!(cleaned(&redactor, line), "a *** b *** c hunter2 postgres ***");
    }

    #[test]
    fn a_secret_is_found_in_urls_json_and_base64() {
        let mut redactor = Redactor::default();
        redactor.add(["p@ss/\"word\"".into()]);
        assert_eq!(cleaned(&redactor, "postgres://u:p%40ss%2F%22word%22@h/d"), "postgres://u:***@h/d");
        assert_eq!(cleaned(&redactor, r#"{"p":"p@ss/\"word\""}"#), r#"{"p":"***"}"#);
        for user in ["", "a", "ab", "abc", "abcd:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{user}p@ss/\"word\"; and more"));
            let shown = cleaned(&redactor, &format!("Basic {encoded}"));
            assert!(shown.contains(STARS) && shown.len() < encoded.len(), "{user}: {shown}");
        }
    }

    #[test]
    fn no_secret_is_no_work() {
        assert!(matches!(Redactor::default().clean("text".into()), Cow::Borrowed("text")));
    }
}
