//! The form of an alert: what is filled in, what it asks for, and how it is shown.
//!
//! Webhooks are rows with numbered fields. "Add" and "Remove" send the form and show it again with a row more or
//! less, nothing stored, so that it needs no script.

use glitchbox_notify::Kind;
use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::form::Fields;
use super::super::text::Lang;
use super::fault::{Fault, Mistake};
use crate::config::Secret;
use crate::ids::AlertRecipientId;
use crate::store::alert::{Alert, MAX_RECIPIENTS, RecipientKind};
use crate::store::alert_draft::{
    AlertDraft, DraftError, MAX_NAME, MAX_SECRET, QUANTITY, RecipientDraft, SecretDraft, TIMESPAN,
};

/// The kinds that a row may have: those that go by HTTP.
fn row_kinds() -> impl Iterator<Item = (RecipientKind, Kind)> {
    RecipientKind::ALL.into_iter().filter_map(|kind| kind.service().map(|service| (kind, service)))
}

/// What is filled in.
#[derive(Debug, Default)]
pub(super) struct AlertForm {
    name: String,
    is_enabled: bool,
    is_many: bool,
    quantity: String,
    minutes: String,
    mail: bool,
    rows: Vec<Row>,
}

/// A webhook.
#[derive(Debug)]
struct Row {
    id: Option<AlertRecipientId>,
    kind: RecipientKind,
    url: String,
    /// Typed, and not stored yet.
    secret: String,
    has_secret: bool,
    forgets_secret: bool,
}

impl Row {
    fn empty() -> Self {
        let kind = RecipientKind::Webhook;
        Self { id: None, kind, url: String::new(), secret: String::new(), has_secret: false, forgets_secret: false }
    }
}

/// Which button was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    Save,
    Add,
    /// The row at this place.
    Remove(usize),
}

impl Pressed {
    /// By the form's field `do`.
    pub(super) fn read(fields: &Fields) -> Self {
        match fields.get("do") {
            "add" => Self::Add,
            other => match other.strip_prefix("remove-").and_then(|place| place.parse().ok()) {
                Some(place) => Self::Remove(place),
                None => Self::Save,
            },
        }
    }
}

impl AlertForm {
    /// For a new alert: mail for new issues, and room for a webhook.
    pub(super) fn empty() -> Self {
        let (quantity, minutes) = ("100".to_owned(), "60".to_owned());
        Self { is_enabled: true, mail: true, rows: vec![Row::empty()], quantity, minutes, ..Self::default() }
    }

    /// As stored.
    pub(super) fn of(alert: &Alert) -> Self {
        let rows = alert.recipients.iter().filter(|one| one.kind != RecipientKind::Email).map(|one| Row {
            id: Some(one.id),
            kind: one.kind,
            url: one.url.clone(),
            secret: String::new(),
            has_secret: one.secret.is_some(),
            forgets_secret: false,
        });
        let number = |number: Option<i32>, default: String| number.map_or(default, |number| number.to_string());
        let empty = Self::empty();
        Self {
            name: alert.name.clone(),
            is_enabled: alert.is_enabled,
            is_many: alert.quantity.is_some(),
            quantity: number(alert.quantity, empty.quantity),
            minutes: number(alert.timespan_minutes, empty.minutes),
            mail: alert.recipients.iter().any(|one| one.kind == RecipientKind::Email),
            rows: rows.collect(),
        }
    }

    /// As sent; `stored` is the alert as it is, none for a new one. A kind that no page offers makes no sense.
    pub(super) fn read(fields: &Fields, stored: Option<&Alert>) -> Result<Self, Failure> {
        let row = |place: usize| {
            let field = |name: &str| fields.get(&format!("{name}-{place}")).to_owned();
            let kind = RecipientKind::from_name(&field("kind")).filter(|kind| kind.service().is_some())?;
            let id = field("id").parse().ok().map(AlertRecipientId);
            let before = stored.and_then(|alert| alert.recipients.iter().find(|one| Some(one.id) == id));
            Some(Row {
                id,
                kind,
                url: field("url").trim().to_owned(),
                secret: field("secret").trim().to_owned(),
                has_secret: before.is_some_and(|one| one.secret.is_some()),
                forgets_secret: !field("forget").is_empty(),
            })
        };
        let is_there = |place: &usize| !fields.get(&format!("kind-{place}")).is_empty();
        let rows = (0..MAX_RECIPIENTS).take_while(is_there).map(row).collect::<Option<Vec<_>>>();
        Ok(Self {
            name: fields.get("name").trim().to_owned(),
            is_enabled: stored.is_none_or(|alert| alert.is_enabled),
            is_many: fields.get("when") == "many",
            quantity: fields.get("quantity").trim().to_owned(),
            minutes: fields.get("minutes").trim().to_owned(),
            mail: !fields.get("mail").is_empty(),
            rows: rows.ok_or(Failure::BadRequest)?,
        })
    }

    /// Shows one more row, or one less.
    pub(super) fn press(&mut self, pressed: Pressed) {
        match pressed {
            Pressed::Add if self.rows.len() < MAX_RECIPIENTS => self.rows.push(Row::empty()),
            Pressed::Remove(place) if place < self.rows.len() => {
                self.rows.remove(place);
            }
            _ => {}
        }
    }

    /// What it asks for, and the row that each recipient stands in (none for mail). Empty rows count for nothing.
    pub(super) fn draft(&self) -> Result<(AlertDraft, Vec<Option<usize>>), DraftError> {
        let number = |text: &str, error| text.parse::<i64>().map(Some).map_err(|_| error);
        let mut recipients = Vec::new();
        let mut places = Vec::new();
        if self.mail {
            let (kind, secret) = (RecipientKind::Email, SecretDraft::Keep);
            recipients.push(RecipientDraft { id: None, kind, url: String::new(), secret });
            places.push(None);
        }
        for (place, row) in self.rows.iter().enumerate() {
            if row.url.is_empty() && row.secret.is_empty() {
                continue;
            }
            // The field is not to be seen for a kind without signatures; what is left in it is not meant.
            let secret = if row.secret.is_empty() || !row.kind.has_secret() {
                if row.forgets_secret { SecretDraft::Remove } else { SecretDraft::Keep }
            } else {
                SecretDraft::Set(Secret::new(row.secret.as_str()))
            };
            recipients.push(RecipientDraft { id: row.id, kind: row.kind, url: row.url.clone(), secret });
            places.push(Some(place));
        }
        let draft = AlertDraft {
            name: self.name.clone(),
            is_enabled: self.is_enabled,
            timespan_minutes: if self.is_many { number(&self.minutes, DraftError::Timespan)? } else { None },
            quantity: if self.is_many { number(&self.quantity, DraftError::Quantity)? } else { None },
            recipients,
        };
        Ok((draft, places))
    }
}

/// What the form's page knows besides.
pub(super) struct Around<'a> {
    pub(super) lang: Lang,
    pub(super) csrf: &'a str,
    pub(super) organization: &'a str,
    /// Where "Cancel" leads.
    pub(super) back: &'a str,
    /// Below the box for mail: who gets it, or why nobody does.
    pub(super) mail_note: &'a Markup,
}

/// The form; sent to the page's own address.
pub(super) fn form(form: &AlertForm, around: &Around<'_>, mistake: Option<&Mistake>) -> Markup {
    let lang = around.lang;
    let says = |fault: Fault| mistake.filter(|mistake| mistake.at == fault).map(|mistake| mistake.text.as_str());
    html! {
        form.card.alert-form method="post" {
            (super::super::component::csrf_field(around.csrf))
            // Enter in a field presses the first button of a form.
            button.sr type="submit" name="do" value="save" tabindex="-1" aria-hidden="true" { (lang.save()) }
            @if mistake.is_some() { p.note.bad role="alert" { (lang.form_has_a_mistake()) } }
            @if let Some(text) = says(Fault::Whole) { (problem(text)) }
            div.field {
                label for="name" { (lang.name()) }
                input #name type="text" name="name" value=(form.name) maxlength=(MAX_NAME) autocomplete="off";
                @match says(Fault::Name) {
                    Some(text) => (problem(text)),
                    None => span.hint { (lang.alert_name_hint()) },
                }
            }
            fieldset {
                legend { (lang.when()) }
                label.choice {
                    input type="radio" name="when" value="new" checked[!form.is_many];
                    span { (lang.when_new()) }
                }
                label.choice {
                    input type="radio" name="when" value="many" checked[form.is_many];
                    span { (lang.when_many_choice()) }
                }
                div.pair.of-many {
                    (number(lang.at_least_events(), "quantity", &form.quantity, &QUANTITY))
                    (number(lang.within_minutes(), "minutes", &form.minutes, &TIMESPAN))
                }
                @if let Some(text) = says(Fault::Condition) { (problem(text)) }
            }
            fieldset {
                legend { (lang.who()) }
                label.choice {
                    input type="checkbox" name="mail" value="on" checked[form.mail];
                    span { (lang.mail_members(around.organization)) }
                }
                div.under { (around.mail_note) }
            }
            fieldset {
                legend { (lang.webhooks()) }
                p.hint { (lang.webhooks_hint()) }
                @for (place, row) in form.rows.iter().enumerate() {
                    (webhook(lang, place, row, says(Fault::Row(place))))
                }
                button.btn.small type="submit" name="do" value="add" disabled[form.rows.len() >= MAX_RECIPIENTS] {
                    (lang.add_webhook())
                }
            }
            div.ends {
                button.btn.primary type="submit" name="do" value="save" { (lang.save()) }
                a.btn href=(around.back) { (lang.cancel()) }
            }
        }
    }
}

fn number(label: &str, name: &str, value: &str, range: &std::ops::RangeInclusive<i64>) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input type="number" id=(name) name=(name) value=(value) min=(range.start()) max=(range.end());
        }
    }
}

fn webhook(lang: Lang, place: usize, row: &Row, mistake: Option<&str>) -> Markup {
    let field = |name: &str| format!("{name}-{place}");
    html! {
        div.hook role="group" aria-label={ (lang.webhooks()) " " (place + 1) } {
            @if let Some(id) = row.id { input type="hidden" name=(field("id")) value=(id); }
            div.field {
                label for=(field("kind")) { (lang.kind()) }
                select id=(field("kind")) name=(field("kind")) {
                    @for (kind, service) in row_kinds() {
                        option value=(kind.as_str()) selected[kind == row.kind] data-hosts=(hosts(service))
                            data-example=(service.example()) data-unsigned[!kind.has_secret()] {
                            (super::kind_name(lang, kind))
                        }
                    }
                }
            }
            div.field.url {
                label for=(field("url")) { (lang.address()) }
                // A text, since a browser's own check of addresses would speak before ours.
                input type="text" inputmode="url" id=(field("url")) name=(field("url")) value=(row.url)
                    placeholder=(row.kind.service().map_or("", Kind::example)) autocomplete="off" spellcheck="false"
                    aria-invalid=[mistake.map(|_| "true")];
            }
            div.field.secret {
                label for=(field("secret")) {
                    span.of-key { (lang.signing_secret()) }
                    span.of-token { (lang.access_token()) }
                }
                // Not a password field: browsers would offer to keep it as that of the account.
                input.concealed type="text" id=(field("secret")) name=(field("secret")) value=(row.secret)
                    maxlength=(MAX_SECRET) autocomplete="off" spellcheck="false"
                    placeholder=(if row.has_secret { lang.secret_kept() } else { lang.secret_optional() });
                @if row.has_secret {
                    label.choice.small {
                        input type="checkbox" name=(field("forget")) value="on" checked[row.forgets_secret];
                        span { (lang.remove_secret()) }
                    }
                }
            }
            @if let Some(text) = mistake { (problem(text)) }
            button.btn.small.remove type="submit" name="do" value={ "remove-" (place) } { (lang.remove_webhook()) }
        }
    }
}

/// The hosts by which the script knows the service of an address, blanks between them.
fn hosts(service: Kind) -> String {
    let lark = if service == Kind::Feishu { Kind::Lark.hosts() } else { &[] };
    [service.hosts(), lark].concat().join(" ")
}

fn problem(text: &str) -> Markup {
    html! { p.problem role="alert" { (text) } }
}
