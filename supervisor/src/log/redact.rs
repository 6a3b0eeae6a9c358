//! Takes known secrets out of what is written.

/// Shorter values would blank out ordinary words.
const SHORTEST: usize = 8;

/// The secret values to look for.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Adds values; those that are too short or known are left out.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = String>) {
        for value in values {
            if value.len() >= SHORTEST && !self.secrets.contains(&value) {
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
        redactor.add(["hunter2".into(), "correct-horse".into(), "correct-horse-battery".into()]);
        let line = "a correct-horse-battery b correct-horse c hunter2 correct-horse".to_owned();
        assert_eq!(redactor.clean(line), "a *** b *** c hunter2 ***");
    }
}
