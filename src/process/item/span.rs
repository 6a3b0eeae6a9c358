//! Spans sent by themselves: in containers (version 2), and single ones as older SDKs send them.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::attributes::Attributes;
use super::{Fields, Unkept};
use crate::process::normalise::clock::MAX_FUTURE;
use crate::protocol::kept_item::Span;

/// Spans of one container or transaction.
pub(super) const MAX_SPANS: usize = 1_000;

/// Characters of a name or description, and of an operation.
pub(super) const MAX_NAME: usize = 2_048;
const MAX_OP: usize = 128;

/// How old a span may be when it comes.
const MAX_AGE: TimeDelta = TimeDelta::days(30);

/// The spans of a container, or the one span that the payload is.
pub(super) fn spans(mut fields: Fields<'_>) -> Result<Vec<Span>, Unkept> {
    let Value::Array(items) = fields.take("items") else {
        fields.ended("timestamp");
        return alone(fields).map(|span| vec![span]).ok_or(Unkept::Filtered("no_spans"));
    };
    let settings = fields.inner("ingest_settings").object;
    fields.all_ended(&items, "end_timestamp");
    let objects = items.into_iter().take(MAX_SPANS).filter_map(|item| match item {
        Value::Object(object) => Some(object),
        _ => None,
    });
    let spans: Vec<Span> = objects.filter_map(|object| current(fields.of(object), &settings)).collect();
    if spans.is_empty() { Err(Unkept::Filtered("no_spans")) } else { Ok(spans) }
}

/// A span of version 2: what has no field of its own is an attribute.
fn current(mut fields: Fields<'_>, settings: &Map<String, Value>) -> Option<Span> {
    fields.ended("end_timestamp");
    let (started_at, duration_ms) = times(&mut fields, "end_timestamp")?;
    let mut attributes = Attributes::of_typed(fields.inner("attributes").object);
    attributes.infer(settings, fields.stamp, fields.stamp.client_ip);
    let is_segment = fields.flag("is_segment");
    let span_id = fields.span_id("span_id")?;
    let segment_id = attributes.take_word("sentry.segment.id").and_then(|text| hexadecimal(&text));
    let segment_name = attributes.take_word("sentry.segment.name");
    let name = fields.word("name", MAX_NAME);
    // The transaction's name changes while the page loads; the segment's own attribute has the last word.
    let name = if is_segment { segment_name.or(name) } else { name };
    let failure = attributes.take_word("sentry.status.message");
    let status = match fields.word("status", 32).as_deref() {
        Some("error") => failure.as_deref().map_or("internal_error", status),
        other => other.map_or("ok", status),
    };
    Some(Span {
        trace_id: fields.uuid("trace_id")?,
        span_id,
        parent_span_id: fields.span_id("parent_span_id"),
        segment_id: segment_id.or(is_segment.then_some(span_id)),
        is_segment,
        name: name.unwrap_or_default(),
        op: attributes.take_word("sentry.op").map_or_else(|| "default".to_owned(), |op| short(&op)),
        status: status.to_owned(),
        started_at,
        duration_ms,
        release: attributes.take_release(),
        environment: attributes.take_environment(),
        event_id: None,
        attributes: attributes.into_map(),
    })
}

/// The same, sent by itself: what its transaction would say stands in `data`, by names of its own.
fn alone(mut fields: Fields<'_>) -> Option<Span> {
    if let Some(Value::Object(data)) = fields.object.get_mut("data") {
        let user = match data.get("user").and_then(Value::as_str) {
            Some(user) if user.contains('@') => "user.email",
            Some(user) if user.parse::<IpAddr>().is_ok() => "user.ip_address",
            _ => "user.id",
        };
        for (own, name) in [
            ("release", "sentry.release"),
            ("environment", "sentry.environment"),
            ("transaction", "sentry.segment.name"),
            ("user", user),
        ] {
            if let Some(value) = data.remove(own) {
                data.entry(name).or_insert(value);
            }
        }
    }
    legacy(fields)
}

/// A span as it stands in a transaction: with a description, and data.
pub(super) fn legacy(mut fields: Fields<'_>) -> Option<Span> {
    let (started_at, duration_ms) = times(&mut fields, "timestamp")?;
    let mut attributes = Attributes::default();
    attributes.set_all("", fields.take("data"));
    attributes.set_all("tags.", fields.take("tags"));
    measurements(&mut attributes, fields.take("measurements"));
    attributes.set("sentry.origin", fields.take("origin"));
    attributes.infer(&Map::new(), fields.stamp, fields.stamp.client_ip);
    let is_segment = fields.flag("is_segment");
    let name = fields.word("description", MAX_NAME).or_else(|| fields.word("name", MAX_NAME));
    let span_id = fields.span_id("span_id")?;
    Some(Span {
        trace_id: fields.uuid("trace_id")?,
        span_id,
        parent_span_id: fields.span_id("parent_span_id"),
        segment_id: fields.span_id("segment_id").or(is_segment.then_some(span_id)),
        is_segment,
        name: name.unwrap_or_default(),
        op: fields.word("op", MAX_NAME).map_or_else(|| "default".to_owned(), |op| short(&op)),
        status: read_status(&fields.take("status")).to_owned(),
        started_at,
        duration_ms,
        release: attributes.take_release(),
        environment: attributes.take_environment(),
        event_id: None,
        attributes: attributes.into_map(),
    })
}

/// Names with values and perhaps units.
pub(super) fn measurements(attributes: &mut Attributes, value: Value) {
    let Value::Object(object) = value else { return };
    for (name, mut measured) in object {
        let value = measured.get_mut("value").map(Value::take).unwrap_or_default();
        attributes.set(&format!("measurements.{name}"), value);
    }
}

/// How much earlier the end of a short span may seem to be than its beginning. The Rust SDK sends the one to the
/// nanosecond and the other as a floating-point number of seconds, which is rounded.
const ROUNDING: TimeDelta = TimeDelta::microseconds(1);

/// Begin and duration in milliseconds, if the one is before the other and neither is absurd. A missing end is the
/// beginning.
pub(super) fn times(fields: &mut Fields<'_>, end: &str) -> Option<(DateTime<Utc>, f64)> {
    let received = fields.clock.received();
    let started_at = fields.time("start_timestamp")?;
    let ended_at = fields.time(end).unwrap_or(started_at);
    let ended_at = if ended_at < started_at && ended_at + ROUNDING >= started_at { started_at } else { ended_at };
    let is_plausible = started_at <= ended_at && started_at > received - MAX_AGE && started_at < received + MAX_FUTURE;
    let took = (ended_at - started_at).to_std().ok()?;
    is_plausible.then_some((started_at, took.as_secs_f64() * 1_000.0))
}

pub(super) fn short(op: &str) -> String {
    op.chars().take(MAX_OP).collect()
}

fn hexadecimal(text: &str) -> Option<i64> {
    let number = u64::from_str_radix(text, 16).ok().filter(|number| text.len() == 16 && *number != 0)?;
    Some(number.cast_signed())
}

/// By name, or by gRPC's number; none is `ok`, as nobody says otherwise.
pub(super) fn read_status(value: &Value) -> &'static str {
    match value {
        Value::String(text) => status(text),
        Value::Number(number) => {
            let index = number.as_u64().and_then(|number| usize::try_from(number).ok());
            index.and_then(|index| STATUSES.get(index)).copied().unwrap_or("unknown")
        }
        _ => "ok",
    }
}

/// OpenTelemetry's names, each at the place of its gRPC code.
const STATUSES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal_error",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

fn status(text: &str) -> &'static str {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "success" => "ok",
        "canceled" => "cancelled",
        "unknown_error" | "error" => "internal_error",
        name => STATUSES.into_iter().find(|known| *known == name).unwrap_or("unknown"),
    }
}
