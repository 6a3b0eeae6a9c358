//! Small pieces that several pages show.

pub(crate) mod chart;
pub(crate) mod icon;
pub(crate) mod time;
pub(crate) mod value;

use maud::{Markup, html};

use crate::web::text::Lang;

/// The hidden field that every form carries.
pub(crate) fn csrf_field(token: &str) -> Markup {
    html! { input type="hidden" name=(crate::auth::csrf::FIELD) value=(token); }
}

/// A button that copies the text of the element `id`; shown where there is a script to do it.
pub(crate) fn copy_button(lang: Lang, id: &str) -> Markup {
    html! { button.btn.small.js type="button" data-copy=(id) data-done=(lang.copied()) { (lang.copy()) } }
}

/// A label for a fact that a reader cannot do without, and one for others: `class` picks the colour.
pub(crate) fn badge(class: &str, text: &str) -> Markup {
    html! { span class={ "badge " (class) } { (text) } }
}
