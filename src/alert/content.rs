//! What a message says, in the reader's language.

use chrono::{DateTime, Utc};
use glitchbox_notify::{Language, Level as Colour, Message};
use serde_json::{Value, json};

use super::webhook;
use super::words::{events, issues, language, pick};
use crate::protocol::Level;
use crate::protocol::event::{Event, Frame, Stacktrace};
use crate::store::alert::RecipientKind;
use crate::store::notice::Reason;
use crate::store::notice::channel::{Addressee, Channel};
use crate::store::notice::delivery::Delivery;

/// Issues that a digest names; it counts all.
pub const DIGEST_ISSUES: usize = 20;

/// Frames of the stack in a message.
const FRAMES: usize = 5;

/// Longest title, in characters.
const TITLE: usize = 200;

/// Longest line of anything else, in characters.
const LINE: usize = 300;

/// A message before it has a form. Every text is one line without control characters.
#[derive(Debug, Clone)]
pub struct Content {
    /// `New issue: ValueError: …`
    pub title: String,
    /// Why somebody is told: a sentence.
    pub why: String,
    /// How bad it is.
    pub level: Colour,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// The end of the stack, where it crashed first.
    pub stack: Vec<String>,
    /// The issues of a digest that it names.
    pub items: Vec<Item>,
    /// How many more there are, in words; may be empty.
    pub more: String,
    /// Where to look further.
    pub link: String,
    /// The project's name.
    pub project: String,
    /// Why the reader gets messages at all: a sentence.
    pub footer: String,
    /// For everything that a form adds.
    pub language: Language,
    /// For programs: `issue.new`, `issue.regression`, `issue.frequency`, `issue.digest`, `test`.
    pub kind: &'static str,
    /// For programs: the same as numbers and names, an object with none of the names that [`Message`] has.
    pub data: Value,
}

/// An issue of a digest.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its title.
    pub title: String,
    /// Why it is told, and its events.
    pub note: String,
    /// Its page.
    pub link: String,
}

/// The language of a destination: the user's own; of a bot, the one its house speaks.
pub fn language_of(channel: &Channel, addressee: &Addressee) -> Language {
    let of_house = || match channel.kind {
        RecipientKind::Email => Language::English,
        kind => webhook::kind_of(kind, &channel.destination).language(),
    };
    language(&addressee.language).unwrap_or_else(of_house)
}

/// The page of a project's alerts; `origin` is our public address.
pub fn alerts_page(origin: &str, organization: &str, project: &str) -> String {
    format!("{origin}/projects/{organization}/{project}/alerts/")
}

/// Tells of one issue. `event` is its latest, as far as it is still kept; `origin` is our public address.
pub fn single(
    delivery: &Delivery,
    event: Option<&Event>,
    addressee: &Addressee,
    lang: Language,
    origin: &str,
) -> Content {
    let title = line(&delivery.title, TITLE);
    let environment = event.and_then(|event| event.environment.as_deref()).unwrap_or_default();
    let release = event.and_then(|event| event.release.as_deref()).unwrap_or_default();
    let short_id = short_id(addressee, delivery);
    let facts = [
        (pick(lang, "Project", "项目"), addressee.project_name.clone()),
        (pick(lang, "Issue", "编号"), short_id.clone()),
        (pick(lang, "Level", "级别"), delivery.level.as_str().to_owned()),
        (pick(lang, "Environment", "环境"), environment.to_owned()),
        (pick(lang, "Release", "版本"), release.to_owned()),
        (pick(lang, "Where", "位置"), delivery.culprit.clone()),
        (pick(lang, "Events", "事件数"), delivery.event_count.to_string()),
        (pick(lang, "Users", "用户数"), delivery.user_count.to_string()),
        (pick(lang, "First seen", "首次出现"), time(delivery.first_seen)),
        (pick(lang, "Last seen", "最近出现"), time(delivery.last_seen)),
    ];
    let link = issue_link(origin, delivery);
    let kind = match delivery.reason {
        Reason::New => "issue.new",
        Reason::Regressed => "issue.regression",
        Reason::Frequency => "issue.frequency",
    };
    let data = json!({
        "organization": { "slug": addressee.organization },
        "project": { "slug": addressee.project, "name": line(&addressee.project_name, TITLE) },
        "alert": {
            "name": delivery.alert,
            "quantity": delivery.quantity,
            "timespanMinutes": delivery.timespan_minutes,
        },
        "issue": issue_data(delivery, &short_id, &link),
        "event": event.map(event_data),
    });
    Content {
        title: format!("{}{title}", headline(lang, delivery.reason)),
        why: why(lang, delivery),
        level: colour(delivery.level),
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), line(&value, LINE)))
            .collect(),
        stack: event.map(stack).unwrap_or_default(),
        items: Vec::new(),
        more: String::new(),
        link,
        project: line(&addressee.project_name, TITLE),
        footer: footer(lang, addressee),
        language: lang,
        kind,
        data,
    }
}

/// Tells of several issues at once; those with most events come first and are named.
pub fn digest(deliveries: &[Delivery], addressee: &Addressee, lang: Language, origin: &str) -> Content {
    let mut told: Vec<i64> = deliveries.iter().map(|delivery| delivery.issue_id.0).collect();
    told.sort_unstable();
    told.dedup();
    let count_of = |reason| deliveries.iter().filter(|delivery| delivery.reason == reason).count();
    let counts = [
        (pick(lang, "New", "新问题"), count_of(Reason::New)),
        (pick(lang, "Back again", "再次出现"), count_of(Reason::Regressed)),
        (pick(lang, "Frequent", "频繁"), count_of(Reason::Frequency)),
    ];
    let project = line(&addressee.project_name, TITLE);
    let mut facts = vec![(pick(lang, "Project", "项目").to_owned(), project.clone())];
    facts.extend(
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| ((*name).to_owned(), count.to_string())),
    );
    let named = deliveries.iter().take(DIGEST_ISSUES);
    let items: Vec<Item> = named
        .clone()
        .map(|delivery| Item {
            title: line(&delivery.title, TITLE),
            note: format!("{} · {}", reason_word(lang, delivery.reason), events(lang, delivery.event_count)),
            link: issue_link(origin, delivery),
        })
        .collect();
    let rest = deliveries.len() - items.len();
    let more = match (lang, rest) {
        (_, 0) => String::new(),
        (Language::English, _) => format!("and {rest} more"),
        (Language::Chinese, _) => format!("另有 {rest} 个"),
    };
    let data = json!({
        "organization": { "slug": addressee.organization },
        "project": { "slug": addressee.project, "name": project },
        "digest": {
            "issues": told.len(),
            "new": count_of(Reason::New),
            "regression": count_of(Reason::Regressed),
            "frequency": count_of(Reason::Frequency),
            "top": named
                .map(|delivery| issue_data(delivery, &short_id(addressee, delivery), &issue_link(origin, delivery)))
                .collect::<Vec<_>>(),
        },
    });
    let title = match lang {
        Language::English => format!("{} in {project}", issues(lang, told.len())),
        Language::Chinese => format!("{project}：{}", issues(lang, told.len())),
    };
    Content {
        title,
        why: pick(
            lang,
            "So much happened at once that these issues come in one message.",
            "短时间内问题较多，合并为一条消息。",
        )
        .to_owned(),
        level: deliveries
            .iter()
            .map(|delivery| delivery.level)
            .max_by_key(|level| level.code())
            .map_or(Colour::Info, colour),
        facts,
        stack: Vec::new(),
        items,
        more,
        link: format!("{origin}/issues/"),
        project,
        footer: footer(lang, addressee),
        language: lang,
        kind: "issue.digest",
        data,
    }
}

/// Tells nothing but that mail arrives.
pub fn trial(origin: &str) -> Content {
    Content {
        title: "Mail from glitchbox arrives".to_owned(),
        why: "Somebody wanted to know whether it does: this is what `glitchbox mail test` sends.".to_owned(),
        level: Colour::Success,
        facts: vec![("Address".to_owned(), origin.to_owned())],
        stack: Vec::new(),
        items: Vec::new(),
        more: String::new(),
        link: format!("{origin}/"),
        project: "glitchbox".to_owned(),
        footer: "Alerts are set up for each project.".to_owned(),
        language: Language::English,
        kind: "test",
        data: json!({}),
    }
}

impl Content {
    /// The form of chat services.
    pub fn message(&self) -> Message {
        let mut body = vec![self.why.clone()];
        body.extend(self.stack.iter().cloned());
        body.extend(self.items.iter().map(|item| format!("• {} ({})", item.title, item.note)));
        body.extend(Some(self.more.clone()).filter(|more| !more.is_empty()));
        Message {
            title: self.title.clone(),
            level: self.level,
            facts: self.facts.clone(),
            body: body.join("\n"),
            link: Some(self.link.clone()),
            language: self.language,
        }
    }
}

fn headline(lang: Language, reason: Reason) -> &'static str {
    match reason {
        Reason::New => pick(lang, "New issue: ", "新问题："),
        Reason::Regressed => pick(lang, "Back again: ", "再次出现："),
        Reason::Frequency => pick(lang, "Frequent: ", "频繁："),
    }
}

fn reason_word(lang: Language, reason: Reason) -> &'static str {
    match reason {
        Reason::New => pick(lang, "new", "新问题"),
        Reason::Regressed => pick(lang, "back again", "再次出现"),
        Reason::Frequency => pick(lang, "frequent", "频繁"),
    }
}

fn why(lang: Language, delivery: &Delivery) -> String {
    match (delivery.reason, lang) {
        (Reason::New, _) => pick(lang, "This issue has not been seen before.", "此问题首次出现。").to_owned(),
        (Reason::Regressed, _) => {
            pick(lang, "This issue was resolved and happened again.", "此问题解决后再次出现。").to_owned()
        }
        (Reason::Frequency, Language::English) => match (delivery.quantity, delivery.timespan_minutes) {
            (Some(quantity), Some(1)) => format!("This issue had {quantity} events or more within a minute."),
            (Some(quantity), Some(minutes)) => {
                format!("This issue had {quantity} events or more within {minutes} minutes.")
            }
            _ => "This issue happens often.".to_owned(),
        },
        (Reason::Frequency, Language::Chinese) => match (delivery.quantity, delivery.timespan_minutes) {
            (Some(quantity), Some(minutes)) => format!("此问题在 {minutes} 分钟内发生了至少 {quantity} 次。"),
            _ => "此问题频繁发生。".to_owned(),
        },
    }
}

fn footer(lang: Language, addressee: &Addressee) -> String {
    let project = line(&addressee.project_name, TITLE);
    match lang {
        Language::English => format!("The alerts of project {project} say who gets this message."),
        Language::Chinese => format!("此消息由项目 {project} 的告警设置发出。"),
    }
}

fn colour(level: Level) -> Colour {
    match level {
        Level::Fatal | Level::Error => Colour::Error,
        Level::Warning => Colour::Warning,
        Level::Info | Level::Debug => Colour::Info,
    }
}

fn issue_data(delivery: &Delivery, short_id: &str, link: &str) -> Value {
    json!({
        "id": delivery.issue_id.to_string(),
        "shortId": short_id,
        "title": line(&delivery.title, LINE),
        "culprit": line(&delivery.culprit, LINE),
        "level": delivery.level.as_str(),
        "reason": delivery.reason.as_str(),
        "count": delivery.event_count,
        "userCount": delivery.user_count,
        "firstSeen": delivery.first_seen,
        "lastSeen": delivery.last_seen,
        "link": link,
    })
}

fn event_data(event: &Event) -> Value {
    json!({
        "id": event.event_id.to_string(),
        "timestamp": event.timestamp,
        "platform": event.platform,
        "environment": event.environment,
        "release": event.release,
    })
}

fn short_id(addressee: &Addressee, delivery: &Delivery) -> String {
    format!("{}-{}", addressee.project.to_uppercase(), delivery.short_id)
}

fn issue_link(origin: &str, delivery: &Delivery) -> String {
    format!("{origin}/issues/{}/", delivery.issue_id)
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The last frames of the program's own, where it crashed first; of a program that has none, the last ones.
fn stack(event: &Event) -> Vec<String> {
    let of_exception = event.exception.values.iter().rev().find_map(|exception| exception.stacktrace.as_ref());
    let of_thread = || event.threads.values.iter().find_map(|thread| thread.stacktrace.as_ref());
    let Some(Stacktrace { frames, .. }) = of_exception.or(event.stacktrace.as_ref()).or_else(of_thread) else {
        return Vec::new();
    };
    let own: Vec<&Frame> = frames.iter().rev().filter(|frame| frame.in_app == Some(true)).take(FRAMES).collect();
    let shown = if own.is_empty() { frames.iter().rev().take(FRAMES).collect() } else { own };
    shown.into_iter().flat_map(frame_lines).collect()
}

fn frame_lines(frame: &Frame) -> Vec<String> {
    let file = frame.filename.as_deref().or(frame.module.as_deref()).or(frame.package.as_deref()).unwrap_or("?");
    let place = frame.lineno.map_or_else(|| file.to_owned(), |number| format!("{file}:{number}"));
    let place = frame.function.as_ref().map_or_else(|| place.clone(), |function| format!("{place} {function}"));
    let mut lines = vec![line(&place, LINE)];
    if let Some(code) = frame.context_line.as_deref().filter(|code| !code.trim().is_empty()) {
        lines.push(format!("    {}", line(code.trim(), LINE)));
    }
    lines
}

/// One line of at most `limit` characters without control characters: what programs and people have written goes
/// into headers and between other lines.
fn line(text: &str, limit: usize) -> String {
    let is_control = |character: char| {
        character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
    };
    let clean: String = text.chars().map(|character| if is_control(character) { ' ' } else { character }).collect();
    let clean = clean.trim();
    if clean.chars().count() <= limit {
        return clean.to_owned();
    }
    clean.chars().take(limit.saturating_sub(1)).chain(Some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line("a\r\nBcc: b@example.com\u{2028}c\u{0}", 100), "a  Bcc: b@example.com c");
        assert_eq!(line("错误错误错误", 4), "错误错…");
    }
}
