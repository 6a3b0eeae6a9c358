//! Telegram: a message of a bot, in its HTML.
//!
//! The address is `https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>`: with the token in it, it is a
//! secret. `message_thread_id` beside `chat_id` names a topic of the group.

use serde_json::{Value, json};

use crate::address::{Parts, split};
use crate::text::{escape_tags as escape, units_of};
use crate::verdict::{A_MINUTE, Answer, Verdict, seconds, text_at, told};
use crate::{Level, Message, fit, limits, mark, view};

/// Of the text with its tags, in UTF-16 units; Telegram counts it without.
const TEXT: usize = 4_096;
const METHOD: &str = "/sendMessage";

/// The address to send to: what the query says goes into the body.
///
/// # Errors
/// It is no address, or names no chat.
pub(crate) fn address(url: &str) -> Result<String, String> {
    let parts = split(url)?;
    chat(&parts)?;
    let path = parts.path.trim_end_matches('/');
    let method = if path.ends_with(METHOD) { "" } else { METHOD };
    Ok(format!("{}{path}{method}", parts.origin))
}

fn chat(parts: &Parts<'_>) -> Result<String, String> {
    parts.parameter("chat_id").ok_or_else(|| "the address names no chat: it ends in ?chat_id=...".to_owned())
}

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(url: &str, message: &Message) -> Result<Vec<u8>, String> {
    let parts = split(url)?;
    let chat = chat(&parts)?;
    let topic = parts.parameter("message_thread_id").and_then(|topic| topic.parse::<i64>().ok());
    fit(message, |message| {
        let text = text(message);
        let mut body = json!({
            "chat_id": chat,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let (Some(topic), Some(fields)) = (topic, body.as_object_mut()) {
            fields.insert("message_thread_id".to_owned(), topic.into());
        }
        let body = body.to_string().into_bytes();
        (units_of(&text) <= TEXT && body.len() <= limits(crate::Kind::Telegram).bytes).then_some(body)
    })
}

fn text(message: &Message) -> String {
    // There are no colours.
    let mark = mark(message, |level| match level {
        Level::Success => "🟢 ",
        Level::Info => "🔵 ",
        Level::Warning => "🟠 ",
        Level::Error => "🔴 ",
    });
    let mut blocks = vec![format!("{mark}<b>{}</b>", escape(&message.title))];
    let facts = message.facts.iter().map(|(name, value)| format!("<b>{}:</b> {}", escape(name), escape(value)));
    blocks.push(facts.collect::<Vec<_>>().join("\n"));
    blocks.push(escape(&message.body));
    if let Some(link) = &message.link {
        blocks.push(format!("<a href=\"{}\">{}</a>", escape(link).replace('"', "&quot;"), view(message.language)));
    }
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n\n")
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let json = answer.json().unwrap_or_default();
    let words = text_at(&json, "/description");
    let after = json.pointer("/parameters/retry_after").and_then(Value::as_f64).and_then(seconds).or(answer.after);
    let answer = Answer { after, ..*answer };
    match json.get("ok").and_then(Value::as_bool) {
        Some(true) if answer.is_success() => Verdict::Taken,
        Some(false) if answer.is_success() => Verdict::later(words, after.or(Some(A_MINUTE))),
        None if answer.is_success() => Verdict::later("the answer is not Telegram's", None),
        _ => match json.pointer("/parameters/migrate_to_chat_id").and_then(Value::as_i64) {
            Some(chat) => Verdict::refused(format!("the group has got another number: chat_id={chat}")),
            // Said with 400, and of the address all the same.
            None if words.contains("chat not found") => {
                Verdict::refused(told(&format!("HTTP {}", answer.status), &words))
            }
            None => answer.by_status(&words),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::message;

    #[test]
    fn a_message_is_html() {
        assert_eq!(
            text(&Message { body: "ask @admin\n  a < b".to_owned(), ..message() }),
            "🔴 <b>Restart &lt;failed&gt;</b>\n\n<b>Service:</b> web &amp; worker\n\nask @\u{200b}admin\n  a &lt; b\n\n\
             <a href=\"https://errors.example.com/\">View</a>"
        );
        let marked = Message { title: "✅ Restarted".to_owned(), ..message() };
        assert!(text(&marked).starts_with("<b>✅ Restarted</b>"));
    }

    #[test]
    fn the_chat_goes_from_the_address_into_the_body() {
        let url = "https://api.telegram.org/bot1:x?chat_id=%40news&message_thread_id=7";
        assert_eq!(address(url).unwrap(), "https://api.telegram.org/bot1:x/sendMessage");
        assert_eq!(
            address("https://t.example/bot1:x/sendMessage?chat_id=-100").unwrap(),
            "https://t.example/bot1:x/sendMessage"
        );
        let body: Value = serde_json::from_slice(&body(url, &message()).unwrap()).unwrap();
        assert_eq!((&body["chat_id"], &body["message_thread_id"]), (&json!("@news"), &json!(7)));
        address("https://api.telegram.org/bot1:x/sendMessage").unwrap_err();
    }

    #[test]
    fn the_answer_says_it_twice() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, r#"{"ok":true,"result":{}}"#), Verdict::Taken);
        let fast = r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#;
        assert_eq!(read(429, fast), Verdict::later("HTTP 429: Too Many Requests", Some(Duration::from_secs(35))));
        assert_eq!(
            read(401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#),
            Verdict::refused("HTTP 401: Unauthorized")
        );
        let moved = r#"{"ok":false,"description":"upgraded","parameters":{"migrate_to_chat_id":-1009}}"#;
        assert_eq!(read(400, moved), Verdict::refused("the group has got another number: chat_id=-1009"));
        assert_eq!(read(200, "<html>"), Verdict::later("the answer is not Telegram's", None));
    }
}
