//! A page as HTML, for mail programs: tables and attributes, no style sheet, no picture, nothing to load.

use std::fmt::Write as _;

use glitchbox_notify::Level;

use super::page::{Line, Page};

/// The document of a page.
pub(super) fn document(page: &Page) -> String {
    let colour = match page.level {
        Level::Success => "#2e7d32",
        Level::Info => "#1976d2",
        Level::Warning => "#ed6c02",
        Level::Error => "#d32f2f",
    };
    let title = escape(&page.title);
    let mut html = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body style=\"margin:0;padding:16px;font-family:sans-serif;color:#222;background:#f5f5f5\">\
         <div style=\"max-width:720px;margin:0 auto;background:#fff;border:1px solid #ddd\">\
         <h1 style=\"margin:0;padding:12px 16px;font-size:18px;color:#fff;background:{colour}\">{} {title}</h1>\
         <div style=\"padding:8px 16px 16px\"><table style=\"border-collapse:collapse;font-size:14px\">",
        page.mark
    );
    // Writing to a string cannot fail, here and below.
    for fact in &page.head {
        let (icon, name, value) = (fact.icon, fact.name, escape(&fact.value));
        let _ = write!(
            html,
            "<tr><td style=\"padding:2px 12px 2px 0;color:#666;vertical-align:top;white-space:nowrap\">{icon} {name}</td>\
             <td style=\"padding:2px 0;word-break:break-word\">{value}</td></tr>"
        );
    }
    html.push_str("</table>");
    for section in &page.sections {
        let _ = write!(html, "<h2 style=\"margin:16px 0 4px;font-size:15px\">{}</h2>", section.title);
        if section.is_log {
            let lines: Vec<String> = section.lines.iter().map(|line| escape(&line.text)).collect();
            let _ = write!(
                html,
                "<pre style=\"margin:0;padding:8px;font-size:12px;background:#f5f5f5;white-space:pre-wrap\">{}</pre>",
                lines.join("\n")
            );
        } else {
            let lines: String = section.lines.iter().map(item).collect();
            let _ = write!(html, "<ul style=\"margin:0;padding-left:20px;font-size:14px\">{lines}</ul>");
        }
    }
    if let Some(link) = &page.link {
        let link = escape(link);
        let _ = write!(html, "<p><a href=\"{link}\">{link}</a></p>");
    }
    html.push_str("</div></div></body></html>\n");
    html
}

fn item(line: &Line) -> String {
    format!("<li>{}</li>", line.shown(|name| format!("<b>{}</b>", escape(name)), escape))
}

/// Text that is no markup, neither between tags nor in an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
