//! What Slack's incoming webhooks take; Mattermost, Rocket.Chat, Zulip and many others take it too.

use serde_json::{Value, json};

use crate::text::{BREAK, escape_tags as escape, part_marks, shorten};
use crate::verdict::{Answer, Verdict, told};
use crate::{Kind, Level, Message, fit, limits};

/// Slack shows no more of a text; the whole stays far below its limit for a request.
const TITLE_LIMIT: usize = 500;
const VALUE_LIMIT: usize = 500;
const BODY_LIMIT: usize = 6_000;
/// Values that share a line with their neighbour.
const SHORT: usize = 40;

/// The request body.
///
/// # Errors
/// See [`request`](crate::request).
pub(crate) fn body(url: &str, message: &Message) -> Result<Vec<u8>, String> {
    let escape = if Kind::Slack.is_at(url) { escape } else { escape_markdown };
    fit(message, |message| {
        let body = layout(message, escape).to_string().into_bytes();
        (body.len() <= limits(Kind::Slack).bytes).then_some(body)
    })
}

fn layout(message: &Message, escape: fn(&str) -> String) -> Value {
    let colour = match message.level {
        Level::Success => "#2e7d32",
        Level::Info => "#1976d2",
        Level::Warning => "#ed6c02",
        Level::Error => "#d32f2f",
    };
    let title = escape(&shorten(&message.title, TITLE_LIMIT));
    let fields: Vec<Value> = message
        .facts
        .iter()
        .map(|(name, value)| {
            let is_short = value.chars().count() <= SHORT;
            json!({ "title": escape(name), "value": escape(&shorten(value, VALUE_LIMIT)), "short": is_short })
        })
        .collect();
    let mut attachment = json!({
        "fallback": title,
        "color": colour,
        "title": title,
        "text": escape(&shorten(&message.body, BODY_LIMIT)),
        "fields": fields,
        // The texts are not ours: no markup in them.
        "mrkdwn_in": [],
    });
    if let (Some(link), Some(attachment)) = (&message.link, attachment.as_object_mut()) {
        attachment.insert("title_link".to_owned(), link.as_str().into());
    }
    json!({ "text": title, "attachments": [attachment] })
}

/// Any answer with a status of 2xx means success; what is wrong is told in plain text.
pub(crate) fn verdict(answer: &Answer<'_>) -> Verdict {
    let words = answer.words();
    if answer.may_be_replaced() {
        return Verdict::later(told(&format!("HTTP {}", answer.status), &words), answer.after);
    }
    answer.by_status(&words)
}

/// The same for those that read Markdown in it, as all but Slack do: no links and no pictures, by name or by reference.
fn escape_markdown(text: &str) -> String {
    escape(&part_marks(text).replace("]:", &format!("]{BREAK}:")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    #[test]
    fn elsewhere_than_at_slack_markdown_of_events_is_broken() {
        let odd = Message {
            title: "![](http://evil.example/p.png)".to_owned(),
            facts: vec![("Release".to_owned(), "[click](http://evil.example/)".to_owned())],
            body: "# Big\n![x][y]\n[y]: http://evil.example/p.png".to_owned(),
            ..message()
        };
        let made = |url| String::from_utf8(body(url, &odd).unwrap()).unwrap();
        for url in ["https://chat.example.org/hooks/x", "https://discord.com/api/webhooks/1/x/slack"] {
            let made = made(url);
            assert!(!made.contains("](") && !made.contains("][") && !made.contains("]:"), "{made}");
            assert!(!made.contains("\"# Big"), "{made}");
        }
        // Slack itself knows no such marks: nothing is put into its texts.
        assert!(made("https://hooks.slack.com/services/x").contains("[click](http://evil.example/)"));
    }

    #[test]
    fn a_message_is_an_attachment() {
        let wanted = json!({
            "text": "Restart &lt;failed&gt;",
            "attachments": [{
                "fallback": "Restart &lt;failed&gt;",
                "color": "#d32f2f",
                "title": "Restart &lt;failed&gt;",
                "title_link": "https://errors.example.com/",
                "text": "line one\nline two",
                "fields": [{ "title": "Service", "value": "web &amp; worker", "short": true }],
                "mrkdwn_in": [],
            }],
        });
        assert_eq!(layout(&message(), escape), wanted);
    }

    #[test]
    fn nobody_is_called_by_a_text() {
        let odd = Message { title: "<!channel> @all boom".to_owned(), link: None, ..message() };
        let body = layout(&odd, escape).to_string();
        assert!(!body.contains('<') && !body.contains("@all"), "{body}");
    }

    #[test]
    fn the_status_decides_and_the_words_explain() {
        let read = |status, body: &str| verdict(&Answer::new(status, None, body.as_bytes()));
        assert_eq!(read(200, "ok"), Verdict::Taken);
        assert_eq!(read(404, "no_service"), Verdict::refused("HTTP 404: no_service"));
        assert_eq!(read(500, "rollup_error"), Verdict::later("HTTP 500: rollup_error", None));
    }
}
