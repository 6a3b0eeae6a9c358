//! The smaller parts of an event: message, user, contexts, extra data, packages, SDK, problems.

use maud::{Markup, html};
use serde_json::Value;

use super::section;
use crate::protocol::event::Event;
use crate::web::component::value;
use crate::web::text::Lang;

/// Packages beyond this number are folded away.
const MODULES_SHOWN: usize = 12;

/// The message, when it says more than the title, with its template and parameters.
pub(super) fn message(lang: Lang, event: &Event) -> Markup {
    let Some(entry) = &event.logentry else { return html! {} };
    let content = html! {
        div.pad {
            pre { (entry.text()) }
            @if let Some(template) = entry.message.as_deref().filter(|template| *template != entry.text()) {
                h3.sub-h { (lang.message_template()) } pre.muted { (template) }
            }
            @if let Some(parameters) = &entry.params {
                h3.sub-h { (lang.message_parameters()) } (value::value(lang, parameters))
            }
        }
    };
    section("message", lang.message(), None, &content)
}

/// A violation of a page's content security policy.
pub(super) fn violation(lang: Lang, event: &Event) -> Markup {
    html! {
        @if !event.csp.is_empty() {
            (section("csp", lang.violation(), None, &html! { div.pad { (value::table(lang, &event.csp)) } }))
        }
    }
}

/// Whom it happened to.
pub(super) fn user(lang: Lang, event: &Event) -> Markup {
    let Some(user) = &event.user else { return html! {} };
    let address = user.ip_address.map(|address| address.to_string());
    let place = user.geo.as_ref().map(|geo| {
        let parts = [&geo.city, &geo.subdivision, &geo.region, &geo.country_code];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
    });
    let rows = [
        ("ID", user.id.as_deref()),
        (lang.user_name(), user.username.as_deref()),
        (lang.name(), user.name.as_deref()),
        (lang.email(), user.email.as_deref()),
        (lang.ip_address(), address.as_deref()),
        (lang.location(), place.as_deref()),
        ("segment", user.segment.as_deref()),
    ];
    let known = rows.into_iter().filter_map(|(name, text)| text.map(|text| (name, text)));
    let content = html! {
        div.pad {
            (value::text_table(known))
            @if !user.data.is_empty() { (value::table(lang, &user.data)) }
        }
    };
    section("user", lang.user(), None, &content)
}

/// Runtime, operating system, browser, device, trace and whatever else was sent.
pub(super) fn contexts(lang: Lang, event: &Event) -> Markup {
    let content = html! {
        div.ctx {
            @for (name, context) in &event.contexts {
                div {
                    h3 { (name) }
                    @match context {
                        Value::Object(fields) => (value::table(lang,
                            fields.iter().filter(|(key, field)| *key != "type" || field.as_str() != Some(name)))),
                        other => (value::value(lang, other)),
                    }
                }
            }
        }
    };
    html! { @if !event.contexts.is_empty() { (section("contexts", lang.contexts(), None, &content)) } }
}

/// What the program added.
pub(super) fn extra(lang: Lang, event: &Event) -> Markup {
    html! {
        @if !event.extra.is_empty() {
            (section("extra", lang.extra(), None, &html! { div.pad { (value::table(lang, &event.extra)) } }))
        }
    }
}

/// Installed packages.
pub(super) fn modules(lang: Lang, event: &Event) -> Markup {
    let list = html! {
        ul.mods {
            @for (name, version) in &event.modules { li { (name) span { (version) } } }
        }
    };
    let content = html! {
        div.pad {
            @if event.modules.len() > MODULES_SHOWN {
                details.fold {
                    summary { (lang.modules_count(i64::try_from(event.modules.len()).unwrap_or(i64::MAX))) }
                    (list)
                }
            } @else { (list) }
        }
    };
    html! { @if !event.modules.is_empty() { (section("modules", lang.modules(), None, &content)) } }
}

/// Loaded images and source maps.
pub(super) fn images(lang: Lang, event: &Event) -> Markup {
    let images = event.debug_meta.as_ref().map_or(&[][..], |meta| meta.images.as_slice());
    let content = html! {
        div.pad {
            details.fold {
                summary { (lang.images()) " (" (images.len()) ")" }
                @for image in images { (value::table(lang, image)) hr; }
            }
        }
    };
    html! { @if !images.is_empty() { (section("images", lang.images(), None, &content)) } }
}

/// Who sent the event, and the fingerprint it asked for.
pub(super) fn sdk(lang: Lang, event: &Event) -> Markup {
    let Some(sdk) = &event.sdk else { return html! {} };
    let packages: Vec<String> = sdk
        .packages
        .iter()
        .map(|package| {
            let parts = [&package.name, &package.version];
            parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let lists = [packages.join(", "), sdk.integrations.join(", "), event.fingerprint.join(", ")];
    let [packages, integrations, fingerprint] = &lists;
    let rows = [
        (lang.name(), sdk.name.as_deref().unwrap_or_default()),
        (lang.version(), sdk.version.as_deref().unwrap_or_default()),
        (lang.sdk_packages(), packages.as_str()),
        (lang.integrations(), integrations.as_str()),
        (lang.fingerprint(), fingerprint.as_str()),
    ];
    let content = html! { div.pad { (value::text_table(rows.into_iter().filter(|(_, text)| !text.is_empty()))) } };
    section("sdk", lang.sdk(), None, &content)
}

/// What could not be kept as it was sent.
pub(super) fn problems(lang: Lang, event: &Event) -> Markup {
    html! {
        @if !event.errors.is_empty() {
            details.note {
                summary { (lang.errors_in_processing(i64::try_from(event.errors.len()).unwrap_or(i64::MAX))) }
                table.kv { tbody {
                    @for error in &event.errors {
                        tr {
                            th scope="row" { (error.kind) }
                            td {
                                @if let Some(name) = &error.name { code { (name) } " " }
                                @if let Some(sent) = &error.value { (value::value(lang, sent)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
