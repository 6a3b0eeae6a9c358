//! Discord: an embed for a channel's webhook. The address is the secret; nothing is signed.

use serde_json::{Value, json};

use crate::address::split;
use crate::text::{escaped, units_of};
use crate::verdict::{Answer, Verdict, seconds, text_at, told};
use crate::{Level, Message, fit, limits};

/// In UTF-16 units, as Discord seems to count; it counts the name and the value of each field, too.
const TITLE: usize = 256;
const TEXT: usize = 4_000;
const NAME: usize = 200;
const VALUE: usize = 1_000;
const FIELDS: usize = 25;
const ALL: usize = 5_900;
/// Values that share a line with their neighbours.
const SHORT: usize = 40;

/// The address to send to. Without `wait` Discord says yes before it has looked at the message.
///
/// # Errors
/// It is no address.
pub(crate) fn address(url: &str) -> Result<String, String> {
    let parts = split(url)?;
    let wait: &[(&str, &str)] = if parts.parameter("wait").is_some() { &[] } else { &[("wait", "true")] };
    Ok(parts.with(wait))
}

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(message: &Message) -> Result<Vec<u8>, String> {
    fit(message, |message| {
        let (layout, units) = layout(message);
        let body = layout.to_string().into_bytes();
        (units <= ALL && body.len() <= limits(crate::Kind::Discord).bytes).then_some(body)
    })
}

/// The embed, and how much of the whole it takes.
fn layout(message: &Message) -> (Value, usize) {
    let colour = match message.level {
        Level::Success => 0x002e_7d32,
        Level::Info => 0x0019_76d2,
        Level::Warning => 0x00ed_6c02,
        Level::Error => 0x00d3_2f2f,
    };
    let (title, text) = (escaped(&message.title, TITLE, escape), escaped(&message.body, TEXT, escape));
    let mut units = units_of(&title) + units_of(&text);
    let fields: Vec<Value> = message
        .facts
        .iter()
        .take(FIELDS)
        .map(|(name, value)| {
            let is_short = value.chars().count() <= SHORT;
            let (name, value) = (escaped(name, NAME, escape), escaped(value, VALUE, escape));
            units += units_of(&name) + units_of(&value);
            json!({ "name": name, "value": value, "inline": is_short })
        })
        .collect();
    let mut embed = json!({ "title": title, "description": text, "color": colour, "fields": fields });
    if let (Some(link), Some(embed)) = (&message.link, embed.as_object_mut()) {
        embed.insert("url".to_owned(), link.as_str().into());
    }
    // Nobody is called, whatever the texts say.
    (json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } }), units)
}

fn escape(letter: char, out: &mut String) {
    if matches!(letter, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '[' | ']' | '@') {
        out.push('\\');
    }
    out.push(letter);
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let json = answer.json().unwrap_or_default();
    let words = text_at(&json, "/message");
    if answer.status == 429 {
        // More exact than the header; a gateway before it has only the header.
        let after = json.get("retry_after").and_then(Value::as_f64).and_then(seconds).or(answer.after);
        return Answer { after, ..*answer }.by_status(&words);
    }
    let code = json.get("code").and_then(Value::as_i64).filter(|_| !answer.is_success());
    answer.by_status(&code.map_or(words.clone(), |code| told(&format!("code {code}"), &words)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::message;
    use crate::verdict::A_MINUTE;

    #[test]
    fn a_message_is_an_embed() {
        let wanted = json!({
            "embeds": [{
                "title": "Restart \\<failed\\>",
                "description": "line one\nline two",
                "color": 13_840_175,
                "url": "https://errors.example.com/",
                "fields": [{ "name": "Service", "value": "web & worker", "inline": true }],
            }],
            "allowed_mentions": { "parse": [] },
        });
        assert_eq!(layout(&message()), (wanted, 18 + 17 + 7 + 12));
    }

    #[test]
    fn discord_is_asked_to_look_before_it_answers() {
        let url = "https://discord.com/api/webhooks/1/x";
        assert_eq!(address(url).unwrap(), format!("{url}?wait=true"));
        assert_eq!(address(&format!("{url}?thread_id=5")).unwrap(), format!("{url}?thread_id=5&wait=true"));
        assert_eq!(address(&format!("{url}?wait=false")).unwrap(), format!("{url}?wait=false"));
    }

    #[test]
    fn a_status_and_what_is_told_with_it_decide() {
        let read = |status, after, body: &str| verdict(&Answer::new(status, after, body.as_bytes()));
        assert_eq!(read(200, None, r#"{"id":"1","code":5}"#), Verdict::Taken);
        assert_eq!(read(204, None, ""), Verdict::Taken);
        let limited = r#"{"message":"You are being rate limited.","retry_after":0.25,"global":false}"#;
        let why = "HTTP 429: You are being rate limited.";
        assert_eq!(read(429, Some("1"), limited), Verdict::later(why, Some(Duration::from_millis(250))));
        assert_eq!(read(429, None, "error code: 1015"), Verdict::later("HTTP 429", Some(A_MINUTE)));
        assert_eq!(
            read(404, None, r#"{"message":"Unknown Webhook","code":10015}"#),
            Verdict::refused("HTTP 404: code 10015: Unknown Webhook")
        );
    }
}
