//! Feishu and Lark: an interactive card (card JSON 2.0) for a custom bot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::text::shorten;
use crate::verdict::{A_MINUTE, Answer, Verdict};
use crate::{Kind, Language, Level, Message, fit, limits, sign, view};

const BODY_LIMIT: usize = limits(Kind::Feishu).bytes;
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
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(message: &Message, signed: Option<(&str, i64)>) -> Result<Vec<u8>, String> {
    fit(message, |message| {
        let body = whole(&card(message), signed).to_string().into_bytes();
        (body.len() <= BODY_LIMIT).then_some(body)
    })
}

fn card(message: &Message) -> Card {
    let facts: Vec<String> =
        message.facts.iter().map(|(name, value)| format!("**{}:** {}", escape(name), escape(value))).collect();
    Card {
        title: message.title.clone(),
        level: message.level,
        blocks: vec![facts.join("\n"), escape(&message.body)],
        link: message.link.clone(),
        language: message.language,
    }
}

/// The request body for a card with blocks of its own, signed as in a [`request`](crate::request): with the secret, and
/// now in seconds. The longest blocks are cut until Feishu takes the whole.
pub fn card_body(card: &Card, signed: Option<(&str, i64)>) -> Value {
    let mut card = card.clone();
    card.title = shorten(&card.title, TITLE_LIMIT);
    loop {
        let body = whole(&card, signed);
        let longest = card.blocks.iter_mut().max_by_key(|block| block.len());
        match longest {
            Some(block) if body.to_string().len() > BODY_LIMIT && block.len() > SHORTEST_BLOCK => {
                *block = shorten(block, block.len() / 4 * 3);
            }
            _ => return body,
        }
    }
}

fn whole(card: &Card, signed: Option<(&str, i64)>) -> Value {
    let mut body = json!({ "msg_type": "interactive", "card": layout(card) });
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
    let words = answer.get("msg").or_else(|| answer.get("StatusMessage")).and_then(Value::as_str).unwrap_or_default();
    match code_of(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(format!("code {code}: {}", shorten(words, 300))),
        None => Err("the answer has no code".to_owned()),
    }
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let status = answer.status;
    let why = match check_response(answer.body) {
        Ok(()) => return answer.by_status(""),
        Err(why) if answer.is_success() => why,
        Err(why) => format!("HTTP {status}: {why}"),
    };
    let Some(code) = answer.json().as_ref().and_then(code_of) else {
        return if answer.is_success() { Verdict::later(why, None) } else { answer.by_status("") };
    };
    // 9499 is said of a bad request, and sometimes of too many.
    let has_too_many = why.contains("too many") || why.contains("frequency");
    match code {
        11_232 | 99_991_400 => Verdict::later(why, Some(answer.after.unwrap_or(A_MINUTE))),
        _ if status == 429 || (code == 9_499 && has_too_many) => {
            Verdict::later(why, Some(answer.after.unwrap_or(A_MINUTE)))
        }
        // The form, the token, the signature, the sender's address, the words the bot wants; and the card.
        9_499 | 19_000..=19_999 | 11_246 | 200_621 | 230_099 => Verdict::refused(why),
        _ => Verdict::later(why, answer.after),
    }
}

/// Older bots answer with StatusCode and StatusMessage; `code` counts when both are there.
fn code_of(answer: &Value) -> Option<i64> {
    answer.get("code").or_else(|| answer.get("StatusCode")).and_then(Value::as_i64)
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
        elements.push(json!({
            "tag": "button",
            "type": "primary",
            "text": { "tag": "plain_text", "content": view(card.language) },
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

    fn body_of(message: &Message, signed: Option<(&str, i64)>) -> Value {
        serde_json::from_slice(&body(message, signed).unwrap()).unwrap()
    }

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
        assert_eq!(body_of(&message(), Some(("demo", 1_599_360_473))), wanted);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let plain = Message { facts: Vec::new(), body: String::new(), link: None, ..message() };
        let body = body_of(&plain, None);
        assert!(body.get("sign").is_none() && body.get("timestamp").is_none());
        assert_eq!(body["card"]["body"]["elements"], json!([]));
    }

    #[test]
    fn the_button_speaks_the_readers_language() {
        let body = body_of(&Message { language: Language::Chinese, ..message() }, None);
        assert_eq!(body["card"]["body"]["elements"][3]["text"]["content"], "查看");
    }

    #[test]
    fn a_long_message_stays_within_the_limit() {
        let long = "错\"<\n".repeat(20_000);
        let message =
            Message { title: long.clone(), facts: vec![("n".to_owned(), long.clone())], body: long, ..message() };
        let body = body(&message, Some(("s", 1))).unwrap();
        assert!(body.len() <= BODY_LIMIT && body.len() > 10_000, "{}", body.len());
    }

    #[test]
    fn a_card_of_long_blocks_stays_within_the_limit() {
        let long = "错\"<\n".repeat(20_000);
        let card = Card { title: long.clone(), blocks: vec![long.clone(), long], ..card(&message()) };
        let length = card_body(&card, None).to_string().len();
        assert!(length <= BODY_LIMIT && length > 10_000, "{length}");
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

    #[test]
    fn the_code_in_the_answer_decides() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, r#"{"code":0}"#), Verdict::Taken);
        let often = r#"{"code":11232,"msg":"frequency limited psm"}"#;
        assert_eq!(read(200, often), Verdict::later("code 11232: frequency limited psm", Some(A_MINUTE)));
        let many = r#"{"code":9499,"msg":"too many request"}"#;
        assert_eq!(read(400, many), Verdict::later("HTTP 400: code 9499: too many request", Some(A_MINUTE)));
        let bad = r#"{"code":9499,"msg":"Bad Request"}"#;
        assert_eq!(read(400, bad), Verdict::refused("HTTP 400: code 9499: Bad Request"));
        let sign = r#"{"code":19021,"msg":"sign match fail"}"#;
        assert_eq!(read(200, sign), Verdict::refused("code 19021: sign match fail"));
        assert_eq!(read(200, r#"{"code":5,"msg":"?"}"#), Verdict::later("code 5: ?", None));
        assert_eq!(read(200, "<html>"), Verdict::later("the answer is not JSON", None));
        assert_eq!(read(404, "<html>"), Verdict::refused("HTTP 404"));
    }
}
