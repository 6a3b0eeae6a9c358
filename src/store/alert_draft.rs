//! Alerts as people and programs ask for them: checked here, in one place for the API and the pages, before
//! `store::alert` stores them.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use url::Url;

use super::alert::{Alert, MAX_RECIPIENTS, MAX_URL, NewAlert, NewRecipient, Recipient, RecipientKind};
use crate::config::Secret;
use crate::ids::AlertRecipientId;

/// Longest name of an alert, in characters.
pub const MAX_NAME: usize = 255;
/// Longest secret for signatures, in characters.
pub const MAX_SECRET: usize = 256;
/// How many minutes an alert may look back: up to three weeks.
pub const TIMESPAN: RangeInclusive<i64> = 1..=30_240;
/// How many events an alert may ask for.
pub const QUANTITY: RangeInclusive<i64> = 1..=1_000_000;

/// An alert as somebody asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertDraft {
    /// Its name for people; may be empty.
    pub name: String,
    /// Whether it tells anybody.
    pub is_enabled: bool,
    /// None: tells of issues that are new or back again.
    pub timespan_minutes: Option<i64>,
    /// There exactly when `timespan_minutes` is.
    pub quantity: Option<i64>,
    /// Whom it tells.
    pub recipients: Vec<RecipientDraft>,
}

/// A recipient as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientDraft {
    /// The stored recipient that this one is, perhaps with another address.
    pub id: Option<AlertRecipientId>,
    /// In which way it is told.
    pub kind: RecipientKind,
    /// Where to; blanks around it do not count.
    pub url: String,
    /// What becomes of its secret.
    pub secret: SecretDraft,
}

/// What becomes of a recipient's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretDraft {
    /// It stays as it is.
    Keep,
    /// There is none from now on.
    Remove,
    /// It is this one from now on.
    Set(Secret),
}

/// Why an alert cannot be as somebody asks for it. The text names the API's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A name that is too long.
    #[error("`name` may have at most {MAX_NAME} characters.")]
    NameTooLong,
    /// A name with a line break or another control character.
    #[error("`name` may have no line breaks and no control characters.")]
    NameUnprintable,
    /// One of the two numbers without the other.
    #[error("`timespanMinutes` and `quantity` go together: set both, or neither for new and returning issues.")]
    HalfCondition,
    /// Too many minutes, or none.
    #[error("`timespanMinutes` must be a number from {} to {}.", TIMESPAN.start(), TIMESPAN.end())]
    Timespan,
    /// Too many events, or none.
    #[error("`quantity` must be a number from {} to {}.", QUANTITY.start(), QUANTITY.end())]
    Quantity,
    /// More recipients than an alert may have.
    #[error("`alertRecipients` may have at most {MAX_RECIPIENTS} entries.")]
    TooManyRecipients,
    /// The recipient at this place of the list, counted from 0.
    #[error("`alertRecipients[{0}].{1}")]
    Recipient(usize, RecipientFault),
}

/// What is wrong with a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipientFault {
    /// A webhook without an address.
    #[error("url` is missing: a webhook needs an http:// or https:// address.")]
    UrlMissing,
    /// An address that is none.
    #[error("url` must be an http:// or https:// address without blanks.")]
    UrlInvalid,
    /// An address that is too long.
    #[error("url` may have at most {MAX_URL} bytes.")]
    UrlTooLong,
    /// An address of Telegram without a chat.
    #[error("url` must end in ?chat_id=... for Telegram.")]
    ChatMissing,
    /// An address of ntfy without a topic.
    #[error("url` must end in a topic for ntfy.")]
    TopicMissing,
    /// An address for e-mail, which has none.
    #[error("url` must be empty: e-mail goes to the members of the organization.")]
    UrlOfEmail,
    /// A secret for a kind that signs nothing.
    #[error("secret` is for `feishu`, `dingtalk`, `ntfy` and `generic` only.")]
    SecretUnused,
    /// A secret that is too long, or that nobody can have typed.
    #[error("secret` may have at most {MAX_SECRET} characters and no control characters.")]
    SecretInvalid,
    /// The same kind and address a second time.
    #[error("url` is there twice.")]
    Repeated,
}

impl RecipientKind {
    /// True when a secret means something to it: messages are signed with it, or it is an access token.
    pub const fn has_secret(self) -> bool {
        matches!(self.service(), Some(service) if service.takes_secret())
    }
}

impl AlertDraft {
    /// What is stored, as a draft that changes nothing.
    pub fn of(alert: &Alert) -> Self {
        let recipients = alert.recipients.iter().map(|one| RecipientDraft {
            id: Some(one.id),
            kind: one.kind,
            url: one.url.clone(),
            secret: SecretDraft::Keep,
        });
        Self {
            name: alert.name.clone(),
            is_enabled: alert.is_enabled,
            timespan_minutes: alert.timespan_minutes.map(i64::from),
            quantity: alert.quantity.map(i64::from),
            recipients: recipients.collect(),
        }
    }

    /// The alert to store. `stored` are the recipients it has now: one that moves to another address takes its
    /// secret along.
    pub fn check(&self, stored: &[Recipient]) -> Result<NewAlert, DraftError> {
        let name = self.name.trim();
        if name.chars().count() > MAX_NAME {
            return Err(DraftError::NameTooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(DraftError::NameUnprintable);
        }
        if self.timespan_minutes.is_some() != self.quantity.is_some() {
            return Err(DraftError::HalfCondition);
        }
        if self.recipients.len() > MAX_RECIPIENTS {
            return Err(DraftError::TooManyRecipients);
        }
        let mut known = HashSet::new();
        let mut recipients = Vec::new();
        for (place, draft) in self.recipients.iter().enumerate() {
            let recipient = draft.check(stored).map_err(|fault| DraftError::Recipient(place, fault))?;
            if !known.insert((recipient.kind, recipient.url.clone())) {
                return Err(DraftError::Recipient(place, RecipientFault::Repeated));
            }
            recipients.push(recipient);
        }
        Ok(NewAlert {
            name: name.to_owned(),
            is_enabled: self.is_enabled,
            timespan_minutes: within(self.timespan_minutes, &TIMESPAN, DraftError::Timespan)?,
            quantity: within(self.quantity, &QUANTITY, DraftError::Quantity)?,
            recipients,
        })
    }
}

impl RecipientDraft {
    fn check(&self, stored: &[Recipient]) -> Result<NewRecipient, RecipientFault> {
        let url = self.url.trim();
        if self.kind == RecipientKind::Email {
            if !url.is_empty() {
                return Err(RecipientFault::UrlOfEmail);
            }
        } else {
            check_url(url)?;
            self.check_place(url)?;
        }
        let secret = match &self.secret {
            SecretDraft::Remove => Some(Secret::new("")),
            SecretDraft::Keep => {
                let before = stored.iter().find(|one| Some(one.id) == self.id && one.kind == self.kind);
                before.and_then(|one| one.secret.clone())
            }
            SecretDraft::Set(secret) => {
                if !self.kind.has_secret() {
                    return Err(RecipientFault::SecretUnused);
                }
                let text = secret.expose();
                if text.is_empty() || text.chars().count() > MAX_SECRET || text.chars().any(char::is_control) {
                    return Err(RecipientFault::SecretInvalid);
                }
                Some(secret.clone())
            }
        };
        Ok(NewRecipient { kind: self.kind, url: url.to_owned(), secret })
    }

    /// Some services want to be told where within an address that can be called.
    fn check_place(&self, url: &str) -> Result<(), RecipientFault> {
        let Some(service) = self.kind.service() else { return Ok(()) };
        glitchbox_notify::check(service, url).map_err(|_| match self.kind {
            RecipientKind::Telegram => RecipientFault::ChatMissing,
            RecipientKind::Ntfy => RecipientFault::TopicMissing,
            _ => RecipientFault::UrlInvalid,
        })
    }
}

fn within(number: Option<i64>, range: &RangeInclusive<i64>, error: DraftError) -> Result<Option<i32>, DraftError> {
    let Some(number) = number else { return Ok(None) };
    if !range.contains(&number) {
        return Err(error);
    }
    i32::try_from(number).map(Some).map_err(|_| error)
}

fn check_url(text: &str) -> Result<(), RecipientFault> {
    if text.is_empty() {
        return Err(RecipientFault::UrlMissing);
    }
    if text.len() > MAX_URL {
        return Err(RecipientFault::UrlTooLong);
    }
    // The URL standard removes line breaks silently; what is stored is what was typed.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(RecipientFault::UrlInvalid);
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err(RecipientFault::UrlInvalid),
    }
}

/// A webhook's address for those who may not use it: its path is as good as a password. Of a long one the last
/// four characters stay, to tell two apart.
pub fn masked(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let origin = url.origin().ascii_serialization();
    let rest = format!("{}{}", url.path(), url.query().map(|query| format!("?{query}")).unwrap_or_default());
    if rest == "/" {
        return origin;
    }
    let hidden = rest.chars().count();
    let tail: String = if hidden < 24 { String::new() } else { rest.chars().skip(hidden - 4).collect() };
    format!("{origin}/…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(kind: RecipientKind, url: &str) -> RecipientDraft {
        RecipientDraft { id: None, kind, url: url.to_owned(), secret: SecretDraft::Keep }
    }

    fn draft(recipients: Vec<RecipientDraft>) -> AlertDraft {
        AlertDraft { name: " Night shift ".to_owned(), is_enabled: true, recipients, ..AlertDraft::default() }
    }

    fn fault(kind: RecipientKind, url: &str) -> RecipientFault {
        match draft(vec![recipient(kind, url)]).check(&[]) {
            Err(DraftError::Recipient(0, fault)) => fault,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn only_addresses_that_can_be_called_pass() {
        let webhook = RecipientKind::Webhook;
        for url in ["https://hooks.example.org/T0/B0/x", "HTTP://127.0.0.1:9000", " http://[::1]/x?y=z ", "http://a@b/"]
        {
            let checked = draft(vec![recipient(webhook, url)]).check(&[]).unwrap();
            assert_eq!(checked.recipients[0].url, url.trim());
            assert_eq!(checked.name, "Night shift");
        }
        for url in
            ["ftp://x", "hooks.example.org", "/x", "javascript:1", "https://", "http://a b/", "http://a\n/", "x\0"]
        {
            assert_eq!(fault(webhook, url), RecipientFault::UrlInvalid, "{url:?}");
        }
        assert_eq!(fault(webhook, "  "), RecipientFault::UrlMissing);
        assert_eq!(fault(webhook, &format!("http://h/{}", "x".repeat(MAX_URL))), RecipientFault::UrlTooLong);
        assert_eq!(fault(RecipientKind::Email, "a@example.org"), RecipientFault::UrlOfEmail);
    }

    #[test]
    fn an_address_says_where_within_the_service() {
        let ask = |kind, url: &str| draft(vec![recipient(kind, url)]).check(&[]);
        let telegram = "https://api.telegram.org/bot1:x/sendMessage";
        assert_eq!(fault(RecipientKind::Telegram, telegram), RecipientFault::ChatMissing);
        assert!(ask(RecipientKind::Telegram, &format!("{telegram}?chat_id=-100")).is_ok());
        assert_eq!(fault(RecipientKind::Ntfy, "https://ntfy.sh/"), RecipientFault::TopicMissing);
        assert!(ask(RecipientKind::Ntfy, "https://ntfy.sh/alerts").is_ok());
    }

    #[test]
    fn both_numbers_or_none() {
        let ask =
            |timespan_minutes, quantity| AlertDraft { timespan_minutes, quantity, ..draft(Vec::new()) }.check(&[]);
        assert!(ask(None, None).is_ok());
        assert_eq!(ask(Some(60), Some(10)).unwrap().timespan_minutes, Some(60));
        assert_eq!(ask(Some(60), None).unwrap_err(), DraftError::HalfCondition);
        assert_eq!(ask(None, Some(1)).unwrap_err(), DraftError::HalfCondition);
        assert_eq!(ask(Some(0), Some(1)).unwrap_err(), DraftError::Timespan);
        assert_eq!(ask(Some(i64::MAX), Some(1)).unwrap_err(), DraftError::Timespan);
        assert_eq!(ask(Some(1), Some(-1)).unwrap_err(), DraftError::Quantity);
    }

    #[test]
    fn names_are_one_line_and_addresses_are_there_once() {
        let name =
            |name: &str| AlertDraft { name: name.to_owned(), ..draft(Vec::new()) }.check(&[]).map(|new| new.name);
        assert_eq!(name(&"名".repeat(MAX_NAME)).unwrap().chars().count(), MAX_NAME);
        assert_eq!(name(&"名".repeat(MAX_NAME + 1)), Err(DraftError::NameTooLong));
        assert_eq!(name("a\r\nBcc: b"), Err(DraftError::NameUnprintable));
        let twice =
            vec![recipient(RecipientKind::Generic, "http://a/"), recipient(RecipientKind::Generic, " http://a/")];
        assert_eq!(draft(twice).check(&[]).unwrap_err(), DraftError::Recipient(1, RecipientFault::Repeated));
        let many = (0..=MAX_RECIPIENTS).map(|n| recipient(RecipientKind::Webhook, &format!("http://a/{n}"))).collect();
        assert_eq!(draft(many).check(&[]).unwrap_err(), DraftError::TooManyRecipients);
    }

    #[test]
    fn a_secret_stays_with_a_recipient_that_moves_but_not_with_another_kind() {
        let secret = Some(Secret::new("s3cret"));
        let stored = [Recipient {
            id: AlertRecipientId(7),
            kind: RecipientKind::Feishu,
            url: "https://open.feishu.cn/a".to_owned(),
            secret: secret.clone(),
        }];
        let moved = |kind, secret| {
            let one = RecipientDraft { id: Some(AlertRecipientId(7)), secret, ..recipient(kind, "http://b/") };
            draft(vec![one]).check(&stored).map(|new| new.recipients[0].secret.clone())
        };
        assert_eq!(moved(RecipientKind::Feishu, SecretDraft::Keep).unwrap(), secret);
        assert_eq!(moved(RecipientKind::Generic, SecretDraft::Keep).unwrap(), None);
        assert_eq!(moved(RecipientKind::Feishu, SecretDraft::Remove).unwrap(), Some(Secret::new("")));
        let set = |text: &str| SecretDraft::Set(Secret::new(text));
        assert_eq!(moved(RecipientKind::Generic, set("x")).unwrap(), Some(Secret::new("x")));
        let unused = DraftError::Recipient(0, RecipientFault::SecretUnused);
        assert_eq!(moved(RecipientKind::Webhook, set("x")).unwrap_err(), unused);
        let invalid = DraftError::Recipient(0, RecipientFault::SecretInvalid);
        assert_eq!(moved(RecipientKind::Generic, set(&"x".repeat(MAX_SECRET + 1))).unwrap_err(), invalid);
        assert_eq!(moved(RecipientKind::Generic, set("a\n")).unwrap_err(), invalid);
    }

    #[test]
    fn errors_name_the_field() {
        let text = DraftError::Recipient(2, RecipientFault::UrlMissing).to_string();
        assert!(text.starts_with("`alertRecipients[2].url` is missing"), "{text}");
    }

    #[test]
    fn a_masked_address_shows_where_it_leads_and_nothing_to_use() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0001/B0002/abcdefghijkl", "https://hooks.slack.com/…ijkl"),
            ("https://user:pass@chat.example.org:8443/hook", "https://chat.example.org:8443/…"),
            ("https://oapi.example.org/robot/send?access_token=0123456789", "https://oapi.example.org/…6789"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("", ""),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
