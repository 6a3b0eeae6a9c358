//! Shortens a message until a service takes it.

use crate::Message;
use crate::address::split;
use crate::text::{MARK, is_blank, line, lines, shorten};

const TITLE: usize = 500;
const NAME: usize = 100;
const VALUE: usize = 2_000;
const FACTS: usize = 40;
const LINK: usize = 1_500;

/// Texts are first cut down to this many bytes, in this order: the body, the values, the number of facts.
const SHORT_BODY: usize = 400;
const SHORT_VALUE: usize = 80;
const FEW_FACTS: usize = 4;
const SHORT_TITLE: usize = 90;

/// The message without control characters and with nothing in it longer than any service wants; `limit` bounds the body.
pub(crate) fn clean(message: &Message, limit: usize) -> Message {
    let cleaned = message.facts.iter().map(|(name, value)| (line(name, NAME), line(value, VALUE)));
    // Looked at once they are clean: of some texts nothing is left, and services refuse what is empty.
    let known = cleaned.filter(|(name, value)| !is_blank(name) && !is_blank(value));
    let facts: Vec<(String, String)> = known.take(FACTS).collect();
    let has_left_out = message.facts.len() > FACTS;
    let mut body = lines(&message.body, limit);
    if has_left_out && !body.ends_with(MARK) {
        body.push(MARK);
    }
    Message {
        title: Some(line(&message.title, TITLE)).filter(|title| !is_blank(title)).unwrap_or_else(|| "-".to_owned()),
        level: message.level,
        facts,
        body,
        link: message.link.clone().filter(|link| link.len() <= LINK && split(link).is_ok()),
        language: message.language,
    }
}

/// Makes the body of a request of a message that [`clean`] has been at; `render` says none to what is too long.
///
/// # Errors
/// Not even the title alone is short enough.
pub(crate) fn fit(message: &Message, render: impl Fn(&Message) -> Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    let mut message = message.clone();
    loop {
        if let Some(body) = render(&message) {
            return Ok(body);
        }
        if !shrink(&mut message) {
            return Err("the message cannot be made short enough".to_owned());
        }
    }
}

/// Takes something away; false when there is nothing left to take.
fn shrink(message: &mut Message) -> bool {
    let three_quarters = |length: usize| length / 4 * 3;
    if message.body.len() > SHORT_BODY {
        message.body = shorten(&message.body, three_quarters(message.body.len()));
        return true;
    }
    let longest = message.facts.iter().map(|(_, value)| value.len()).max().unwrap_or_default();
    if longest > SHORT_VALUE {
        for (_, value) in &mut message.facts {
            *value = shorten(value, three_quarters(longest));
        }
        return true;
    }
    if message.facts.len() > FEW_FACTS {
        message.facts.pop();
        if !message.body.ends_with(MARK) {
            message.body.push(MARK);
        }
        return true;
    }
    if message.title.len() > SHORT_TITLE {
        message.title = shorten(&message.title, three_quarters(message.title.len()));
        return true;
    }
    let had = !message.body.is_empty() || !message.facts.is_empty() || message.link.is_some();
    // The link is worth more than what it leads to says again.
    if message.body.is_empty() && message.facts.is_empty() {
        message.link = None;
    }
    message.body.clear();
    message.facts.clear();
    had
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::message;

    fn within(limit: usize) -> impl Fn(&Message) -> Option<Vec<u8>> {
        move |message| {
            let facts: Vec<String> = message.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let facts = facts.join("\n");
            let link = message.link.as_deref().unwrap_or_default();
            let text = format!("{}\n{facts}\n{}\n{link}", message.title, message.body);
            (text.len() <= limit).then(|| text.into_bytes())
        }
    }

    #[test]
    fn the_body_goes_before_the_facts_and_those_before_the_title() {
        let long = Message { body: "很长的错误 ".repeat(2_000), ..message() };
        let long = clean(&long, 50_000);
        let text = String::from_utf8(fit(&long, within(1_000)).unwrap()).unwrap();
        assert!(text.starts_with("Restart <failed>\nService: web & worker\n很长的错误"), "{text}");
        assert_eq!(text.matches(MARK).count(), 1);
        assert!(text.len() > 600);
        assert_eq!(
            String::from_utf8(fit(&long, within(50)).unwrap()).unwrap(),
            "Restart <failed>\n\n\nhttps://errors.example.com/"
        );
        assert_eq!(String::from_utf8(fit(&long, within(20)).unwrap()).unwrap(), "Restart <failed>\n\n\n");
        fit(&long, within(10)).unwrap_err();
    }

    #[test]
    fn empty_facts_and_what_is_no_link_are_left_out() {
        let odd = Message {
            title: "\n".to_owned(),
            facts: ["", " ", "\u{feff}", "\u{202e}\u{2066}", "\u{200b}", "\0", "\u{2060}\u{3164}"]
                .iter()
                .flat_map(|&blank| [("a".to_owned(), blank.to_owned()), (blank.to_owned(), "b".to_owned())])
                .collect(),
            link: Some("javascript:alert(1)".to_owned()),
            ..message()
        };
        let odd = clean(&odd, 100);
        assert_eq!((odd.title.as_str(), odd.facts.len(), odd.link), ("-", 0, None));
    }
}
