//! `/projects/{organization}/{project}/alerts/`: who is told of what, and whether it reaches them.

pub(super) mod change;
pub(super) mod edit;
mod fault;
mod form;
mod messages;
mod recipient;
mod why;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Html;
use chrono::Utc;
use maud::{Markup, html};
use serde::Deserialize;

use self::recipient::Deliveries;
use super::component::{badge, csrf_field};
use super::failure::Failure;
use super::layout::{self, Place};
use super::project_head::{ProjectView, Tab};
use super::text::Lang;
use super::viewer::Viewer;
use crate::app::App;
use crate::config::MailTransport;
use crate::ids::AlertRecipientId;
use crate::store::alert::{self, Alert, RecipientKind};
use crate::store::notice::delivery;

/// Most messages shown.
const MAX_MESSAGES: i64 = 20;

/// What was just done, for the page after a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    /// An alert was made or changed.
    Saved,
    /// An alert was removed.
    Deleted,
    /// An alert was switched on.
    On,
    /// An alert was switched off.
    Off,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    done: Option<Done>,
    /// The recipient that a test message was sent to.
    test: Option<AlertRecipientId>,
}

/// `GET /projects/{organization}/{project}/alerts/`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path((organization, project)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Html<String>, Failure> {
    let view = ProjectView::load(&app, &viewer, &organization, &project).await?;
    let alerts = alert::list(&app.db, view.project.id).await?;
    let deliveries = Deliveries::load(&app, &view).await?;
    let messages = delivery::log(&app.db, view.project.id, MAX_MESSAGES).await?;
    let (lang, now) = (viewer.lang(), Utc::now());
    let list = List { lang, view: &view, csrf: viewer.csrf(), deliveries: &deliveries };
    let mails = alerts.iter().any(|alert| {
        alert.is_enabled && alert.recipients.iter().any(|recipient| recipient.kind == RecipientKind::Email)
    });
    let body = html! {
        (view.head(lang, Tab::Alerts))
        @if let Some(done) = parameters.done { (done_note(lang, done)) }
        @if let Some(tested) = parameters.test { (recipient::test_note(lang, &alerts, tested, &deliveries)) }
        @if mails && !deliveries.can_mail { (no_mail(lang)) }
        div.bar {
            h2 { (lang.alerts()) }
            span.muted.opt { (lang.alerts_hint()) }
            @if view.may_change() { a.btn.primary.push href={ (view.path()) "alerts/new/" } { (lang.new_alert()) } }
        }
        @if !view.may_change() { p.note { (lang.only_admins_change()) } }
        @if alerts.is_empty() {
            div.card { div.empty { h2 { (lang.no_alerts()) } p { (lang.no_alerts_hint()) } } }
        }
        @for alert in &alerts { (list.card(alert)) }
        (messages::table(lang, now, &messages))
    };
    Ok(layout::page(&viewer.frame, Some(Place::Projects), lang.alerts(), &body))
}

fn done_note(lang: Lang, done: Done) -> Markup {
    let text = match done {
        Done::Saved => lang.alert_saved(),
        Done::Deleted => lang.alert_deleted(),
        Done::On => lang.alert_switched_on(),
        Done::Off => lang.alert_switched_off(),
    };
    html! { p.note.good role="status" { (text) } }
}

fn no_mail(lang: Lang) -> Markup {
    html! { p.note.warn { strong { (lang.no_mail()) } " " (lang.no_mail_hint()) } }
}

/// `EMAIL_URL` says where mail goes.
fn can_mail(app: &App) -> bool {
    app.config.mail != MailTransport::Nowhere
}

/// The way a recipient is told.
fn kind_name(lang: Lang, kind: RecipientKind) -> &'static str {
    match kind {
        RecipientKind::Email => lang.kind_email(),
        RecipientKind::Webhook => lang.kind_webhook(),
        RecipientKind::Feishu => lang.kind_feishu(),
        RecipientKind::DingTalk => lang.kind_dingtalk(),
        RecipientKind::WeCom => lang.kind_wecom(),
        RecipientKind::Discord => lang.kind_discord(),
        RecipientKind::Teams => lang.kind_teams(),
        RecipientKind::Telegram => lang.kind_telegram(),
        RecipientKind::Ntfy => lang.kind_ntfy(),
        RecipientKind::Generic => lang.kind_generic(),
    }
}

/// When an alert tells of an issue.
fn condition(lang: Lang, alert: &Alert) -> String {
    match (alert.quantity, alert.timespan_minutes) {
        (Some(quantity), Some(minutes)) => lang.when_many(quantity.into(), minutes),
        _ => lang.when_new().to_owned(),
    }
}

/// What every card of the list needs.
struct List<'a> {
    lang: Lang,
    view: &'a ProjectView,
    csrf: &'a str,
    deliveries: &'a Deliveries,
}

impl List<'_> {
    fn card(&self, alert: &Alert) -> Markup {
        let lang = self.lang;
        let path = format!("{}alerts/{}/", self.view.path(), alert.id);
        let condition = condition(lang, alert);
        html! {
            section.card.alert id={ "alert-" (alert.id) } {
                header {
                    h3 { @if alert.name.is_empty() { (lang.alerts()) " " (alert.id) } @else { (alert.name) } }
                    @if alert.is_enabled { (badge("resolved", lang.active())) }
                    @else { (badge("", lang.switched_off())) }
                    @if self.view.may_change() {
                        div.push.actions {
                            a.btn.small href=(path) { (lang.edit()) }
                            form method="post" action={ (path) "switch/" } {
                                (csrf_field(self.csrf))
                                @let (to, label) =
                                    if alert.is_enabled { ("off", lang.switch_off()) } else { ("on", lang.switch_on()) };
                                button.btn.small type="submit" name="to" value=(to) { (label) }
                            }
                        }
                    }
                }
                p.condition { (condition) }
                @if alert.recipients.is_empty() { p.condition.muted { (lang.nobody_told()) } }
                @else {
                    ul.recipients {
                        @for one in &alert.recipients {
                            li {
                                (recipient::show(lang, one, self.deliveries))
                                @if self.view.may_change() {
                                    form method="post" action={ (path) "test/" } {
                                        (csrf_field(self.csrf))
                                        button.btn.small type="submit" name="recipient" value=(one.id)
                                            disabled[one.kind == RecipientKind::Email && !self.deliveries.can_mail] {
                                            (lang.test())
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
