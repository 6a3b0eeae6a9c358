//! Which event is shown, how to get to the others, and the way to each part of this one.

use maud::{Markup, html};

use super::IssuePage;
use crate::ids::EventId;
use crate::protocol::event::Event;
use crate::store::event_lookup::StoredEvent;
use crate::web::component::icon::{Icon, icon};
use crate::web::component::time;
use crate::web::text::Lang;

/// The bar that stays in sight, the event's tags, and the jump list.
pub(super) fn show(page: &IssuePage<'_>, stored: &StoredEvent) -> Markup {
    let lang = page.lang();
    let event = &stored.event;
    let id = stored.event_id.to_string();
    let short = id.get(..8).unwrap_or_default().to_owned();
    let older = page.neighbours.previous;
    let newer = page.neighbours.next;
    html! {
        nav.evnav aria-label=(lang.event_navigation()) {
            div.group {
                (step(page, older.map(|_| "oldest".to_owned()), lang.oldest_event(), Icon::First, None))
                (step(page, older.map(address), lang.older_event(), Icon::Previous, Some("j")))
                (step(page, newer.map(address), lang.newer_event(), Icon::Next, Some("k")))
                (step(page, newer.map(|_| "latest".to_owned()), lang.latest_event(), Icon::Last, None))
            }
            span {
                a href={ "/issues/" (page.issue.id) "/?event=" (id) } title=(id) { (lang.event()) " " code { (short) } }
                " · " (time::absolute(stored.occurred_at)) " · " (time::relative(lang, page.now, stored.occurred_at))
            }
            a.btn.small.push href={ "/issues/" (page.issue.id) "/events/" (id) "/json/" } { (lang.raw_json()) }
        }
        (jump_list(lang, event))
        (tag_pills(lang, event))
    }
}

fn address(event: EventId) -> String {
    event.to_string()
}

fn step(page: &IssuePage<'_>, target: Option<String>, label: &str, symbol: Icon, key: Option<&str>) -> Markup {
    html! {
        @match target {
            Some(target) => a.btn.small href={ "/issues/" (page.issue.id) "/?event=" (target) } title=(label)
                aria-label=(label) data-key=[key] { (icon(symbol)) },
            None => span.btn.small aria-disabled="true" title=(label) { (icon(symbol)) },
        }
    }
}

fn jump_list(lang: Lang, event: &Event) -> Markup {
    let parts = [
        ("exception", lang.stack_trace(), !event.exception.is_empty()),
        ("threads", lang.threads(), !event.threads.is_empty()),
        ("breadcrumbs", lang.breadcrumbs(), !event.breadcrumbs.is_empty()),
        ("request", lang.request(), event.request.is_some()),
        ("user", lang.user(), event.user.is_some()),
        ("contexts", lang.contexts(), !event.contexts.is_empty()),
        ("extra", lang.extra(), !event.extra.is_empty()),
        ("modules", lang.modules(), !event.modules.is_empty()),
        ("sdk", lang.sdk(), event.sdk.is_some()),
    ];
    html! {
        div.jump {
            @for (id, label, is_there) in parts {
                @if is_there { a href={ "#" (id) } { (label) } }
            }
        }
    }
}

fn tag_pills(lang: Lang, event: &Event) -> Markup {
    html! {
        @if !event.tags.is_empty() {
            section.card aria-label=(lang.event_tags()) {
                div.pills {
                    @for (key, value) in &event.tags {
                        span.pill { b { (key) } span { (value) } }
                    }
                }
            }
        }
    }
}
