//! The HTML of a mail. Nothing is loaded from anywhere, and dark and light are the reader's choice.

use glitchbox_notify::{Language, Level};
use maud::{DOCTYPE, PreEscaped, html};

use super::content::Content;
use super::words::pick;

/// Mail programs that know no `prefers-color-scheme` show the light colours.
const STYLE: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
body{margin:0;padding:24px 12px;background:#f4f5f7;color:#1c1e21;font:15px/1.5 -apple-system,'Segoe UI',Roboto,\
'PingFang SC','Microsoft YaHei',sans-serif}\
.card{max-width:640px;margin:0 auto;padding:24px;background:#fff;border-radius:8px;border-top:4px solid #1976d2}\
.error{border-top-color:#d32f2f}.warning{border-top-color:#ed6c02}\
h1{margin:0 0 8px;font-size:19px;line-height:1.35;word-break:break-word}\
p{margin:0 0 16px}.quiet{color:#65676b;font-size:13px}\
table{border-collapse:collapse;margin:0 0 16px}td{padding:3px 16px 3px 0;vertical-align:top;word-break:break-word}\
td.name{color:#65676b;white-space:nowrap}\
pre{margin:0 0 16px;padding:12px;background:#f4f5f7;border-radius:6px;overflow-x:auto;font:13px/1.5 Menlo,Consolas,\
monospace;white-space:pre-wrap;word-break:break-word}\
ul{margin:0 0 16px;padding-left:20px}li{margin-bottom:8px;word-break:break-word}\
a{color:#1565c0}.button{display:inline-block;padding:9px 18px;background:#1565c0;color:#fff;border-radius:6px;\
text-decoration:none}\
@media(prefers-color-scheme:dark){body{background:#18191a;color:#e4e6eb}.card{background:#242526}\
.quiet,td.name{color:#b0b3b8}pre{background:#18191a}a{color:#8ab4f8}.button{background:#8ab4f8;color:#18191a}}";

/// The whole document.
pub(super) fn page(content: &Content) -> String {
    let language = match content.language {
        Language::English => "en",
        Language::Chinese => "zh-CN",
    };
    let class = match content.level {
        Level::Error => "card error",
        Level::Warning => "card warning",
        Level::Success | Level::Info => "card",
    };
    let page = html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                title { (content.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                div class=(class) {
                    h1 { (content.title) }
                    p { (content.why) }
                    table role="presentation" {
                        @for (name, value) in &content.facts {
                            tr { td class="name" { (name) } td { (value) } }
                        }
                    }
                    @if !content.stack.is_empty() {
                        pre { (content.stack.join("\n")) }
                    }
                    @if !content.items.is_empty() {
                        ul {
                            @for item in &content.items {
                                li { a href=(item.link) { (item.title) } br; span class="quiet" { (item.note) } }
                            }
                        }
                        @if !content.more.is_empty() {
                            p { (content.more) }
                        }
                    }
                    p { a class="button" href=(content.link) { (pick(content.language, "Open", "查看")) } }
                    p class="quiet" { (content.footer) }
                }
            }
        }
    };
    page.into_string()
}
