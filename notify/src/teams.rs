//! Microsoft Teams: an adaptive card, as a workflow's webhook takes it and the old connectors do. The address is the
//! secret; nothing is signed.

use serde_json::{Value, json};

use crate::text::{BREAK, shorten};
use crate::verdict::{A_MINUTE, Answer, Verdict};
use crate::{Level, Message, fit, limits, view};

const TITLE: usize = 300;
/// Lines of the text; each is a block of its own.
const LINES: usize = 60;

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(message: &Message) -> Result<Vec<u8>, String> {
    fit(message, |message| {
        let body = layout(message).to_string().into_bytes();
        (body.len() <= limits(crate::Kind::Teams).bytes).then_some(body)
    })
}

/// All text is in runs, in which Teams looks for no markup.
fn layout(message: &Message) -> Value {
    let colour = match message.level {
        Level::Success => "Good",
        Level::Info => "Accent",
        Level::Warning => "Warning",
        Level::Error => "Attention",
    };
    let title = plain(&shorten(&message.title, TITLE));
    let mut blocks = vec![block(
        &[json!({ "type": "TextRun", "text": title, "weight": "Bolder", "size": "Large", "color": colour })],
        "Default",
    )];
    for (name, value) in &message.facts {
        let name = json!({ "type": "TextRun", "text": format!("{}: ", plain(name)), "weight": "Bolder" });
        blocks.push(block(&[name, json!({ "type": "TextRun", "text": plain(value) })], "Small"));
    }
    let mut spacing = "Medium";
    let mut lines = message.body.lines();
    for line in lines.by_ref().take(LINES).filter(|line| !line.trim().is_empty()) {
        blocks.push(block(&[json!({ "type": "TextRun", "text": plain(line) })], spacing));
        spacing = "None";
    }
    if lines.next().is_some() {
        blocks.push(block(&[json!({ "type": "TextRun", "text": "…" })], spacing));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": blocks,
    });
    if let (Some(link), Some(card)) = (&message.link, card.as_object_mut()) {
        let open = json!({ "type": "Action.OpenUrl", "title": view(message.language), "url": link });
        card.insert("actions".to_owned(), json!([open]));
    }
    json!({
        "type": "message",
        "summary": title,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn block(runs: &[Value], spacing: &str) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs, "spacing": spacing })
}

/// Teams replaces `{{DATE(...)}}`, and looks for `<at>`: no such thing is left.
fn plain(text: &str) -> String {
    let parted = text.replace("{{", &format!("{{{BREAK}{{"));
    parted.replace("<at>", &format!("<{BREAK}at>")).replace("</at>", &format!("<{BREAK}/at>"))
}

pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let words = answer.words();
    // The old connectors say 200 though Teams said no, and tell its status in their words.
    let status = words.split_once("returned HTTP error ").and_then(|(_, rest)| rest.get(..3));
    if answer.is_success() && words.contains("delivery failed") {
        let status = status.and_then(|status| status.parse().ok()).unwrap_or(500);
        return Answer { status, ..*answer }.by_status("the connector could not deliver it");
    }
    // A workflow that is switched off or has lost its connection answers in JSON.
    let json = answer.json().unwrap_or_default();
    let told = json.pointer("/error/message").and_then(Value::as_str).map_or(words, |told| shorten(told, 300));
    match answer.status {
        429 => Answer { after: answer.after.or(Some(A_MINUTE)), ..*answer }.by_status(&told),
        _ => answer.by_status(&told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    #[test]
    fn a_message_is_an_adaptive_card() {
        let run = |text: &str| json!({ "type": "TextRun", "text": text });
        let wanted = json!({
            "type": "message",
            "summary": "Restart <failed>",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": { "width": "Full" },
                    "body": [
                        { "type": "RichTextBlock", "spacing": "Default", "inlines": [{
                            "type": "TextRun", "text": "Restart <failed>", "weight": "Bolder", "size": "Large",
                            "color": "Attention",
                        }] },
                        { "type": "RichTextBlock", "spacing": "Small", "inlines": [
                            { "type": "TextRun", "text": "Service: ", "weight": "Bolder" }, run("web & worker"),
                        ] },
                        { "type": "RichTextBlock", "spacing": "Medium", "inlines": [run("line one")] },
                        { "type": "RichTextBlock", "spacing": "None", "inlines": [run("line two")] },
                    ],
                    "actions": [{ "type": "Action.OpenUrl", "title": "View", "url": "https://errors.example.com/" }],
                },
            }],
        });
        assert_eq!(layout(&message()), wanted);
    }

    #[test]
    fn many_lines_end_in_a_mark() {
        let long = Message { body: "line\n".repeat(100), ..message() };
        let blocks = layout(&long)["attachments"][0]["content"]["body"].as_array().unwrap().clone();
        assert_eq!(blocks.len(), 2 + LINES + 1);
        assert_eq!(blocks.last().unwrap()["inlines"][0]["text"], "…");
    }

    #[test]
    fn nothing_is_left_that_teams_replaces() {
        assert_eq!(plain("{{DATE(x)}} <at>a</at>"), "{\u{200b}{DATE(x)}} <\u{200b}at>a<\u{200b}/at>");
    }

    #[test]
    fn a_yes_may_be_a_no() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(202, ""), Verdict::Taken);
        assert_eq!(read(200, "1"), Verdict::Taken);
        let failed = |status: u16| {
            format!(
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} \
                 with ContextId x."
            )
        };
        let why = |status: u16| format!("HTTP {status}: the connector could not deliver it");
        assert_eq!(read(200, &failed(429)), Verdict::later(why(429), Some(A_MINUTE)));
        assert_eq!(read(200, &failed(413)), Verdict::refused_message(why(413)));
        assert_eq!(
            read(401, r#"{"error":{"code":"DirectApiAuthorizationRequired","message":"no signature"}}"#),
            Verdict::refused("HTTP 401: no signature")
        );
    }
}
