//! What happened before the event, the latest step first, each with its distance in time.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::header::level_name;
use super::section;
use crate::protocol::Level;
use crate::protocol::event::{Breadcrumb, Event};
use crate::web::component::{time, value};
use crate::web::text::Lang;

/// Steps shown at once; older ones are folded away.
const SHOWN: usize = 20;

/// The list; the event itself stands at its top.
pub(super) fn show(lang: Lang, event: &Event) -> Markup {
    let crumbs: Vec<&Breadcrumb> = event.breadcrumbs.values.iter().rev().collect();
    let (recent, older) = crumbs.split_at_checked(SHOWN).unwrap_or((&crumbs, &[]));
    let content = html! {
        ol.crumblist {
            li class={ "self lv lv-" (event.level.as_str()) } {
                span.when { (time::offset(chrono::TimeDelta::zero())) }
                span.cat { (lang.this_event()) small.muted { " " (level_name(lang, event.level)) } }
                div.body { div.msg { (event.title) } }
            }
            @for crumb in recent { (step(lang, event.timestamp, crumb)) }
        }
        @if !older.is_empty() {
            details.fold.edge {
                summary { (lang.more_breadcrumbs(i64::try_from(older.len()).unwrap_or(i64::MAX))) }
                ol.crumblist { @for crumb in older { (step(lang, event.timestamp, crumb)) } }
            }
        }
    };
    html! {
        @if !crumbs.is_empty() {
            (section("breadcrumbs", lang.breadcrumbs(), Some(lang.breadcrumbs_hint()), &content))
        }
    }
}

fn step(lang: Lang, event_time: DateTime<Utc>, crumb: &Breadcrumb) -> Markup {
    let category = crumb.category.as_deref().unwrap_or(&crumb.kind);
    let is_plain = matches!(crumb.level, Level::Info | Level::Debug);
    html! {
        li class={ "lv lv-" (crumb.level.as_str()) } {
            span.when {
                @if let Some(at) = crumb.timestamp {
                    time datetime=(at.to_rfc3339()) title=(at.format("%Y-%m-%d %H:%M:%S%.3f UTC")) {
                        (time::offset(at - event_time))
                    }
                }
            }
            span.cat {
                (category)
                @if !is_plain { small.lv-name { " " (level_name(lang, crumb.level)) } }
                @else if crumb.kind != "default" && crumb.kind != category { small.muted { " " (crumb.kind) } }
            }
            div.body {
                @if let Some(message) = &crumb.message { div.msg { (message) } }
                @let summary = http_summary(crumb);
                @if let Some(summary) = &summary { div.msg { (summary) } }
                @let is_said = |key: &str| summary.is_some() && IN_SUMMARY.contains(&key);
                (value::table(lang, crumb.data.iter().filter(|(key, _)| !is_said(key))))
            }
        }
    }
}

/// What the summary of a request says already, and the SDK's own bookkeeping.
const IN_SUMMARY: [&str; 7] =
    ["method", "http.method", "http.request.method", "url", "status_code", "http.response.status_code", "__span"];

/// `GET https://… 200`: what a request's data says in one line.
fn http_summary(crumb: &Breadcrumb) -> Option<String> {
    if crumb.kind != "http" || crumb.message.is_some() {
        return None;
    }
    let text = |key| crumb.data.get(key).and_then(serde_json::Value::as_str);
    let status = ["status_code", "http.response.status_code"].into_iter().find_map(|key| crumb.data.get(key));
    let status = status.map(ToString::to_string).unwrap_or_default();
    let method = ["method", "http.method", "http.request.method"].into_iter().find_map(text).unwrap_or("GET");
    let line = format!("{method} {} {status}", text("url")?);
    Some(line.trim_end().to_owned())
}
