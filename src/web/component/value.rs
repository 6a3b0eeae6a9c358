//! Values from events: hostile, of any shape and size. They are shown as text, wrapped or scrolled
//! inside their own box, and never become markup or a link that runs something.

use maud::{Markup, html};
use serde_json::Value;

use crate::web::text::Lang;

/// JSON up to this many bytes stays on one line.
const ONE_LINE: usize = 80;

/// One value: text as it is, anything else as indented JSON.
pub(crate) fn value(lang: Lang, value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.null { (lang.none()) } },
        Value::String(text) => text_value(text),
        Value::Bool(_) | Value::Number(_) => html! { code { (value.to_string()) } },
        Value::Array(_) | Value::Object(_) => {
            let line = value.to_string();
            if line.len() <= ONE_LINE {
                return html! { code { (line) } };
            }
            html! { pre { (serde_json::to_string_pretty(value).unwrap_or_default()) } }
        }
    }
}

/// A text; a web address becomes a link that gives nothing away.
pub(crate) fn text_value(text: &str) -> Markup {
    if is_web_address(text) {
        return html! { a href=(text) rel="noopener noreferrer nofollow" target="_blank" { (text) } };
    }
    if text.contains('\n') {
        return html! { pre { (text) } };
    }
    html! { code { (text) } }
}

/// Rows of name and value; nothing when there is none.
pub(crate) fn table<'a, N: AsRef<str>>(lang: Lang, rows: impl IntoIterator<Item = (N, &'a Value)>) -> Markup {
    let mut rows = rows.into_iter().peekable();
    html! {
        @if rows.peek().is_some() {
            table.kv { tbody {
                @for (name, item) in rows {
                    tr { th scope="row" { (name.as_ref()) } td { (value(lang, item)) } }
                }
            } }
        }
    }
}

/// Rows of name and text.
pub(crate) fn text_table<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    let mut rows = rows.into_iter().peekable();
    html! {
        @if rows.peek().is_some() {
            table.kv { tbody {
                @for (name, text) in rows {
                    tr { th scope="row" { (name) } td { (text_value(text)) } }
                }
            } }
        }
    }
}

/// True for an http(s) address without blanks or control characters.
pub(crate) fn is_web_address(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://"))
        && text.len() <= 2_000
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_stay_text() {
        let shown = value(Lang::English, &Value::from("<script>alert(1)</script>")).into_string();
        assert_eq!(shown, "<code>&lt;script&gt;alert(1)&lt;/script&gt;</code>");
        for address in ["javascript:alert(1)", "data:text/html,x", "//host", "https://a b", "https://a\u{0}"] {
            assert!(!text_value(address).into_string().contains("<a "), "{address:?}");
        }
        let link = text_value("https://example.org/?a=\"><script>").into_string();
        assert!(link.starts_with("<a href=\"https://example.org/?a=&quot;&gt;&lt;script&gt;\""), "{link}");
    }

    #[test]
    fn other_shapes_are_json() {
        assert_eq!(value(Lang::English, &serde_json::json!(12)).into_string(), "<code>12</code>");
        assert_eq!(value(Lang::English, &serde_json::json!([1, null])).into_string(), "<code>[1,null]</code>");
        let long = serde_json::json!({"a": "x".repeat(ONE_LINE)});
        assert!(value(Lang::English, &long).into_string().starts_with(
            "<pre>{
  &quot;a&quot;"
        ));
    }
}
