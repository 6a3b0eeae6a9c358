//! DingTalk: Markdown for a custom bot of a group.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::address::{encode, split};
use crate::text::{call_nobody, keep_indents, part_marks};
use crate::verdict::{A_MINUTE, Answer, Verdict, text_at, told};
use crate::{Level, Message, fit, limits, sign, view};

/// It takes nothing for ten minutes once it had too much within one.
const MUTED: Duration = Duration::from_mins(10);
const AN_HOUR: Duration = Duration::from_hours(1);

/// The address to send to: signed in its query, when the bot has a secret. `now_ms` is in milliseconds since 1970;
/// DingTalk wants it to be within the hour.
///
/// # Errors
/// It is no address.
pub fn address(url: &str, secret: Option<&str>, now_ms: i64) -> Result<String, String> {
    let parts = split(url)?;
    let Some(secret) = secret else { return Ok(parts.with(&[])) };
    Ok(parts.with(&[("timestamp", &now_ms.to_string()), ("sign", &signature(secret, now_ms))]))
}

/// DingTalk's signature: the secret is the key, and what is signed is the time and the secret.
pub fn signature(secret: &str, now_ms: i64) -> String {
    STANDARD.encode(sign(secret.as_bytes(), format!("{now_ms}\n{secret}").as_bytes()))
}

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(message: &Message) -> Result<Vec<u8>, String> {
    fit(message, |message| {
        let body = layout(message).to_string().into_bytes();
        (body.len() <= limits(crate::Kind::DingTalk).bytes).then_some(body)
    })
}

fn layout(message: &Message) -> Value {
    let colour = match message.level {
        Level::Success => "#2e7d32",
        Level::Info => "#1976d2",
        Level::Warning => "#ed6c02",
        Level::Error => "#d32f2f",
    };
    let mut blocks = vec![format!("### <font color=\"{colour}\">{}</font>", escape(&message.title))];
    let facts = message.facts.iter().map(|(name, value)| format!("**{}:** {}", escape(name), escape(value)));
    // Two spaces end a line within a paragraph.
    blocks.push(facts.collect::<Vec<_>>().join("  \n"));
    blocks.push(keep_indents(&escape(&message.body)).replace('\n', "  \n"));
    if let Some(link) = &message.link {
        blocks.push(format!("[{}]({})", view(message.language), link_target(link)));
    }
    blocks.retain(|block| !block.is_empty());
    json!({
        "msgtype": "markdown",
        // The title is what a notification of the phone shows: plain text.
        "markdown": { "title": call_nobody(&message.title), "text": blocks.join("\n\n") },
        "at": { "atMobiles": [], "atUserIds": [], "isAtAll": false },
    })
}

/// Only some of Markdown's escapes are known to work; the other marks are parted by what nobody sees.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in part_marks(&call_nobody(text)).chars() {
        if matches!(letter, '\\' | '*' | '_' | '`') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// An address within round brackets.
pub(crate) fn link_target(link: &str) -> String {
    link.chars()
        .map(|letter| {
            if matches!(letter, '(' | ')' | '<' | '>' | '"') { encode(&letter.to_string()) } else { letter.to_string() }
        })
        .collect()
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let Some(json) = answer.json() else {
        return if answer.is_success() { Verdict::later("the answer is not JSON", None) } else { answer.by_status("") };
    };
    let words = text_at(&json, "/errmsg");
    match json.get("errcode").and_then(Value::as_i64) {
        Some(0) if answer.is_success() => Verdict::Taken,
        Some(0) => answer.by_status(&words),
        Some(code) => {
            let why = told(&format!("errcode {code}"), &words);
            match code {
                130_101 | 130_102 | 410_100 => Verdict::later(why, Some(answer.after.unwrap_or(MUTED))),
                // The calls of a day or a month are used up.
                90_030 => Verdict::later(why, Some(AN_HOUR)),
                // The token, the bot, the group, the form, the words the bot wants, the signature.
                300_001..=300_005
                | 310_000
                | 400_013
                | 400_101..=400_106
                | 430_101..=430_104
                | 34_000..=34_099
                | 40_000..=40_099
                | 43_000..=43_099
                | 404 => Verdict::refused(why),
                _ => Verdict::later(why, answer.after),
            }
        }
        // Its gateway has had enough, and says so in its own way.
        None if json.get("punish").is_some() => Verdict::later("too many messages", Some(MUTED)),
        None if answer.is_success() => Verdict::later("the answer has no errcode", Some(A_MINUTE)),
        None => answer.by_status(&words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;
    use crate::tests::message;

    #[test]
    fn the_signature_is_dingtalks_and_goes_into_the_query() {
        let url = "https://oapi.dingtalk.com/robot/send?access_token=x";
        assert_eq!(
            address(url, Some("SECdemo"), 1_599_360_473_000).unwrap(),
            format!("{url}&timestamp=1599360473000&sign=tGWkA5eQOQNCNPDgphtxIoNLO%2B%2FgD8Lcb705KQoRzeY%3D")
        );
        assert_eq!(address(url, None, 1).unwrap(), url);
        address("x", None, 1).unwrap_err();
    }

    #[test]
    fn a_message_is_markdown() {
        let wanted = json!({
            "msgtype": "markdown",
            "markdown": {
                "title": "Restart <failed>",
                "text": "### <font color=\"#d32f2f\">Restart <\u{200b}failed></font>\n\n**Service:** web & worker\n\n\
                    line one  \nline two\n\n[查看](https://errors.example.com/)",
            },
            "at": { "atMobiles": [], "atUserIds": [], "isAtAll": false },
        });
        assert_eq!(layout(&Message { language: Language::Chinese, ..message() }), wanted);
    }

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(
            escape("# __init__ [x](http://y) <img> @all"),
            "\u{200b}# \\_\\_init\\_\\_ [x]\u{200b}(http://y) <\u{200b}img> @\u{200b}all"
        );
        assert_eq!(link_target("https://a/(b)"), "https://a/%28b%29");
    }

    #[test]
    fn the_code_in_the_answer_decides() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, r#"{"errcode":0,"errmsg":"ok"}"#), Verdict::Taken);
        assert_eq!(
            read(200, r#"{"errcode":310000,"errmsg":"sign not match"}"#),
            Verdict::refused("errcode 310000: sign not match")
        );
        let fast = r#"{"status":1111,"wait":5,"punish":"deny","errcode":130101,"errmsg":"send too fast"}"#;
        assert_eq!(read(200, fast), Verdict::later("errcode 130101: send too fast", Some(MUTED)));
        assert_eq!(read(200, r#"{"status":1111,"punish":"deny"}"#), Verdict::later("too many messages", Some(MUTED)));
        assert_eq!(read(200, r#"{"errcode":410100}"#), Verdict::later("errcode 410100", Some(MUTED)));
        assert_eq!(read(200, r#"{"errcode":-1,"errmsg":"busy"}"#), Verdict::later("errcode -1: busy", None));
        assert_eq!(read(200, "<html>"), Verdict::later("the answer is not JSON", None));
        assert_eq!(read(502, "<html>"), Verdict::later("HTTP 502", None));
    }
}
