//! An event as JSON, in the shape of Sentry's API.

use serde_json::{Value, json};

use super::event_entries::entries;
use super::issue_json::release_json;
use super::users::time;
use crate::protocol::event::{Event, LogEntry};
use crate::store::event_lookup::{Neighbours, StoredEvent};

/// An event as lists show it.
pub(super) fn event_row_json(stored: &StoredEvent) -> Value {
    let event = &stored.event;
    json!({
        "id": stored.event_id,
        "eventID": stored.event_id,
        "groupID": stored.issue_id.to_string(),
        "projectID": stored.project_id.to_string(),
        "dateCreated": time(stored.occurred_at),
        "dateReceived": time(stored.received_at),
        "title": event.title,
        "message": message(event),
        "culprit": event.culprit,
        "location": event.metadata.filename,
        "type": event.kind.as_str(),
        "event.type": event.kind.as_str(),
        "platform": event.platform,
        "metadata": event.metadata,
        "user": user_json(event),
        "tags": tags_json(event),
    })
}

/// A whole event.
pub(super) fn event_json(stored: &StoredEvent, neighbours: Neighbours) -> Value {
    let event = &stored.event;
    let mut json = event_row_json(stored);
    let Some(fields) = json.as_object_mut() else { return json };
    let details = [
        ("entries", json!(entries(event))),
        ("contexts", json!(event.contexts)),
        ("context", json!(event.extra)),
        ("packages", json!(event.modules)),
        ("sdk", json!(event.sdk)),
        ("dist", json!(event.dist)),
        ("release", release_json(event.release.as_deref())),
        ("environment", json!(event.environment)),
        ("transaction", json!(event.transaction)),
        ("logger", json!(event.logger)),
        ("level", json!(event.level)),
        ("fingerprint", json!(event.fingerprint)),
        ("errors", json!(event.errors)),
        ("_meta", json!(event.meta)),
        ("size", json!(stored.json.len())),
        ("userReport", Value::Null),
        ("nextEventID", json!(neighbours.next)),
        ("previousEventID", json!(neighbours.previous)),
    ];
    fields.extend(details.map(|(name, value)| (name.to_owned(), value)));
    json
}

fn message(event: &Event) -> &str {
    event.logentry.as_ref().map(LogEntry::text).unwrap_or_default()
}

fn tags_json(event: &Event) -> Value {
    event.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// Every field that clients look for is there, null or not.
fn user_json(event: &Event) -> Value {
    let Some(user) = &event.user else { return Value::Null };
    json!({
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "name": user.name,
        "ip_address": user.ip_address,
        "geo": user.geo,
        "data": user.data,
    })
}
