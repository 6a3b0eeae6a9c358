//! One issue in the list.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde_json::Value;

use crate::store::issue_search::IssueRow;
use crate::store::issue_status::IssueStatus;
use crate::web::component::{badge, chart, time};
use crate::web::text::{Lang, grouped};

/// An issue is called new for this long.
const NEW_HOURS: i64 = 24;

/// The row; on a small screen the same cells become a card.
pub(super) fn show(
    lang: Lang,
    now: DateTime<Utc>,
    names_project: bool,
    issue: &IssueRow,
    hourly: &[(i64, i64)],
) -> Markup {
    let (kind, rest) = headline(issue);
    let counts: Vec<i64> = hourly.iter().map(|(_, count)| *count).collect();
    html! {
        tr class={ "lv lv-" (issue.level.as_str()) } {
            td.pick {
                input type="checkbox" name="issue" value=(issue.id) aria-label=(lang.select_issue(issue.short_name()));
            }
            td.what {
                a.line.title href={ "/issues/" (issue.id) "/" } title=(issue.title) {
                    b { (kind) } @if let Some(rest) = rest { " " span { (rest) } }
                }
                div.line.meta {
                    (badges(lang, now, issue))
                    span.sr { (issue.level.as_str()) " " }
                    (issue.short_name())
                    @if names_project { " · " (issue.project_name) }
                    @if !issue.culprit.is_empty() { " · " code { (issue.culprit) } }
                }
            }
            td.trend { (chart::bars(lang, "spark", &counts)) }
            td.num data-long=(lang.events(issue.event_count)) { span { (grouped(issue.event_count)) } }
            td.num data-long=(lang.users(issue.user_count)) { span { (grouped(issue.user_count)) } }
            td.when { (time::relative(lang, now, issue.last_seen)) }
            td.when.first { (time::relative(lang, now, issue.first_seen)) }
        }
    }
}

/// What a reader should know before opening: new, reopened, unhandled, and the status when not open.
pub(crate) fn badges(lang: Lang, now: DateTime<Utc>, issue: &IssueRow) -> Markup {
    html! {
        @match issue.status {
            IssueStatus::Resolved => (badge("resolved", lang.resolved())),
            IssueStatus::Ignored => (badge("", lang.ignored())),
            IssueStatus::Unresolved => {
                @if issue.is_regressed { (badge("regressed", lang.regressed())) }
                @else if now - issue.first_seen < TimeDelta::hours(NEW_HOURS) { (badge("new", lang.new_issue())) }
            }
        }
        @if issue.is_unhandled { (badge("unhandled", lang.unhandled())) }
    }
}

/// Type and value of an exception, or the title alone.
pub(crate) fn headline(issue: &IssueRow) -> (&str, Option<&str>) {
    parts(&issue.title, &issue.metadata)
}

fn parts<'a>(title: &'a str, metadata: &'a Value) -> (&'a str, Option<&'a str>) {
    let text = |key| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let value = || text("value").and_then(|value| value.lines().next());
    if let Some(kind) = text("type") {
        return (kind, value());
    }
    // A crash is titled by its function; what kind of crash it was stands beside it.
    let is_function = text("function").is_some_and(|function| function.starts_with(title.trim_end_matches('…')));
    (title, value().filter(|_| is_function))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_headline_says_what_happened_once() {
        for (title, metadata, wanted) in [
            ("E: no", json!({"type": "E", "value": "no\nmore", "function": "f"}), ("E", Some("no"))),
            ("E", json!({"type": "E", "value": ""}), ("E", None)),
            ("mix(int)", json!({"value": "Segfault", "function": "mix(int)"}), ("mix(int)", Some("Segfault"))),
            ("mi…", json!({"value": "Segfault", "function": "mix(int)"}), ("mi…", Some("Segfault"))),
            ("Segfault", json!({"value": "Segfault", "function": "mix(int)"}), ("Segfault", None)),
            ("hello", json!({"title": "hello"}), ("hello", None)),
        ] {
            assert_eq!(parts(title, &metadata), wanted, "{title} {metadata}");
        }
    }
}
