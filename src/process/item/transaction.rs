//! Transactions: an event that is the span of a whole request, with the spans in it.

use std::net::IpAddr;

use serde_json::Value;

use super::attributes::Attributes;
use super::span::{MAX_NAME, MAX_SPANS, legacy, measurements, read_status, short, times};
use super::{Fields, Unkept};
use crate::process::normalise::user;
use crate::protocol::kept_item::Span;

/// The reason that a transaction without ids or times is counted with.
const INVALID: Unkept = Unkept::Filtered("invalid_transaction");

/// The transaction's own span, and those in it that can be ones.
pub(super) fn spans(mut fields: Fields<'_>) -> Result<Vec<Span>, Unkept> {
    fields.ended("timestamp");
    let (started_at, duration_ms) = times(&mut fields, "timestamp").ok_or(INVALID)?;
    let mut trace = fields.inner("contexts").inner("trace");
    let (trace_id, span_id) = trace.uuid("trace_id").zip(trace.span_id("span_id")).ok_or(INVALID)?;
    let source = fields.inner("transaction_info").word("source", 32);
    let name = fields.word("transaction", MAX_NAME).unwrap_or_else(|| "<unlabeled transaction>".to_owned());
    let name = if source.as_deref() == Some("url") { without_ids(&name) } else { name };
    let (release, environment) = (fields.release(), fields.environment());
    let attributes = attributes(&mut fields, &mut trace, source);
    let event_id = Some(fields.stamp.event_id);
    let own = Span {
        trace_id,
        span_id,
        parent_span_id: trace.span_id("parent_span_id"),
        segment_id: Some(span_id),
        is_segment: true,
        name,
        op: trace.word("op", MAX_NAME).map_or_else(|| "default".to_owned(), |op| short(&op)),
        status: read_status(&trace.take("status")).to_owned(),
        started_at,
        duration_ms,
        release: release.clone(),
        environment: environment.clone(),
        event_id,
        attributes: attributes.into_map(),
    };
    let mut spans = vec![own];
    if let Value::Array(list) = fields.take("spans") {
        // One that cannot be a span costs no other.
        let inner = list.into_iter().take(MAX_SPANS).filter_map(|span| match span {
            Value::Object(object) => legacy(fields.of(object)),
            _ => None,
        });
        spans.extend(inner.filter(|span| span.span_id != span_id).map(|span| Span {
            segment_id: Some(span_id),
            is_segment: false,
            release: release.clone(),
            environment: environment.clone(),
            event_id,
            ..span
        }));
    }
    Ok(spans)
}

/// What the event says beside, by the names that spans of version 2 have for it.
fn attributes(fields: &mut Fields<'_>, trace: &mut Fields<'_>, source: Option<String>) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set_all("", trace.take("data"));
    attributes.set("sentry.origin", trace.take("origin"));
    attributes.set("sentry.segment.name.source", source.into());
    attributes.set("server.address", fields.take("server_name"));
    let is_on_client = fields.object.get("platform").and_then(Value::as_str).is_some_and(user::is_on_client);
    attributes.set("sentry.platform", fields.take("platform"));
    let mut sdk = fields.inner("sdk");
    attributes.set("sentry.sdk.name", sdk.take("name"));
    attributes.set("sentry.sdk.version", sdk.take("version"));
    let mut request = fields.inner("request");
    attributes.set("http.request.method", request.take("method"));
    attributes.set("url.full", request.take("url"));
    attributes.set("user_agent.original", user_agent(request.take("headers")));
    let mut user = fields.inner("user");
    for (name, key) in
        [("user.id", "id"), ("user.name", "username"), ("user.email", "email"), ("user.ip_address", "ip_address")]
    {
        attributes.set(name, user.take(key));
    }
    // As of an event: what a server was asked from is nearer to the user than who sent it to us.
    let settings = sdk.inner("settings").object;
    let (client, is_old) = (fields.stamp.client_ip, settings.get("infer_ip").is_none_or(Value::is_null));
    let remote = request.inner("env").word("REMOTE_ADDR", 64).and_then(|text| text.parse::<IpAddr>().ok());
    attributes.infer(&settings, fields.stamp, if is_old { client } else { remote.or(client) });
    if is_old && let Some(ip) = remote.or(client.filter(|_| is_on_client)) {
        attributes.set("user.ip_address", ip.to_string().into());
    }
    attributes.set_all("tags.", fields.take("tags"));
    measurements(&mut attributes, fields.take("measurements"));
    attributes
}

/// The client's, of a server that tells what it was asked: headers are an object, or pairs.
fn user_agent(headers: Value) -> Value {
    let is_it = |name: &str| name.eq_ignore_ascii_case("user-agent");
    let found = match headers {
        Value::Object(map) => map.into_iter().find(|(name, _)| is_it(name)).map(|(_, value)| value),
        Value::Array(pairs) => pairs.into_iter().find_map(|pair| match pair {
            Value::Array(pair) if pair.first().and_then(Value::as_str).is_some_and(is_it) => pair.into_iter().nth(1),
            _ => None,
        }),
        _ => None,
    };
    found.unwrap_or_default()
}

/// `/a/*/b` of `/a/123/b`: a name that is an address has a thousand forms otherwise.
fn without_ids(name: &str) -> String {
    let segment = |part: &str| if is_id(part) { "*".to_owned() } else { part.to_owned() };
    name.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Numbers, UUIDs, hashes, dates, and words that end in a number of two digits or more.
fn is_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let is_hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let ends = part.len() - part.trim_end_matches(|one: char| one.is_ascii_digit()).len();
    digits > 0 && (digits == part.len() || (part.len() >= 8 && is_hexadecimal) || ends >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_ids() {
        for (name, wanted) in [
            ("/a/123/b", "/a/*/b"),
            ("/users/9f1c7a52-6d0e-4d5c-8d3e-0123456789ab/", "/users/*/"),
            ("/d/2026-11-20", "/d/*"),
            ("/u/user42", "/u/*"),
            ("/api/v1/about", "/api/v1/about"),
            ("/decade/cafe", "/decade/cafe"),
            ("GET /a/7", "GET /a/*"),
        ] {
            assert_eq!(without_ids(name), wanted);
        }
    }
}
