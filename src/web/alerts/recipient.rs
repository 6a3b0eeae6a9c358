//! A recipient in the list: who it is, and how sending to it goes.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::super::component::time;
use super::super::failure::Failure;
use super::super::project_head::ProjectView;
use super::super::text::Lang;
use super::why::why;
use super::{can_mail, kind_name};
use crate::app::App;
use crate::ids::AlertRecipientId;
use crate::store::alert::{Alert, Recipient, RecipientKind};
use crate::store::alert_delivery::{self, Channel};
use crate::store::alert_draft::masked;
use crate::store::alert_test::{self, AlertTest};

/// Most members whose addresses are shown.
const MAX_MEMBERS: i64 = 200;

/// A test message that waits longer than this is not just slow: a webhook has 10 seconds, a mail server 20.
const PATIENCE: TimeDelta = TimeDelta::seconds(30);

/// What is known of sending for a project.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// `EMAIL_URL` is set.
    pub(super) can_mail: bool,
    /// The members' addresses.
    pub(super) members: Vec<String>,
    channels: Vec<Channel>,
    tests: HashMap<AlertRecipientId, AlertTest>,
}

impl Deliveries {
    /// Reads it all.
    pub(super) async fn load(app: &App, view: &ProjectView) -> Result<Self, Failure> {
        let tests = alert_test::list(&app.db, view.project.id).await?;
        Ok(Self {
            can_mail: can_mail(app),
            members: members(app, view).await?,
            channels: alert_delivery::channels(&app.db, view.project.id).await?,
            tests: tests.into_iter().map(|test| (test.recipient_id, test)).collect(),
        })
    }

    /// The channels that a recipient stands for: its address, or those of all members.
    fn of<'a>(&'a self, recipient: &'a Recipient) -> impl Iterator<Item = &'a Channel> {
        self.channels.iter().filter(move |channel| {
            channel.kind == recipient.kind
                && (recipient.kind == RecipientKind::Email || channel.destination == recipient.url)
        })
    }
}

/// The addresses that mail for the project goes to.
pub(super) async fn members(app: &App, view: &ProjectView) -> Result<Vec<String>, Failure> {
    Ok(alert_delivery::addressees(&app.db, view.organization.id, MAX_MEMBERS).await?)
}

/// How sending to a recipient went last.
enum State<'a> {
    Nothing,
    Delivered(DateTime<Utc>),
    Failed(DateTime<Utc>, &'a str),
    TestDelivered(DateTime<Utc>),
    TestFailed(DateTime<Utc>, &'a str),
}

impl State<'_> {
    fn at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Nothing => None,
            Self::Delivered(at) | Self::Failed(at, _) | Self::TestDelivered(at) | Self::TestFailed(at, _) => Some(*at),
        }
    }
}

fn state<'a>(recipient: &'a Recipient, deliveries: &'a Deliveries) -> State<'a> {
    let mut latest = State::Nothing;
    let mut consider = |state: State<'a>| {
        if state.at() >= latest.at() {
            latest = state;
        }
    };
    for channel in deliveries.of(recipient) {
        if let Some(at) = channel.sent_at {
            consider(State::Delivered(at));
        }
        if let (Some(at), Some(error)) = (channel.failed_at, &channel.error) {
            consider(State::Failed(at, error));
        }
    }
    if let Some(AlertTest { settled_at: Some(at), error, .. }) = deliveries.tests.get(&recipient.id) {
        consider(error.as_deref().map_or(State::TestDelivered(*at), |error| State::TestFailed(*at, error)));
    }
    latest
}

/// Kind, address and state.
pub(super) fn show(lang: Lang, recipient: &Recipient, deliveries: &Deliveries) -> Markup {
    let now = Utc::now();
    let waiting: i64 = deliveries.of(recipient).map(|channel| channel.waiting).sum();
    let (class, text, error) = match state(recipient, deliveries) {
        State::Nothing => ("", lang.nothing_sent(), None),
        State::Delivered(_) => ("good", lang.delivered(), None),
        State::Failed(_, error) => ("bad", lang.delivery_failed(), Some(error)),
        State::TestDelivered(_) => ("good", lang.test_delivered(), None),
        State::TestFailed(_, error) => ("bad", lang.test_failed(), Some(error)),
    };
    html! {
        div.who {
            strong { (kind_name(lang, recipient.kind)) }
            @if recipient.kind == RecipientKind::Email { (mail_members(lang, &deliveries.members)) }
            @else { code { (masked(&recipient.url)) } }
            @if recipient.secret.is_some() {
                span.badge { (if recipient.kind == RecipientKind::Ntfy { lang.has_token() } else { lang.is_signed() }) }
            }
        }
        div.state {
            span class={ "dot " (class) } {}
            (text)
            @if let Some(at) = state(recipient, deliveries).at() { " " (time::relative(lang, now, at)) }
            @if waiting > 0 { " · " (lang.deliveries_wait(waiting)) }
            @if let Some(error) = error { span.why { (why(lang, error)) } }
        }
    }
}

/// How many members get mail; opens to their addresses.
pub(super) fn mail_members(lang: Lang, members: &[String]) -> Markup {
    let count = i64::try_from(members.len()).unwrap_or(i64::MAX);
    html! {
        details.fold {
            summary { (lang.members(count)) }
            ul { @for address in members { li { (address) } } }
        }
    }
}

/// What became of the test message just asked for.
pub(super) fn test_note(lang: Lang, alerts: &[Alert], tested: AlertRecipientId, deliveries: &Deliveries) -> Markup {
    let recipient = alerts.iter().flat_map(|alert| &alert.recipients).find(|one| one.id == tested);
    let (Some(recipient), Some(test)) = (recipient, deliveries.tests.get(&tested)) else { return html! {} };
    let to = match recipient.kind {
        RecipientKind::Email => lang.kind_email().to_owned(),
        _ => masked(&recipient.url),
    };
    html! {
        @match (test.settled_at, &test.error) {
            (None, _) if Utc::now() - test.requested_at > PATIENCE => p.note.warn role="status" { (lang.test_stuck(to)) },
            // The script looks again every few seconds and shows the page anew once it is settled.
            (None, _) => p.note.waiting data-waiting role="status" { span.pulse {} span { (lang.test_waits(to)) } },
            (Some(_), None) => p.note.good role="status" { (lang.test_sent_to(to)) },
            (Some(_), Some(error)) => p.note.bad role="alert" { (lang.test_failed_to(to)) " " (why(lang, error)) },
        }
    }
}
