//! The page around the content: head, top bar, navigation.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::assets::{CSS, ICON, JS};
use super::component::csrf_field;
use super::component::icon::{Icon, icon, mark};
use super::text::Lang;
use super::viewer::{Account, Frame};

/// The places the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Issue list and issue pages.
    Issues,
    /// Project list and project pages.
    Projects,
    /// What became of what was sent.
    Usage,
    /// The user's own settings.
    Settings,
}

/// A page of the application.
pub(super) fn page(frame: &Frame, place: Option<Place>, title: &str, content: &Markup) -> Html<String> {
    let lang = frame.lang;
    let body = html! {
        body.shell {
            a.skip href="#main" { (lang.skip_to_content()) }
            header.top {
                a.brand href="/issues/" aria-label="glitchbox" { (mark()) span { "glitchbox" } }
                div.push {}
                @if let Some(account) = &frame.account { (account_menu(lang, account)) }
            }
            nav.rail aria-label=(lang.navigation()) {
                ul {
                    @for (target, which, label, symbol) in [
                        ("/issues/", Place::Issues, lang.issues(), Icon::Issues),
                        ("/projects/", Place::Projects, lang.projects(), Icon::Projects),
                        ("/usage/", Place::Usage, lang.usage(), Icon::Usage),
                        ("/settings/", Place::Settings, lang.settings(), Icon::Settings),
                    ] {
                        li {
                            a href=(target) aria-current=[(place == Some(which)).then_some("page")] {
                                (icon(symbol)) (label)
                            }
                        }
                    }
                }
            }
            main #main tabindex="-1" { (content) }
        }
    };
    document(lang, title, &body)
}

/// A page for who is not signed in: one card in the middle.
pub(super) fn gate(frame: &Frame, title: &str, content: &Markup) -> Html<String> {
    let body = html! {
        body.center {
            main.gate #main {
                div.brand { (mark()) span { "glitchbox" } }
                (content)
            }
        }
    };
    document(frame.lang, title, &body)
}

fn document(lang: Lang, title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) " · glitchbox" }
                link rel="icon" type="image/svg+xml" href=(ICON.path);
                link rel="stylesheet" href=(CSS.path);
                script src=(JS.path) defer {}
            }
            (body)
        }
    };
    Html(page.into_string())
}

fn account_menu(lang: Lang, account: &Account) -> Markup {
    html! {
        details.menu.right {
            summary aria-label=(lang.account()) {
                (icon(Icon::User)) span.who-name { (account.name) } (icon(Icon::Down))
            }
            div {
                div.who {
                    strong { (account.name) }
                    @if account.name != account.email { br; span.muted { (account.email) } }
                }
                a href="/settings/" { (lang.settings()) }
                form method="post" action="/logout/" {
                    (csrf_field(&account.csrf))
                    button type="submit" { (lang.sign_out()) }
                }
            }
        }
    }
}
