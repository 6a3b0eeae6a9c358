//! The side column: events over time, and what the issue's events have in common.

use maud::{Markup, html};

use super::IssuePage;
use crate::store::issue_tags::TagKey;
use crate::web::component::{chart, value};
use crate::web::text::{Lang, grouped};

/// Trend and tags.
pub(super) fn show(page: &IssuePage<'_>) -> Markup {
    let lang = page.lang();
    let counts = |series: &[(i64, i64)]| series.iter().map(|(_, count)| *count).collect::<Vec<i64>>();
    let (day, fortnight) = (counts(page.hourly), counts(page.daily));
    html! {
        section.card {
            header { h2 { (lang.last_24_hours()) } span.push.muted { (lang.events(day.iter().sum())) } }
            div.pad { (chart::bars(lang, "chart", &day)) }
        }
        section.card {
            header { h2 { (lang.last_14_days()) } span.push.muted { (lang.events(fortnight.iter().sum())) } }
            div.pad {
                (chart::bars(lang, "chart", &fortnight))
                div.chart-x { span { (lang.days_ago(13)) } span { (lang.today()) } }
            }
        }
        section.card #tags {
            header { h2 { (lang.tags()) } }
            div.pad {
                @if page.tags.is_empty() { p.muted { (lang.no_tags()) } }
                @for tag in page.tags.iter().filter(|tag| tag.unique_values > 1) { (one(lang, tag)) }
                (always_the_same(page.tags))
            }
        }
        (super::parts::show(page))
    }
}

/// Tags that have the same value on every event need no bars.
fn always_the_same(tags: &[TagKey]) -> Markup {
    let single = tags.iter().filter(|tag| tag.unique_values == 1).filter_map(|tag| {
        let value = tag.values.first()?;
        Some((tag.key.as_str(), value.value.as_str()))
    });
    html! { (value::text_table(single)) }
}

fn one(lang: Lang, tag: &TagKey) -> Markup {
    let shown = i64::try_from(tag.values.len()).unwrap_or(i64::MAX);
    html! {
        div.tag {
            h3 { (tag.key) }
            ul {
                @for value in &tag.values {
                    li {
                        span title=(value.value) { (value.value) }
                        span.pct title=(lang.events(value.times_seen)) { (percent(value.times_seen, tag.total)) }
                        (chart::share(value.times_seen, tag.total))
                    }
                }
            }
            @if tag.unique_values > shown { p.muted { (lang.other_values(tag.unique_values - shown)) } }
        }
    }
}

fn percent(part: i64, whole: i64) -> String {
    match chart::percent(part, whole) {
        0 if part > 0 => "<1%".to_owned(),
        share => format!("{}%", grouped(share)),
    }
}
