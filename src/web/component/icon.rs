//! Line icons, drawn for this product, in the colour of the text around them.

use maud::{Markup, html};

/// Which icon.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Icon {
    /// A broken circle: issues.
    Issues,
    /// Stacked sheets: projects.
    Projects,
    /// Bars on a line: usage.
    Usage,
    /// Sliders: settings.
    Settings,
    /// A head and shoulders: the user.
    User,
    /// A tick: resolve.
    Check,
    /// A struck-through bell: ignore.
    Mute,
    /// To the oldest.
    First,
    /// To the older.
    Previous,
    /// To the newer.
    Next,
    /// To the newest.
    Last,
    /// Opens downwards.
    Down,
}

/// The icon as SVG; silent for screen readers, the text beside it speaks.
pub(crate) fn icon(which: Icon) -> Markup {
    let path = match which {
        Icon::Issues => "M8 1.8a6.2 6.2 0 1 0 6.2 6.2M8 4.8v3.6M8 11v.2M11 2.6l2.4 2.4M13.4 2.6 11 5",
        Icon::Projects => "M8 1.8 14 5 8 8.2 2 5zM2 8l6 3.2L14 8M2 11l6 3.2L14 11",
        Icon::Usage => "M2 14h12M4 11.5v-3M8 11.5v-9M12 11.5v-6",
        Icon::Settings => "M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7M9 2.8v3.4h3V2.8zM3.8 9.8v3.4h3V9.8z",
        Icon::User => "M8 8.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8M2.6 14a5.4 5.4 0 0 1 10.8 0",
        Icon::Check => "M3 8.6l3.2 3.2L13 4.6",
        Icon::Mute => "M2.4 2.4l11.2 11.2M6 2.9A4 4 0 0 1 12 6.4v2.4M4.1 5.6 4 6.4v3L2.8 11.4H11M6.6 13.6h2.8",
        Icon::First => "M8.5 4 4.5 8l4 4M12.5 4l-4 4 4 4",
        Icon::Previous => "M10 4 6 8l4 4",
        Icon::Next => "M6 4l4 4-4 4",
        Icon::Last => "M3.5 4l4 4-4 4M7.5 4l4 4-4 4",
        Icon::Down => "M4 6l4 4 4-4",
    };
    html! { svg.icon viewBox="0 0 16 16" aria-hidden="true" { path d=(path) {} } }
}

/// The mark: three slices, the middle one out of line.
pub(crate) fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" aria-hidden="true" {
            rect x="3" y="3" width="18" height="5" rx="1.5" fill="#5a58d6" {}
            rect x="6" y="9.5" width="15" height="5" rx="1.5" fill="#e8622c" {}
            rect x="3" y="16" width="15" height="5" rx="1.5" fill="#5a58d6" {}
        }
    }
}
