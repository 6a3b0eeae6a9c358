//! HTTP requests.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::databag::{BODY, DATA};
use super::field::{Errors, Path, cut};
use crate::process::lenient_json;
use crate::protocol::event::Request;

const MAX_URL: usize = 2048;
const MAX_QUERY_VALUE: usize = 1020;
const MAX_HEADER: usize = 8192;
const MAX_BODY: usize = 8192;
const MAX_PAIRS: usize = 200;

/// A request; nothing if nothing of it is known.
pub(super) fn request(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Request> {
    let mut request = Request::default();
    for (key, value) in errors.object(at, value)? {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "url" => request.url = errors.word(&at, value, MAX_URL),
            "method" => request.method = errors.word(&at, value, 32).map(|method| method.to_ascii_uppercase()),
            "query_string" => {
                request.query_string = pairs(errors, &at, value, MAX_QUERY_VALUE, |text| {
                    query_pairs(text.strip_prefix('?').unwrap_or(text))
                });
            }
            "fragment" => request.fragment = errors.word(&at, value, MAX_QUERY_VALUE),
            "headers" => request.headers = pairs(errors, &at, value, MAX_HEADER, |_| Vec::new()),
            "cookies" => request.cookies = pairs(errors, &at, value, MAX_QUERY_VALUE, cookie_pairs),
            "data" => request.data = Some(value).filter(|value| value.as_str() != Some("")),
            "env" => request.env = DATA.read(errors, &at, value),
            "inferred_content_type" => request.inferred_content_type = errors.word(&at, value, 128),
            _ => {}
        }
    }
    split_url(&mut request);
    settle_headers(&mut request);
    settle_body(errors, &at.key("data"), &mut request);
    (request != Request::default()).then_some(request)
}

/// Takes query and fragment off the address, and keeps them unless they were given on their own.
fn split_url(request: &mut Request) {
    let Some(url) = request.url.take() else { return };
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    if request.fragment.is_none() && !fragment.is_empty() {
        request.fragment = Some(cut(fragment.to_owned(), MAX_QUERY_VALUE));
    }
    if request.query_string.is_empty() && !query.is_empty() {
        request.query_string = query_pairs(query);
    }
    request.url = Some(if address.len() == url.len() { url } else { address.to_owned() });
}

/// Title case, sorted, cookies moved to their own place, our own credentials left out.
fn settle_headers(request: &mut Request) {
    let mut cookies = Vec::new();
    let mut headers: Vec<_> = std::mem::take(&mut request.headers)
        .into_iter()
        .filter_map(|(name, value)| {
            let name = title_case(&name);
            match name.as_str() {
                "Cookie" => {
                    cookies.extend(cookie_pairs(&value));
                    None
                }
                "X-Sentry-Auth" => None,
                "Authorization" if value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sentry ")) => None,
                _ => Some((name, value)),
            }
        })
        .collect();
    headers.sort();
    request.headers = headers;
    if request.cookies.is_empty() {
        request.cookies = cookies;
    }
}

fn title_case(name: &str) -> String {
    let mut starts_word = true;
    name.trim()
        .chars()
        .map(|character| {
            let cased = if starts_word { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() };
            starts_word = character == '-';
            cased
        })
        .collect()
}

/// Reads a body in text as the JSON or the form that it looks like.
fn settle_body(errors: &mut Errors, at: &Path<'_>, request: &mut Request) {
    let Some(body) = request.data.take() else { return };
    let Value::String(text) = body else {
        request.data = Some(BODY.value(errors, at, body));
        return;
    };
    let content_type = request.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if text.trim_start().starts_with(['{', '['])
        && let Some(json) = lenient_json::parse_strictly::<Value>(&text)
    {
        request.inferred_content_type.get_or_insert_with(|| "application/json".to_owned());
        request.data = Some(BODY.value(errors, at, json));
    } else if content_type == "application/x-www-form-urlencoded" || (content_type.is_empty() && looks_like_form(&text))
    {
        let form = query_pairs(&text).into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        request.inferred_content_type.get_or_insert_with(|| "application/x-www-form-urlencoded".to_owned());
        request.data = Some(Value::Object(BODY.map(errors, at, form)));
    } else {
        if !content_type.is_empty() && request.inferred_content_type.is_none() {
            request.inferred_content_type = Some(content_type.to_owned());
        }
        request.data = Some(Value::String(errors.cut(at, text, MAX_BODY)));
    }
}

/// `a=b` or `a=b&c=d`, and nothing a sentence would have.
fn looks_like_form(text: &str) -> bool {
    text.split('&').all(|pair| {
        pair.split_once('=').is_some_and(|(key, value)| {
            !key.is_empty()
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]%+".contains(&byte))
                && !value.contains([' ', '\n', '='])
        })
    })
}

fn query_pairs(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes())
        .take(MAX_PAIRS)
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (clean(&key), clean(&value)))
        .collect()
}

/// Decoding may bring back what was kept out when the payload was read.
fn clean(text: &str) -> String {
    let text = if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() };
    cut(text, MAX_QUERY_VALUE)
}

fn cookie_pairs(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .take(MAX_PAIRS)
        .map(|(key, value)| (cut(key.to_owned(), MAX_QUERY_VALUE), cut(value.to_owned(), MAX_QUERY_VALUE)))
        .collect()
}

/// An object, a list of pairs, or a text that `parse` takes apart.
fn pairs(
    errors: &mut Errors,
    at: &Path<'_>,
    value: Value,
    limit: usize,
    parse: impl FnOnce(&str) -> Vec<(String, String)>,
) -> Vec<(String, String)> {
    let members: Vec<(String, Value)> = match value {
        Value::String(text) => return parse(&text),
        Value::Object(map) => {
            errors.shortened(at, map.len(), MAX_PAIRS);
            map.into_iter().take(MAX_PAIRS).collect()
        }
        Value::Array(list) => {
            errors.shortened(at, list.len(), MAX_PAIRS);
            list.into_iter().take(MAX_PAIRS).filter_map(pair).collect()
        }
        other => {
            errors.invalid(at, other, "an object or a list of pairs");
            return Vec::new();
        }
    };
    members
        .into_iter()
        .filter_map(|(key, value)| {
            let value = scalar(value)?;
            (!key.is_empty()).then(|| (cut(key, 200), cut(value, limit)))
        })
        .collect()
}

fn pair(member: Value) -> Option<(String, Value)> {
    let Value::Array(list) = member else { return None };
    let mut list = list.into_iter();
    let (Some(Value::String(key)), Some(value)) = (list.next(), list.next()) else { return None };
    Some((key, value))
}

/// The text of a value; a list is joined by commas, since a header may repeat.
fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Array(list) => Some(list.into_iter().filter_map(scalar).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}

/// The variable of the server that holds the client's address.
pub(super) fn remote_addr(env: &mut Map<String, Value>) -> Option<&mut String> {
    match env.get_mut("REMOTE_ADDR") {
        Some(Value::String(address)) => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Request {
        request(&mut Errors::default(), &Path::Root, value).unwrap_or_default()
    }

    fn owned(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn query_and_fragment_are_taken_off_the_address() {
        let request = read(json!({"url": "https://x/a?b=1&c=%20d#top", "method": "post"}));
        assert_eq!(request.url.as_deref(), Some("https://x/a"));
        assert_eq!(request.query_string, owned(&[("b", "1"), ("c", " d")]));
        assert_eq!(request.fragment.as_deref(), Some("top"));
        assert_eq!(request.method.as_deref(), Some("POST"));
    }

    #[test]
    fn query_strings_come_in_three_forms() {
        for value in [json!("?a=1&b=x"), json!({"a": 1, "b": "x"}), json!([["a", "1"], ["b", "x"], ["c"], 7])] {
            assert_eq!(read(json!({"query_string": value})).query_string, owned(&[("a", "1"), ("b", "x")]));
        }
        assert_eq!(read(json!({"query_string": "a=%00b"})).query_string, owned(&[("a", "b")]));
    }

    #[test]
    fn headers_are_sorted_cased_and_joined() {
        let request = read(
            json!({"headers": {"user-agent": "curl", "ACCEPT": ["a", "b"], "x-n": 5, "cookie": "s=1; t=2", "x-null": null,
            "x-sentry-auth": "Sentry sentry_key=k", "authorization": "Sentry sentry_key=k"}}),
        );
        assert_eq!(request.headers, owned(&[("Accept", "a,b"), ("User-Agent", "curl"), ("X-N", "5")]));
        assert_eq!(request.cookies, owned(&[("s", "1"), ("t", "2")]));
        assert_eq!(read(json!({"headers": [["Host", "x"]]})).header("host"), Some("x"));
    }

    #[test]
    fn bodies_are_read_as_what_they_look_like() {
        for (body, headers, wanted, inferred) in [
            (json!("{\"a\": 1}"), json!({}), json!({"a": 1}), Some("application/json")),
            (json!("[1]"), json!({}), json!([1]), Some("application/json")),
            (json!("{broken"), json!({}), json!("{broken"), None),
            (json!("a=1&b=x%20y"), json!({}), json!({"a": "1", "b": "x y"}), Some("application/x-www-form-urlencoded")),
            (json!("a sentence = this"), json!({}), json!("a sentence = this"), None),
            (json!("a=1"), json!({"content-type": "text/plain; charset=utf-8"}), json!("a=1"), Some("text/plain")),
            (json!({"a": [1]}), json!({}), json!({"a": [1]}), None),
        ] {
            let request = read(json!({"data": body, "headers": headers}));
            assert_eq!(request.data, Some(wanted));
            assert_eq!(request.inferred_content_type.as_deref(), inferred);
        }
    }

    #[test]
    fn nothing_known_is_nothing() {
        for value in [json!(null), json!({}), json!("GET /"), json!({"url": "", "cookies": {}, "data": ""})] {
            assert_eq!(request(&mut Errors::default(), &Path::Root, value.clone()), None, "{value}");
        }
    }
}
