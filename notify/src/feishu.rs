//! Feishu and Lark: an interactive card for a custom bot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Language, Level, Message, shorten, sign};

/// Feishu refuses bodies over 20 KB. Escapes and the frame of the card need their share of that.
const TITLE_LIMIT: usize = 500;
const FACTS_LIMIT: usize = 4_000;
const BODY_LIMIT: usize = 6_000;

/// The request body. With a bot that asks for signatures: its secret, and now in seconds since 1970 (Feishu wants it
/// to be within the hour).
pub fn body(message: &Message, signed: Option<(&str, i64)>) -> Value {
    let mut body = json!({ "msg_type": "interactive", "card": card(message) });
    if let (Some((secret, timestamp)), Some(fields)) = (signed, body.as_object_mut()) {
        fields.insert("timestamp".to_owned(), timestamp.to_string().into());
        fields.insert("sign".to_owned(), signature(secret, timestamp).into());
    }
    body
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

fn card(message: &Message) -> Value {
    let colour = match message.level {
        Level::Success => "green",
        Level::Info => "blue",
        Level::Warning => "orange",
        Level::Error => "red",
    };
    let facts: Vec<String> =
        message.facts.iter().map(|(name, value)| format!("**{}:** {}", escape(name), escape(value))).collect();
    let texts = [shorten(&facts.join("\n"), FACTS_LIMIT), shorten(&escape(&message.body), BODY_LIMIT)];
    let mut elements: Vec<Value> = texts
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| json!({ "tag": "div", "text": { "tag": "lark_md", "content": text } }))
        .collect();
    if let Some(link) = &message.link {
        let label = match message.language {
            Language::English => "View",
            Language::Chinese => "查看",
        };
        let text = json!({ "tag": "plain_text", "content": label });
        let button = json!({ "tag": "button", "type": "primary", "text": text, "url": link });
        elements.push(json!({ "tag": "action", "actions": [button] }));
    }
    let title = json!({ "tag": "plain_text", "content": shorten(&message.title, TITLE_LIMIT) });
    json!({
        "config": { "wide_screen_mode": true },
        "header": { "template": colour, "title": title },
        "elements": elements,
    })
}

/// Text that must not act as markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
                "config": { "wide_screen_mode": true },
                "header": { "template": "red", "title": { "tag": "plain_text", "content": "Restart <failed>" } },
                "elements": [
                    { "tag": "div", "text": { "tag": "lark_md", "content": "**Service:** web &amp; worker" } },
                    { "tag": "div", "text": { "tag": "lark_md", "content": "line one\nline two" } },
                    { "tag": "action", "actions": [{
                        "tag": "button", "type": "primary", "url": "https://errors.example.com/",
                        "text": { "tag": "plain_text", "content": "View" },
                    }] },
                ],
            },
        });
        assert_eq!(body(&message(), Some(("demo", 1_599_360_473))), wanted);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let plain = Message { facts: Vec::new(), body: String::new(), link: None, ..message() };
        let body = body(&plain, None);
        assert!(body.get("sign").is_none() && body.get("timestamp").is_none());
        assert_eq!(body["card"]["elements"], json!([]));
    }

    #[test]
    fn the_button_speaks_the_readers_language() {
        let body = body(&Message { language: Language::Chinese, ..message() }, None);
        assert_eq!(body["card"]["elements"][2]["actions"][0]["text"]["content"], "查看");
    }

    #[test]
    fn a_long_message_stays_within_the_limit() {
        let long = "错\"<\n".repeat(20_000);
        let message =
            Message { title: long.clone(), facts: vec![("n".to_owned(), long.clone())], body: long, ..message() };
        assert!(body(&message, Some(("s", 1))).to_string().len() <= 20_000);
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
