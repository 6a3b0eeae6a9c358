//! Feishu and Lark: an interactive card (card JSON 2.0) for a custom bot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Language, Level, Message, shorten, sign};

/// Feishu refuses bodies over 20 KB; some room is left for what a gateway may add.
const BODY_LIMIT: usize = 19_500;
const TITLE_LIMIT: usize = 500;
/// A block is not cut below this many bytes.
const SHORTEST_BLOCK: usize = 200;

/// A card: a coloured title over blocks of Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// One line of plain text.
    pub title: String,
    /// Decides the colour.
    pub level: Level,
    /// Feishu's Markdown, a block each, divided by lines; text of others has been through [`escape`].
    pub blocks: Vec<String>,
    /// An address for the button below.
    pub link: Option<String>,
    /// The language of the button.
    pub language: Language,
}

/// The request body. With a bot that asks for signatures: its secret, and now in seconds since 1970 (Feishu wants it
/// to be within the hour).
pub fn body(message: &Message, signed: Option<(&str, i64)>) -> Value {
    let facts: Vec<String> =
        message.facts.iter().map(|(name, value)| format!("**{}:** {}", escape(name), escape(value))).collect();
    let card = Card {
        title: message.title.clone(),
        level: message.level,
        blocks: vec![facts.join("\n"), escape(&message.body)],
        link: message.link.clone(),
        language: message.language,
    };
    card_body(&card, signed)
}

/// As [`body`], for a card with blocks of its own. The longest blocks are cut until Feishu takes the whole.
pub fn card_body(card: &Card, signed: Option<(&str, i64)>) -> Value {
    let mut card = card.clone();
    card.title = shorten(&card.title, TITLE_LIMIT);
    loop {
        let mut body = json!({ "msg_type": "interactive", "card": layout(&card) });
        if let (Some((secret, timestamp)), Some(fields)) = (signed, body.as_object_mut()) {
            fields.insert("timestamp".to_owned(), timestamp.to_string().into());
            fields.insert("sign".to_owned(), signature(secret, timestamp).into());
        }
        let longest = card.blocks.iter_mut().max_by_key(|block| block.len());
        match longest {
            Some(block) if body.to_string().len() > BODY_LIMIT && block.len() > SHORTEST_BLOCK => {
                *block = shorten(block, block.len() / 4 * 3);
            }
            _ => return body,
        }
    }
}

/// Feishu's signature: the time and the secret are the key, and what is signed is empty.
pub fn signature(secret: &str, timestamp: i64) -> String {
    STANDARD.encode(sign(format!("{timestamp}\n{secret}").as_bytes(), b""))
}

/// Reads the answer, whose HTTP status says nothing.
///
/// # Errors
/// Feishu's code and words, or what is odd about the answer.
pub fn check_response(response: &[u8]) -> Result<(), String> {
    let answer: Value = serde_json::from_slice(response).map_err(|_| "the answer is not JSON".to_owned())?;
    // Older bots answer with StatusCode and StatusMessage; `code` counts when both are there.
    let code = answer.get("code").or_else(|| answer.get("StatusCode")).and_then(Value::as_i64);
    let words = answer.get("msg").or_else(|| answer.get("StatusMessage")).and_then(Value::as_str).unwrap_or_default();
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(format!("code {code}: {}", shorten(words, 300))),
        None => Err("the answer has no code".to_owned()),
    }
}

/// Card JSON 2.0.
fn layout(card: &Card) -> Value {
    let colour = match card.level {
        Level::Success => "green",
        Level::Info => "blue",
        Level::Warning => "orange",
        Level::Error => "red",
    };
    let mut elements: Vec<Value> = Vec::new();
    for block in card.blocks.iter().filter(|block| !block.is_empty()) {
        if !elements.is_empty() {
            elements.push(json!({ "tag": "hr" }));
        }
        elements.push(json!({ "tag": "markdown", "content": block }));
    }
    if let Some(link) = &card.link {
        let label = match card.language {
            Language::English => "View",
            Language::Chinese => "查看",
        };
        elements.push(json!({
            "tag": "button",
            "type": "primary",
            "text": { "tag": "plain_text", "content": label },
            "behaviors": [{ "type": "open_url", "default_url": link }],
        }));
    }
    json!({
        "schema": "2.0",
        "config": { "update_multi": true },
        "header": { "template": colour, "title": { "tag": "plain_text", "content": card.title } },
        "body": { "elements": elements },
    })
}

/// Text that must not act as markup: HTML's characters and Markdown's as entities.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '*' => escaped.push_str("&#42;"),
            '`' => escaped.push_str("&#96;"),
            '[' => escaped.push_str("&#91;"),
            ']' => escaped.push_str("&#93;"),
            '~' => escaped.push_str("&sim;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    #[test]
    fn the_signature_is_feishus() {
        assert_eq!(signature("demo", 1_599_360_473), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
    }

    #[test]
    fn a_card_has_title_facts_text_and_button() {
        let wanted = json!({
            "timestamp": "1599360473",
            "sign": "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=",
            "msg_type": "interactive",
            "card": {
                "schema": "2.0",
                "config": { "update_multi": true },
                "header": { "template": "red", "title": { "tag": "plain_text", "content": "Restart <failed>" } },
                "body": { "elements": [
                    { "tag": "markdown", "content": "**Service:** web &amp; worker" },
                    { "tag": "hr" },
                    { "tag": "markdown", "content": "line one\nline two" },
                    {
                        "tag": "button", "type": "primary", "text": { "tag": "plain_text", "content": "View" },
                        "behaviors": [{ "type": "open_url", "default_url": "https://errors.example.com/" }],
                    },
                ] },
            },
        });
        assert_eq!(body(&message(), Some(("demo", 1_599_360_473))), wanted);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let plain = Message { facts: Vec::new(), body: String::new(), link: None, ..message() };
        let body = body(&plain, None);
        assert!(body.get("sign").is_none() && body.get("timestamp").is_none());
        assert_eq!(body["card"]["body"]["elements"], json!([]));
    }

    #[test]
    fn the_button_speaks_the_readers_language() {
        let body = body(&Message { language: Language::Chinese, ..message() }, None);
        assert_eq!(body["card"]["body"]["elements"][3]["text"]["content"], "查看");
    }

    #[test]
    fn a_long_message_stays_within_the_limit() {
        let long = "错\"<\n".repeat(20_000);
        let message =
            Message { title: long.clone(), facts: vec![("n".to_owned(), long.clone())], body: long, ..message() };
        let body = body(&message, Some(("s", 1))).to_string();
        assert!(body.len() <= 20_000 && body.len() > 10_000, "{}", body.len());
    }

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(
            escape("<at id=all> [x](http://y) **b** `c`"),
            "&lt;at id=all&gt; &#91;x&#93;(http://y) &#42;&#42;b&#42;&#42; &#96;c&#96;"
        );
    }

    #[test]
    fn only_code_zero_is_success() {
        assert_eq!(check_response(br#"{"code":0,"msg":"success"}"#), Ok(()));
        assert_eq!(check_response(br#"{"StatusCode":0,"StatusMessage":"success"}"#), Ok(()));
        let refused = check_response(br#"{"code":19021,"msg":"sign match fail","StatusCode":0}"#);
        assert_eq!(refused, Err("code 19021: sign match fail".to_owned()));
        assert!(check_response(b"{}").is_err());
        assert!(check_response(b"<html>").is_err());
    }
}
