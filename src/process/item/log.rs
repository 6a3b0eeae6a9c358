//! Records of logs, in containers.

use serde_json::{Map, Value};

use super::attributes::Attributes;
use super::{Fields, Unkept, span_id};
use crate::process::normalise::field::cut;
use crate::protocol::kept_item::LogRecord;

/// Records of one container; SDKs send a hundred.
const MAX_RECORDS: usize = 1_000;

/// Characters of a record's text.
const MAX_BODY: usize = 16_384;

/// Where JavaScript SDKs tell of the span that a record was written in, having no field for it.
const SPAN: &str = "sentry.trace.parent_span_id";

/// The records of a container, `{"version": 2, "items": [...]}`.
pub(super) fn records(mut fields: Fields<'_>) -> Result<Vec<LogRecord>, Unkept> {
    let Value::Array(items) = fields.take("items") else { return Err(Unkept::Filtered("no_logs")) };
    let settings = fields.inner("ingest_settings").object;
    fields.all_ended(&items, "timestamp");
    let objects = items.into_iter().take(MAX_RECORDS).filter_map(|item| match item {
        Value::Object(object) => Some(object),
        _ => None,
    });
    let records: Vec<LogRecord> = objects.map(|object| record(fields.of(object), &settings)).collect();
    if records.is_empty() { Err(Unkept::Filtered("no_logs")) } else { Ok(records) }
}

fn record(mut fields: Fields<'_>, settings: &Map<String, Value>) -> LogRecord {
    let received = fields.clock.received();
    fields.ended("timestamp");
    let mut attributes = Attributes::of_typed(fields.inner("attributes").object);
    attributes.infer(settings, fields.stamp, fields.stamp.client_ip);
    let span = attributes.take_word(SPAN).and_then(|text| span_id(&text));
    let level = fields.word("level", 32);
    let number = fields.unsigned("severity_number").filter(|number| (1..=24).contains(number));
    let body = match fields.take("body") {
        Value::String(text) => cut(text, MAX_BODY),
        Value::Null => String::new(),
        other => cut(other.to_string(), MAX_BODY),
    };
    LogRecord {
        logged_at: fields.time("timestamp").unwrap_or(received),
        severity: number.and_then(|number| i16::try_from(number).ok()).unwrap_or_else(|| severity(level.as_deref())),
        body,
        trace_id: fields.uuid("trace_id"),
        span_id: fields.span_id("span_id").or(span),
        release: attributes.take_release(),
        environment: attributes.take_environment(),
        attributes: attributes.into_map(),
    }
}

/// The first number of a level's four; what we do not know is `info`.
fn severity(level: Option<&str>) -> i16 {
    match level.map(str::to_ascii_lowercase).as_deref() {
        Some("trace") => 1,
        Some("debug") => 5,
        Some("warn" | "warning") => 13,
        Some("error") => 17,
        Some("fatal" | "critical") => 21,
        _ => 9,
    }
}
