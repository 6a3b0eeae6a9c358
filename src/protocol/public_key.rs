//! The public part of a project key: what a DSN carries and every request of an SDK shows.

use std::fmt;

/// Number of hexadecimal digits in a public key.
const DIGITS: usize = 32;

/// A project's public key: 32 lower-case hexadecimal digits.
///
/// It names a project and lets anybody write to it; it is not a secret, yet it has no business in logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(String);

impl PublicKey {
    /// Reads 32 hexadecimal digits in any case; dashes (the UUID spelling) and a `:flag` suffix are taken off.
    ///
    /// `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split(':').next()?.trim();
        // Longer than any spelling of a UUID: not worth looking at.
        if text.len() > DIGITS + 4 {
            return None;
        }
        let mut key = String::with_capacity(DIGITS);
        for character in text.chars().filter(|character| *character != '-') {
            if !character.is_ascii_hexdigit() {
                return None;
            }
            key.push(character.to_ascii_lowercase());
        }
        (key.len() == DIGITS).then_some(Self(key))
    }

    /// The 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

    #[test]
    fn accepts_every_spelling_of_the_same_key() {
        for text in [
            KEY,
            "A0B1C2D3E4F5061728394A5B6C7D8E9F",
            "a0b1c2d3-e4f5-0617-2839-4a5b6c7d8e9f",
            "a0b1c2d3e4f5061728394a5b6c7d8e9f:no-cache",
            " a0b1c2d3e4f5061728394a5b6c7d8e9f ",
        ] {
            assert_eq!(PublicKey::parse(text).unwrap().as_str(), KEY, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_key() {
        for text in ["", "a0b1", "g0b1c2d3e4f5061728394a5b6c7d8e9f", "a0b1c2d3e4f5061728394a5b6c7d8e9f00", "ключ"] {
            assert_eq!(PublicKey::parse(text), None, "{text}");
        }
    }
}
