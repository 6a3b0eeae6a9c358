//! The top of the page: what, where, how often, and what to do about it.

use maud::{Markup, html};

use super::IssuePage;
use crate::store::issue_status::IssueStatus;
use crate::web::component::icon::{Icon, icon};
use crate::web::component::{badge, csrf_field, time};
use crate::web::issue_list::{badges, headline};
use crate::web::text::{Lang, grouped};

/// Level stripe, type, value, facts and buttons.
pub(super) fn show(page: &IssuePage<'_>) -> Markup {
    let (lang, issue) = (page.lang(), page.issue);
    let (kind, _) = headline(issue);
    let value = issue.metadata.get("value").and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    html! {
        nav.bar.crumbs {
            span {
                a href="/issues/" { (lang.issues()) } " / "
                a href={ "/issues/?project=" (issue.project_id) } { (issue.project_name) } " / " (issue.short_name())
            }
        }
        article class={ "card issue-head lv lv-" (issue.level.as_str()) } {
            div.row {
                div {
                    h1 { (kind) }
                    @if let Some(value) = value { p.value { (value) } }
                    p.sub {
                        span.lv-name { (level_name(lang, issue.level)) }
                        span { (badges(lang, page.now, issue)) }
                        @if !issue.culprit.is_empty() { code { (issue.culprit) } }
                    }
                }
                (actions(page))
            }
            (facts(page))
        }
    }
}

fn actions(page: &IssuePage<'_>) -> Markup {
    let lang = page.lang();
    html! {
        form.actions method="post" action={ "/issues/" (page.issue.id) "/" } {
            (csrf_field(page.viewer.csrf()))
            @if page.issue.status != IssueStatus::Resolved {
                button.btn.primary type="submit" name="status" value="resolved" data-key="e" {
                    (icon(Icon::Check)) (lang.resolve())
                }
            }
            @if page.issue.status == IssueStatus::Unresolved {
                button.btn type="submit" name="status" value="ignored" { (icon(Icon::Mute)) (lang.ignore()) }
            } @else {
                button.btn type="submit" name="status" value="unresolved" { (lang.reopen()) }
            }
        }
    }
}

fn facts(page: &IssuePage<'_>) -> Markup {
    let (lang, issue) = (page.lang(), page.issue);
    let seen = |at, release: &Option<String>| {
        html! {
            (time::relative(lang, page.now, at))
            @if let Some(release) = release { " " small { (lang.in_release(release)) } }
        }
    };
    html! {
        dl.facts {
            div { dt { (lang.events_column()) } dd { (grouped(issue.event_count)) } }
            div { dt { (lang.users_column()) } dd { (grouped(issue.user_count)) } }
            div { dt { (lang.last_seen()) } dd { (seen(issue.last_seen, &issue.last_release)) } }
            div { dt { (lang.first_seen()) } dd { (seen(issue.first_seen, &issue.first_release)) } }
            @if !issue.platform.is_empty() { div { dt { (lang.platform()) } dd { (issue.platform) } } }
            @if !issue.logger.is_empty() { div { dt { (lang.logger()) } dd { (badge("", &issue.logger)) } } }
        }
    }
}

/// A level in the reader's language.
pub(super) fn level_name(lang: Lang, level: crate::protocol::Level) -> &'static str {
    use crate::protocol::Level;
    match level {
        Level::Debug => lang.level_debug(),
        Level::Info => lang.level_info(),
        Level::Warning => lang.level_warning(),
        Level::Error => lang.level_error(),
        Level::Fatal => lang.level_fatal(),
    }
}
