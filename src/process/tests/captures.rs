//! Requests that real SDKs sent, from the bytes on the wire to what lists show.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

use super::*;
use crate::process::grouping;
use crate::protocol::{decode_store_body, parse_envelope};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")
}

/// The body of a request; `.http` files have its head before it.
fn body(file: &str) -> Bytes {
    let bytes = Bytes::from(fs::read(fixtures().join(file)).unwrap());
    if !file.contains(".http") {
        return bytes;
    }
    let end = bytes.windows(2).position(|window| window == b"\n\n").unwrap();
    bytes.slice(end + 2..)
}

fn inflate(data: &[u8]) -> Result<Bytes, String> {
    let mut out = Vec::with_capacity(64 * 1024);
    flate2::Decompress::new(true)
        .decompress_vec(data, &mut out, flate2::FlushDecompress::Finish)
        .map_err(|error| error.to_string())?;
    Ok(out.into())
}

/// The stamp that the edge would have made, the request arriving as it was sent, and the event's payload.
pub(in crate::process) fn incoming(file: &str) -> (Stamp, Bytes) {
    let body = body(file);
    let mut stamp = stamp();
    stamp.received_at = "2026-11-20T15:00:00Z".parse().unwrap();
    if file.starts_with("raven") {
        return (stamp, decode_store_body(&body, inflate).unwrap());
    }
    let envelope = parse_envelope(&body).unwrap();
    assert_eq!(envelope.malformed, None, "{file}");
    stamp.sent_at = envelope.header.sent_at;
    if let Some(sent_at) = envelope.header.sent_at {
        stamp.received_at = sent_at;
    }
    stamp.event_id = envelope.header.event_id.unwrap_or(stamp.event_id);
    let event = envelope.items.into_iter().find(|item| item.item_type == "event").unwrap();
    (stamp, event.payload)
}

fn captured(file: &str) -> Processed {
    let (stamp, payload) = incoming(file);
    process(Incoming { stamp: &stamp, payload: &payload }).unwrap()
}

pub(in crate::process) fn files() -> Vec<String> {
    let mut files: Vec<String> =
        fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// Payloads to be damaged.
pub(super) fn payloads() -> Vec<Bytes> {
    files().iter().map(|file| incoming(file).1).filter(|payload| payload.len() < 12_000).collect()
}

/// What a change of normalisation or grouping would be seen in.
fn summary(processed: &Processed) -> serde_json::Value {
    let event = &processed.event;
    let frames: Vec<usize> = event
        .exception
        .values
        .iter()
        .map(|exception| exception.stacktrace.as_ref().map_or(0, |stack| stack.frames.len()))
        .collect();
    serde_json::json!({
        "title": processed.title,
        "culprit": processed.culprit,
        "kind": processed.kind,
        "level": processed.level,
        "platform": processed.platform,
        "unhandled": processed.is_unhandled,
        "metadata": processed.metadata,
        "user": processed.user,
        "ip": event.user.as_ref().and_then(|user| user.ip_address),
        "tags": processed.tags.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>(),
        "frames": frames,
        "breadcrumbs": event.breadcrumbs.values.len(),
        "contexts": event.contexts.keys().collect::<Vec<_>>(),
        "errors": event.errors,
        "grouping": grouping::texts(event),
    })
}

#[test]
fn every_capture_is_described_as_before() {
    for file in files() {
        let name = file.split('.').next().unwrap();
        insta::assert_json_snapshot!(name, summary(&captured(&file)));
    }
}

#[test]
fn what_is_stored_reads_back_and_writes_the_same_bytes() {
    let corpus = ["event-3k.json", "event-25k.json"]
        .map(|name| fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/corpus").join(name)).unwrap())
        .map(|payload| process(Incoming { stamp: &stamp(), payload: &payload }).unwrap());
    for processed in files().iter().map(|file| captured(file)).chain(corpus) {
        let read: Event = serde_json::from_slice(&processed.json).unwrap();
        assert_eq!(read, processed.event);
        assert_eq!(serde_json::to_vec(&read).unwrap(), processed.json);
    }
}

#[test]
fn the_id_in_the_envelope_header_wins() {
    for file in files() {
        let (stamp, payload) = incoming(&file);
        let processed = process(Incoming { stamp: &stamp, payload: &payload }).unwrap();
        assert_eq!(processed.event.event_id, stamp.event_id, "{file}");
    }
}

#[test]
fn no_dsn_and_no_credentials_are_stored() {
    for file in files() {
        let mut event = captured(&file).event;
        // A program's own source may name its DSN, and is shown as it is.
        for stack in event.exception.values.iter_mut().filter_map(|exception| exception.stacktrace.as_mut()) {
            stack.frames.clear();
        }
        let json = serde_json::to_string(&event).unwrap();
        assert!(!json.contains("a0b1c2d3e4f5061728394a5b6c7d8e9f@"), "{file}: {json}");
        assert!(!json.contains("sentry_key="), "{file}: {json}");
    }
}
