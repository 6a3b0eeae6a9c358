//! The HTTP request that was being served.

use maud::{Markup, html};
use serde_json::Value;

use super::section;
use crate::protocol::event::{Event, Request};
use crate::web::component::{copy_button, value};
use crate::web::text::Lang;

/// Method, address and everything that came along.
pub(super) fn show(lang: Lang, event: &Event) -> Markup {
    let Some(request) = &event.request else { return html! {} };
    let content = html! {
        div.pad {
            @if let Some(url) = &request.url {
                p.reqline {
                    b { (request.method.as_deref().unwrap_or("GET")) }
                    span {
                        @let full = full_address(request, url);
                        @if value::is_web_address(&full) {
                            a href=(full) rel="noopener noreferrer nofollow" target="_blank" { (full) }
                        } @else { (full) }
                    }
                }
            }
            (pairs(lang.query_string(), &request.query_string))
            @if let Some(data) = &request.data { h3.sub-h { (lang.body()) } (body(data)) }
            (pairs(lang.headers(), &request.headers))
            (pairs(lang.cookies(), &request.cookies))
            @if !request.env.is_empty() {
                h3.sub-h { (lang.environment_variables()) } (value::table(lang, &request.env))
            }
            @if let Some(command) = curl(request) {
                details.fold {
                    summary { (lang.as_curl()) }
                    div.copyable { pre.block #curl { (command) } (copy_button(lang, "curl")) }
                }
            }
        }
    };
    section("request", lang.request(), None, &content)
}

fn pairs(title: &str, pairs: &[(String, String)]) -> Markup {
    html! {
        @if !pairs.is_empty() {
            h3.sub-h { (title) }
            (value::text_table(pairs.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
        }
    }
}

fn body(data: &Value) -> Markup {
    let text = match data {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    html! { pre.block { (text) } }
}

fn full_address(request: &Request, url: &str) -> String {
    let mut full = url.to_owned();
    if !request.query_string.is_empty() && !url.contains('?') {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query_string).finish();
        full.push('?');
        full.push_str(&query);
    }
    if let Some(fragment) = &request.fragment {
        full.push('#');
        full.push_str(fragment);
    }
    full
}

/// The request as a command that sends it again; only for http(s) addresses.
fn curl(request: &Request) -> Option<String> {
    let full = full_address(request, request.url.as_deref()?);
    if !value::is_web_address(&full) {
        return None;
    }
    let mut command = format!("curl {}", quoted(&full));
    let method = request.method.as_deref().unwrap_or("GET");
    if method != "GET" {
        command.push_str(" \\\n  -X ");
        command.push_str(&quoted(method));
    }
    for (name, text) in request.headers.iter().filter(|(name, _)| !is_own_to_connection(name)) {
        command.push_str(" \\\n  -H ");
        command.push_str(&quoted(&format!("{name}: {text}")));
    }
    if let Some(data) = &request.data {
        let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        command.push_str(" \\\n  --data-raw ");
        command.push_str(&quoted(&text));
    }
    Some(command)
}

/// Headers that curl works out by itself.
fn is_own_to_connection(name: &str) -> bool {
    ["host", "content-length", "connection", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// In single quotes for a shell, so that nothing in an event runs when it is pasted.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_command_runs_nothing_else() {
        let request = Request {
            url: Some("https://shop.example/pay".to_owned()),
            method: Some("POST".to_owned()),
            query_string: vec![("q".to_owned(), "a b".to_owned())],
            headers: vec![("Host".to_owned(), "x".to_owned()), ("X-Evil".to_owned(), "'; rm -rf ~; '".to_owned())],
            data: Some(serde_json::json!({"a": 1})),
            ..Request::default()
        };
        assert_eq!(
            curl(&request).unwrap(),
            "curl 'https://shop.example/pay?q=a+b' \\\n  -X 'POST' \\\n  -H 'X-Evil: '\\''; rm -rf ~; '\\''' \\\n  \
             --data-raw '{\"a\":1}'"
        );
        let odd = Request { url: Some("javascript:x".to_owned()), ..Request::default() };
        assert_eq!(curl(&odd), None);
    }
}
