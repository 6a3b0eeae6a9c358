//! The latest messages of a project: to whom, about which issue, and whether they arrived.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::component::{badge, time};
use super::super::text::Lang;
use super::kind_name;
use super::why::why;
use crate::store::alert::RecipientKind;
use crate::store::alert_draft::masked;
use crate::store::notice::Reason;
use crate::store::notice::delivery::{LogRow, State};

/// The table, newest first.
pub(super) fn table(lang: Lang, now: DateTime<Utc>, rows: &[LogRow]) -> Markup {
    html! {
        section.card.messages {
            header { h2 { (lang.recent_messages()) } span.muted { (lang.recent_messages_hint()) } }
            @if rows.is_empty() { p.pad.muted { (lang.no_messages()) } }
            @else {
                table.list {
                    thead { tr {
                        th { (lang.time()) }
                        th { (lang.issue()) }
                        th.opt { (lang.recipient()) }
                        th { (lang.state()) }
                    } }
                    tbody {
                        @for row in rows {
                            tr {
                                td.muted { (time::relative(lang, now, row.settled_at.unwrap_or(row.created_at))) }
                                td.what {
                                    a.title href={ "/issues/" (row.issue_id) "/" } title=(row.title) { (row.title) }
                                    " " span.muted { (reason(lang, row.reason)) }
                                }
                                td.opt.muted { (kind_name(lang, row.kind)) " " code { (destination(row)) } }
                                td { (state(lang, row)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn destination(row: &LogRow) -> String {
    if row.kind == RecipientKind::Email { row.destination.clone() } else { masked(&row.destination) }
}

fn reason(lang: Lang, reason: Reason) -> &'static str {
    match reason {
        Reason::New => lang.reason_new(),
        Reason::Regressed => lang.reason_regressed(),
        Reason::Frequency => lang.reason_frequency(),
    }
}

fn state(lang: Lang, row: &LogRow) -> Markup {
    let (class, text) = match row.state {
        State::Waiting => ("", lang.message_waiting()),
        State::Sent if row.is_digest => ("resolved", lang.message_in_digest()),
        State::Sent => ("resolved", lang.message_sent()),
        State::Failed => ("unhandled", lang.message_failed()),
        State::Dropped => ("", lang.message_dropped()),
    };
    html! {
        (badge(class, text))
        @if let Some(error) = row.error.as_ref().filter(|_| row.state != State::Sent) { div.why { (why(lang, error)) } }
    }
}
