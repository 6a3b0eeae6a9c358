//! A message as a mail: text and HTML, and headers that keep an issue's mails together.

use std::fmt::Write as _;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::content::Content;
use super::html;
use super::words::pick;

/// Where a mail comes from, where it goes, and what it belongs to.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// Our address.
    pub from: &'a Mailbox,
    /// The reader's.
    pub to: &'a str,
    /// Host of our public address.
    pub host: &'a str,
    /// The same whenever the same message is sent again: letters, digits, `.` and `-`.
    pub id: &'a str,
    /// What the mails of an issue share; none of a digest.
    pub thread: Option<String>,
    /// The page on which the reader, or somebody for them, says that this is not wanted.
    pub alerts_page: Option<String>,
    /// `PROJECT.ORGANIZATION`
    pub list: String,
}

/// Makes the mail.
///
/// # Errors
/// An address that is none.
pub fn build(content: &Content, envelope: &Envelope<'_>) -> Result<Message, String> {
    let to: Address = envelope.to.parse().map_err(|error| format!("not an e-mail address: {error}"))?;
    let domain = domain(envelope.host);
    let project = &content.project;
    let mut mail = Message::builder()
        .from(envelope.from.clone())
        .to(Mailbox::new(None, to))
        .subject(format!("[{project}] {}", content.title))
        .date_now()
        .message_id(Some(format!("<{}@{domain}>", envelope.id)))
        .header(AutoSubmitted)
        .header(ListId(format!("<{}.{domain}>", envelope.list)));
    if let Some(page) = &envelope.alerts_page {
        mail = mail.header(ListUnsubscribe(format!("<{page}>")));
    }
    if let Some(thread) = &envelope.thread {
        let root = format!("<{thread}@{domain}>");
        mail = mail.in_reply_to(root.clone()).references(root);
    }
    let parts = MultiPart::alternative()
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(content)))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html::page(content)));
    mail.multipart(parts).map_err(|error| format!("the mail cannot be made: {error}"))
}

/// The mail as plain text.
pub fn text(content: &Content) -> String {
    let mut text = format!("{}\n\n{}\n\n", content.title, content.why);
    for (name, value) in &content.facts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    if !content.stack.is_empty() {
        let _ = writeln!(text, "\n{}", content.stack.join("\n"));
    }
    for item in &content.items {
        let _ = writeln!(text, "\n* {} ({})\n  {}", item.title, item.note, item.link);
    }
    if !content.more.is_empty() {
        let _ = writeln!(text, "\n{}", content.more);
    }
    let open = pick(content.language, "Open", "查看");
    let _ = write!(text, "\n{open}: {}\n\n-- \n{}\n", content.link, content.footer);
    text
}

/// What may stand behind the `@` of an id: an address literal would need brackets.
fn domain(host: &str) -> String {
    let is_name = host.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-'));
    if is_name && !host.is_empty() { host.to_owned() } else { "glitchbox.invalid".to_owned() }
}

/// `Auto-Submitted: auto-generated`: no holiday replies, please.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// `List-Id`: what mail programs filter by.
#[derive(Clone)]
struct ListId(String);

impl Header for ListId {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Id")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

/// `List-Unsubscribe`: what mail programs offer beside the sender.
#[derive(Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
