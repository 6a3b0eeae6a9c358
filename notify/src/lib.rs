//! One message, and the body and signature each chat service wants. Pure: sending is the caller's business.
//!
//! ```
//! use glitchbox_notify::{Language, Level, Message, feishu};
//!
//! let message = Message {
//!     title: "Nightly restart".to_owned(),
//!     level: Level::Success,
//!     facts: vec![("Took".to_owned(), "3.2 s".to_owned())],
//!     body: String::new(),
//!     link: None,
//!     language: Language::English,
//! };
//! let body = feishu::body(&message, Some(("secret", 1_599_360_473)));
//! assert!(body["sign"].is_string());
//! ```

pub mod feishu;
pub mod generic;
pub mod slack;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

/// Something to tell people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// One line.
    pub title: String,
    /// How bad it is; chat services show it as a colour.
    pub level: Level,
    /// Names with values, in the order to show them.
    #[serde(serialize_with = "as_objects")]
    pub facts: Vec<(String, String)>,
    /// Plain text below the facts; may be empty, may have several lines.
    pub body: String,
    /// An `http` or `https` address to look further.
    pub link: Option<String>,
    /// The language of the few words a service's form adds.
    pub language: Language,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is well again, or went well.
    Success,
    /// Worth knowing.
    Info,
    /// Worth looking at.
    Warning,
    /// Somebody has to act.
    Error,
}

/// A language people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Language {
    /// English.
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
}

/// HMAC-SHA256.
fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length is fine for HMAC, so there is no error to have.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn as_objects<S: serde::Serializer>(facts: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(facts.iter().map(|(name, value)| serde_json::json!({"name": name, "value": value})))
}

/// The beginning of `text` in at most `limit` bytes, marked when something is left out.
fn shorten(text: &str, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned() + MARK
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with everything in it.
    pub(crate) fn message() -> Message {
        Message {
            title: "Restart <failed>".to_owned(),
            level: Level::Error,
            facts: vec![("Service".to_owned(), "web & worker".to_owned())],
            body: "line one\nline two".to_owned(),
            link: Some("https://errors.example.com/".to_owned()),
            language: Language::English,
        }
    }

    #[test]
    fn text_is_shortened_between_characters() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("错误错误", 10), "错误…");
        assert_eq!(shorten("错误错误", 8), "错…");
        assert_eq!(shorten("abc", 0), "…");
    }
}
