//! One message, and the request each chat service wants for it. Pure: sending is the caller's business.
//!
//! | file | what |
//! |---|---|
//! | `kind` | the services, their limits, and how to know one by its address |
//! | `request` | the front: a message as a request |
//! | `verdict` | the front: what an answer means |
//! | `fit`, `text`, `address` | what the services' files share |
//! | `smtp` | how mail leaves: `EMAIL_URL` |
//! | the others | one service each: form, signature, answers |
//!
//! ```
//! use glitchbox_notify::{Kind, Language, Level, Message, Target, Verdict, request, verdict};
//!
//! let message = Message {
//!     title: "Nightly restart".to_owned(),
//!     level: Level::Success,
//!     facts: vec![("Took".to_owned(), "3.2 s".to_owned())],
//!     body: String::new(),
//!     link: None,
//!     language: Language::English,
//! };
//! let target = Target { kind: Kind::Feishu, url: "https://open.feishu.cn/open-apis/bot/v2/hook/x", secret: Some("s") };
//! let request = request(&target, &message, "report.7", "restart.report", 1_599_360_473_000)?;
//! assert_eq!(request.url, target.url);
//! assert_eq!(verdict(target.kind, target.url, 200, None, b"{\"code\":0}"), Verdict::Taken);
//! # Ok::<(), String>(())
//! ```

mod address;
pub mod dingtalk;
mod discord;
pub mod feishu;
mod fit;
pub mod generic;
mod kind;
mod ntfy;
mod request;
mod slack;
pub mod smtp;
mod teams;
mod telegram;
mod text;
mod verdict;
mod wecom;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

pub use address::without_address;
use fit::fit;
pub use kind::{Kind, Limits, is_service, kind_of, limits};
pub use request::{Request, Target, check, request, verdict};
pub use verdict::Verdict;

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

/// The word for looking further.
const fn view(language: Language) -> &'static str {
    match language {
        Language::English => "View",
        Language::Chinese => "查看",
    }
}

/// What `of` gives for the message's level; nothing when its title begins with a mark of its own.
fn mark(message: &Message, of: impl Fn(Level) -> &'static str) -> &'static str {
    let has_own = message.title.chars().next().is_some_and(|first| !first.is_ascii() && !first.is_alphanumeric());
    if has_own { "" } else { of(message.level) }
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
}
