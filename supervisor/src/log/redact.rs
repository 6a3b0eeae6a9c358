//! Takes known secrets out of what is written.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::report::guises;

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
    /// Adds values, with the parts of those that are addresses; what is too short or an ordinary word is left out.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = String>) {
        let before = self.secrets.len();
        for value in values {
            if !self.secrets.contains(&value) {
                self.secrets.push(value);
            }
        }
        if self.secrets.len() > before {
            let mut patterns: Vec<String> = self.secrets.iter().flat_map(|secret| guises(secret)).collect();
            patterns.sort_unstable();
            patterns.dedup();
            // The longest first: one secret may be a part of another. In the form that is small: the fastest takes a hundred
            // bytes and more for each byte of a secret, most of a megabyte in all.
            self.search = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&patterns)
                .ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

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
            for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = alphabet.encode(format!("{user}p@ss/\"word\"; and more"));
                let shown = cleaned(&redactor, &format!("Basic {encoded}"));
                assert!(shown.contains(STARS) && shown.len() < encoded.len(), "{user}: {shown}");
            }
        }
    }

    #[test]
    fn the_secret_parts_of_addresses_are_known_by_themselves() {
        let mut redactor = Redactor::default();
        redactor.add([
            "postgres://gb:p%40ssword1@db.example.com/gb".into(),
            "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d-0000-4e5f".into(),
        ]);
        let line = "cannot log in to db.example.com with p@ssword1 (p%40ssword1), nor post to 0a1b2c3d-0000-4e5f";
        assert_eq!(cleaned(&redactor, line), "cannot log in to db.example.com with *** (***), nor post to ***");
    }

    #[test]
    fn no_secret_is_no_work() {
        assert!(matches!(Redactor::default().clean("text".into()), Cow::Borrowed("text")));
    }
}
