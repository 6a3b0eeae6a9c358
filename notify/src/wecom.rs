//! WeCom: Markdown for a bot of a group. The address is the secret; nothing is signed.

use serde_json::{Value, json};

use crate::dingtalk::link_target;
use crate::text::{BREAK, call_nobody, keep_indents, part_marks};
use crate::verdict::{A_MINUTE, Answer, Verdict, text_at, told};
use crate::{Level, Message, fit, limits, view};

/// The request body: all of it within the limit that WeCom has for the text alone.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(message: &Message) -> Result<Vec<u8>, String> {
    fit(message, |message| {
        let body = layout(message).to_string().into_bytes();
        (body.len() <= limits(crate::Kind::WeCom).bytes).then_some(body)
    })
}

fn layout(message: &Message) -> Value {
    // WeCom has three colours.
    let colour = match message.level {
        Level::Success | Level::Info => "info",
        Level::Warning | Level::Error => "warning",
    };
    let mut blocks = vec![format!("### <font color=\"{colour}\">{}</font>", escape(&message.title))];
    let facts = message.facts.iter().map(|(name, value)| format!("> **{}:** {}", escape(name), escape(value)));
    blocks.push(facts.collect::<Vec<_>>().join("\n"));
    blocks.push(keep_indents(&escape(&message.body)));
    if let Some(link) = &message.link {
        blocks.push(format!("[{}]({})", view(message.language), link_target(link)));
    }
    blocks.retain(|block| !block.is_empty());
    json!({ "msgtype": "markdown", "markdown": { "content": blocks.join("\n\n") } })
}

/// There are no escapes: marks are parted by what nobody sees, and with them `<@name>`, which calls somebody.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for letter in part_marks(&call_nobody(text)).chars() {
        if letter == '*' && before == '*' {
            escaped.push(BREAK);
        }
        escaped.push(if letter == '`' { '\'' } else { letter });
        before = letter;
    }
    escaped
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let Some(json) = answer.json() else {
        return if answer.is_success() { Verdict::later("the answer is not JSON", None) } else { answer.by_status("") };
    };
    // Its words end in a hint for its own support.
    let words = text_at(&json, "/errmsg");
    let words = words.split(", hint:").next().unwrap_or_default();
    match json.get("errcode").and_then(Value::as_i64) {
        Some(0) if answer.is_success() => Verdict::Taken,
        Some(code) if code != 0 => {
            let why = told(&format!("errcode {code}"), words);
            match code {
                45_009 | 45_033 => Verdict::later(why, Some(answer.after.unwrap_or(A_MINUTE))),
                // The key, the bot, the form, the length, the words.
                93_000..=93_020
                | 40_000..=40_099
                | 41_000..=41_099
                | 43_000..=43_099
                | 44_000..=44_099
                | 45_002
                | 60_020 => Verdict::refused(why),
                _ => Verdict::later(why, answer.after),
            }
        }
        None if answer.is_success() => Verdict::later("the answer has no errcode", Some(A_MINUTE)),
        _ => answer.by_status(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    #[test]
    fn a_message_is_markdown() {
        let wanted = json!({
            "msgtype": "markdown",
            "markdown": {
                "content": "### <font color=\"warning\">Restart <\u{200b}failed></font>\n\n> **Service:** web & worker\n\n\
                    line one\nline two\n\n[View](https://errors.example.com/)",
            },
        });
        assert_eq!(layout(&message()), wanted);
    }

    #[test]
    fn text_of_others_is_no_markup_and_calls_nobody() {
        assert_eq!(escape("<@all> **b** `c`\n> d"), "<\u{200b}@\u{200b}all> *\u{200b}*b*\u{200b}* 'c'\n\u{200b}> d");
    }

    #[test]
    fn the_code_in_the_answer_decides() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, r#"{"errcode":0,"errmsg":"ok"}"#), Verdict::Taken);
        assert_eq!(
            read(200, r#"{"errcode":93000,"errmsg":"invalid webhook url, hint: [17], from ip: 1.2.3.4"}"#),
            Verdict::refused("errcode 93000: invalid webhook url")
        );
        let often = r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#;
        assert_eq!(read(200, often), Verdict::later("errcode 45009: api freq out of limit", Some(A_MINUTE)));
        assert_eq!(read(200, r#"{"errcode":-1}"#), Verdict::later("errcode -1", None));
        assert_eq!(read(200, "{}"), Verdict::later("the answer has no errcode", Some(A_MINUTE)));
    }
}
