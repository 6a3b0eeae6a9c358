//! The page's numbers in tables.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::View;
use super::chart::name;
use super::figures::{Cause, Figures, Summary};
use crate::protocol::Filter;
use crate::store::outcome::Outcome;
use crate::store::rejected_item::RejectedItem;
use crate::web::component::time;
use crate::web::filters;
use crate::web::text::{Lang, grouped};

/// The sums of the period; beside what the ledger has open, what the queue holds at this moment if that is told.
pub(super) fn facts(lang: Lang, total: &Figures, waiting: Option<u64>) -> Markup {
    let waiting = waiting.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    html! {
        dl.facts.ledger-facts {
            @for (label, count, hint) in columns(lang, total) {
                div {
                    dt { (label) }
                    dd {
                        (grouped(count))
                        @if let Some(count) = waiting.filter(|_| hint) { " " small { (lang.in_queue_now(grouped(count))) } }
                    }
                }
            }
        }
    }
}

/// A line for each project that has had anything in the period.
pub(super) fn by_project(lang: Lang, view: &View<'_>, summary: &Summary) -> Markup {
    html! {
        section.card {
            header { h2 { (lang.projects()) } }
            @if summary.by_project.is_empty() { p.pad.muted { (lang.nothing_sent_in_period()) } }
            @else {
                div.wide { table.list.ledger {
                    (head(lang, lang.project()))
                    tbody {
                        @for (id, figures) in &summary.by_project {
                            tr {
                                td { a href=(view.with_project(Some(*id))) { (view.project_name(*id)) } }
                                (cells(lang, figures))
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// A line for each category; what is not settled yet is not told apart by it.
pub(super) fn by_category(lang: Lang, summary: &Summary) -> Markup {
    html! {
        @if !summary.by_category.is_empty() {
            section.card {
                header { h2 { (lang.categories()) } span.muted { (lang.categories_hint()) } }
                div.wide { table.list.ledger {
                    thead { tr {
                        th { (lang.category()) }
                        @for (label, _) in settled(lang, &Figures::default()) { th.num { (label) } }
                    } }
                    tbody {
                        @for (category, figures) in &summary.by_category {
                            tr {
                                td { code { (category) } }
                                @for (_, count) in settled(lang, figures) { (cell(count)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Why items were not stored: a list for each outcome that has any.
pub(super) fn reasons(lang: Lang, summary: &Summary) -> Markup {
    let shown = [Outcome::Filtered, Outcome::Rejected, Outcome::RateLimited, Outcome::Discarded];
    html! {
        div.reasons {
            @for (outcome, causes) in shown.into_iter().filter_map(|one| Some((one, summary.reasons(one)?))) {
                section.card {
                    header { h2 { (name(lang, outcome)) } span.muted { (hint(lang, outcome)) } }
                    table.list {
                        thead { tr { th { (lang.reason()) } th { (lang.category()) } th.num { (lang.quantity()) } } }
                        tbody {
                            @for Cause { category, reason, quantity } in &causes.top {
                                tr {
                                    td { (reason_cell(lang, reason)) }
                                    td { code { (category) } }
                                    td.num { (grouped(*quantity)) }
                                }
                            }
                            @if causes.others > 0 {
                                tr {
                                    td.muted colspan="2" { (lang.other_reasons(causes.others)) }
                                    td.num { (grouped(causes.others_quantity)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A reason by its name in the ledger; that of a filter for people, too.
fn reason_cell(lang: Lang, reason: &str) -> Markup {
    html! {
        @match Filter::ALL.iter().find(|filter| filter.id() == reason) {
            Some(filter) => { (filters::name(lang, *filter)) br; code.muted { (reason) } }
            None => code { @if reason.is_empty() { "–" } @else { (reason) } },
        }
    }
}

/// The items that were rejected last, whatever the period.
pub(super) fn rejected(lang: Lang, now: DateTime<Utc>, view: &View<'_>, items: &[RejectedItem]) -> Markup {
    html! {
        section.card #rejected {
            header { h2 { (lang.rejected_items()) } span.muted { (lang.rejected_items_hint()) } }
            @if items.is_empty() { p.pad.muted { (lang.no_rejected_items()) } }
            @else {
                div.wide { table.list.rejected {
                    thead { tr {
                        th { (lang.time()) }
                        th { (lang.project()) }
                        th { (lang.event()) }
                        th { (lang.reason()) }
                        th { (lang.details()) }
                    } }
                    tbody {
                        @for item in items {
                            tr {
                                td.muted { (time::relative(lang, now, item.received_at)) }
                                td { (view.project_name(item.project_id)) }
                                td { code { (item.event_id) } }
                                td { code { (item.reason) } br; span.muted { (item.category) } }
                                td.detail { (item.detail) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Every figure with its name; the third says that the live queue stands beside it.
fn columns(lang: Lang, figures: &Figures) -> [(&'static str, i64, bool); 7] {
    [
        (lang.ledger_accepted(), figures.accepted, false),
        (lang.ledger_stored(), figures.stored, false),
        (lang.ledger_filtered(), figures.filtered, false),
        (lang.ledger_rejected(), figures.rejected, false),
        (lang.ledger_queued(), figures.queued, true),
        (lang.ledger_rate_limited(), figures.rate_limited, false),
        (lang.ledger_discarded(), figures.discarded, false),
    ]
}

/// The figures that are known by category.
fn settled(lang: Lang, figures: &Figures) -> [(&'static str, i64); 6] {
    [
        (lang.ledger_accepted(), figures.accepted),
        (lang.ledger_stored(), figures.stored),
        (lang.ledger_filtered(), figures.filtered),
        (lang.ledger_rejected(), figures.rejected),
        (lang.ledger_rate_limited(), figures.rate_limited),
        (lang.ledger_discarded(), figures.discarded),
    ]
}

fn head(lang: Lang, first: &str) -> Markup {
    html! {
        thead { tr {
            th { (first) }
            @for (label, ..) in columns(lang, &Figures::default()) { th.num { (label) } }
        } }
    }
}

fn cells(lang: Lang, figures: &Figures) -> Markup {
    html! { @for (_, count, _) in columns(lang, figures) { (cell(count)) } }
}

/// Nothing is quieter than something.
fn cell(count: i64) -> Markup {
    html! { td.num.none[count == 0] { (grouped(count)) } }
}

fn hint(lang: Lang, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Filtered => lang.filtered_hint(),
        Outcome::RateLimited => lang.rate_limited_hint(),
        Outcome::Discarded => lang.discarded_hint(),
        Outcome::Rejected | Outcome::Accepted | Outcome::Stored => lang.rejected_hint(),
    }
}
