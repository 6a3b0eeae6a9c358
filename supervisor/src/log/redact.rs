//! Takes known secrets out of what is written.

/// Shorter values would blank out ordinary words.
const SHORTEST: usize = 8;

/// Words that stand in every other line; whoever chose one as a password would otherwise read nothing but stars.
const WORDS: [&str; 3] = ["postgres", "glitchbox", "supervisor"];

/// The secret values to look for.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Adds values; those that are too short, known or ordinary words are left out.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = String>) {
        for value in values {
            if value.len() >= SHORTEST && !WORDS.contains(&value.as_str()) && !self.secrets.contains(&value) {
                self.secrets.push(value);
            }
        }
        // The longest first: one secret may be a part of another.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The line with `***` in the place of every secret.
    pub(super) fn clean(&self, mut line: String) -> String {
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), "***");
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_eight_characters_and_more_are_replaced() {
        let mut redactor = Redactor::default();
        redactor.add(["postgres".into(), "hunter2".into(), "correct-horse".into(), "correct-horse-battery".into()]);
        let line = "a correct-horse-battery b correct-horse c hunter2 postgres correct-horse".to_owned();
        assert_eq!(redactor.clean(line), "a *** b *** c hunter2 postgres ***");
    }
}
