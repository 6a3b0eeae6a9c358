//! ntfy: a notification of a topic, at ntfy.sh or a server of one's own.
//!
//! The address is the topic's: `https://ntfy.sh/<topic>`. A secret is an access token, or `user:password`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::address::split;
use crate::text::shorten;
use crate::verdict::{Answer, Verdict, text_at, told};
use crate::{Level, Message, fit, limits};

/// Longer texts become a file.
const TEXT: usize = 4_000;
const TITLE: usize = 250;
const LONGEST_TOPIC: usize = 64;

/// The address to send to, which is the server's own.
///
/// # Errors
/// It is no address, or names no topic.
pub(crate) fn address(url: &str) -> Result<String, String> {
    let parts = split(url)?;
    let topic = topic(url)?;
    let path = parts.path.trim_end_matches('/');
    let server = path.strip_suffix(topic.as_str()).unwrap_or("/");
    let query = if parts.query.is_empty() { String::new() } else { format!("?{}", parts.query) };
    Ok(format!("{}{server}{query}", parts.origin))
}

fn topic(url: &str) -> Result<String, String> {
    let topic = split(url)?.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let is_one = (1..=LONGEST_TOPIC).contains(&topic.len())
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_one.then(|| topic.to_owned()).ok_or_else(|| "the address names no topic: it ends in /topic".to_owned())
}

/// The header that lets us in.
pub(crate) fn authorization(secret: &str) -> String {
    if secret.contains(':') { format!("Basic {}", STANDARD.encode(secret)) } else { format!("Bearer {secret}") }
}

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(url: &str, message: &Message) -> Result<Vec<u8>, String> {
    let topic = topic(url)?;
    fit(message, |message| {
        let (layout, length) = layout(&topic, message);
        let body = layout.to_string().into_bytes();
        (length <= TEXT && body.len() <= limits(crate::Kind::Ntfy).bytes).then_some(body)
    })
}

/// The body, and how long its text is. It is plain text: there is nothing to escape.
fn layout(topic: &str, message: &Message) -> (Value, usize) {
    let facts: Vec<String> = message.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut blocks = vec![facts.join("\n"), message.body.clone()];
    blocks.retain(|block| !block.is_empty());
    let text = blocks.join("\n\n");
    // Tags of these names become a picture before the title.
    let tag = crate::mark(message, |level| match level {
        Level::Success => "white_check_mark",
        Level::Info => "information_source",
        Level::Warning => "warning",
        Level::Error => "rotating_light",
    });
    let mut body = json!({
        "topic": topic,
        "title": shorten(&message.title, TITLE),
        // Without a text ntfy makes up one.
        "message": if text.is_empty() { &message.title } else { &text },
        "priority": if message.level == Level::Error { 4 } else { 3 },
    });
    if let Some(fields) = body.as_object_mut() {
        if !tag.is_empty() {
            fields.insert("tags".to_owned(), json!([tag]));
        }
        if let Some(link) = &message.link {
            fields.insert("click".to_owned(), link.as_str().into());
        }
    }
    (body, text.len())
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let json = answer.json().unwrap_or_default();
    let words = text_at(&json, "/error");
    let code = json.get("code").and_then(Value::as_i64).filter(|_| !answer.is_success());
    let words = code.map_or(words.clone(), |code| told(&format!("code {code}"), &words));
    if answer.may_be_replaced() {
        return Verdict::later(told(&format!("HTTP {}", answer.status), &words), answer.after);
    }
    answer.by_status(&words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;
    use crate::verdict::A_MINUTE;

    #[test]
    fn a_message_is_a_notification() {
        let wanted = json!({
            "topic": "alerts",
            "title": "Restart <failed>",
            "message": "Service: web & worker\n\nline one\nline two",
            "priority": 4,
            "tags": ["rotating_light"],
            "click": "https://errors.example.com/",
        });
        assert_eq!(layout("alerts", &message()).0, wanted);
        let bare = Message { facts: Vec::new(), body: String::new(), ..message() };
        assert_eq!(layout("alerts", &bare).0["message"], "Restart <failed>");
    }

    #[test]
    fn the_topic_goes_from_the_address_into_the_body() {
        for (url, server) in [
            ("https://ntfy.sh/alerts", "https://ntfy.sh/"),
            ("https://n.example:8080/alerts/", "https://n.example:8080/"),
            ("https://n.example/ntfy/alerts?x=1", "https://n.example/ntfy/?x=1"),
        ] {
            assert_eq!(address(url).unwrap(), server);
            let body: Value = serde_json::from_slice(&body(url, &message()).unwrap()).unwrap();
            assert_eq!(body["topic"], "alerts");
        }
        for url in ["https://ntfy.sh", "https://ntfy.sh/", "https://ntfy.sh/a.b"] {
            address(url).unwrap_err();
        }
    }

    #[test]
    fn a_secret_is_a_token_or_a_user_with_a_password() {
        assert_eq!(authorization("tk_x"), "Bearer tk_x");
        assert_eq!(authorization("phil:mypass"), "Basic cGhpbDpteXBhc3M=");
    }

    #[test]
    fn the_status_decides_and_the_answer_explains() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, r#"{"id":"x","event":"message"}"#), Verdict::Taken);
        assert_eq!(
            read(429, r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#),
            Verdict::later("HTTP 429: code 42901: limit reached: too many requests", Some(A_MINUTE))
        );
        assert_eq!(
            read(403, r#"{"code":40301,"http":403,"error":"forbidden"}"#),
            Verdict::refused("HTTP 403: code 40301: forbidden")
        );
        assert_eq!(read(507, r#"{"code":50701}"#), Verdict::later("HTTP 507: code 50701", None));
    }
}
