//! `/api/{project}/store/` and `/api/store/`: one event, as clients of old send it, by POST or in the address of an image.

use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use url::form_urlencoded;

use super::accept::{
    IncomingEvent, IncomingItem, MAX_EVENT_BYTES, Reception, TOO_LARGE, accept, accept_all, event_too_large,
    refuse_limited,
};
use super::authorize::authorize_head;
use super::counters::TOTALS;
use super::edge::Edge;
use super::head::{self, PayloadId};
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, decompress, envelope};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Category, Outcome, StampedItem, StoreBodyError, decode_store_body};

const INVALID: &str = "invalid event";

/// Takes one event in; without `project`, the key tells which project it is for.
pub(super) async fn receive(
    app: &App,
    edge: &Edge,
    project: Option<ProjectId>,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match authorize_head(app, edge, &head, project).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let mut reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_envelope = content_type.starts_with("application/x-sentry-envelope");
    if !is_envelope {
        // What it calls itself decides which limits it counts against, unless nothing at all is let through any more. A
        // large one is not read to find out.
        let category = body::is_large(&head.headers).then_some(Category::Error);
        reception.limits = edge.limits.exhausted(&known, category, reception.received_at);
        if let Some(reason) = reception.limits.first().map(|limited| limited.reason) {
            reception.count(Category::Error, Outcome::RateLimited, reason, 1);
            let refusal = refuse_limited(edge, reception).await;
            return Err(body::refuse(&head.headers, body, refusal).await);
        }
    }
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let plain = decompress::decompress(&head.headers, body).await?;
    if is_envelope {
        return envelope::receive_authorized(edge, &known, reception, &plain.bytes).await;
    }
    take_event(edge, &known, reception, &plain.bytes).await.map(Accepted::Store)
}

/// Takes in the event that `sentry_data` in the query holds: the first SDKs for browsers sent it as an image's address.
pub(super) async fn receive_query(
    app: &App,
    edge: &Edge,
    project: Option<ProjectId>,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, _) = request.into_parts();
    let known = authorize_head(app, edge, &head, project).await?;
    let reception = Reception::now(known.project_id, &head.headers, head.extensions.get::<ClientInfo>());
    let data = data_of_query(head.uri.query().unwrap_or_default());
    let data = data.ok_or_else(|| Refusal::bad_request(INVALID, "the query has no sentry_data"))?;
    take_event(edge, &known, reception, &data).await.map(|_| Accepted::Pixel)
}

fn data_of_query(query: &str) -> Option<Bytes> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, data) = pairs.find(|(name, _)| name == "sentry_data")?;
    // The plus of base64 means a space in a query, unless the client has escaped it.
    let data = if data.trim_start().starts_with('{') { data.into_owned() } else { data.replace(' ', "+") };
    Some(data.into())
}

/// Keeps the event in the body, or what it calls itself if it is no error.
async fn take_event(edge: &Edge, known: &Known, mut reception: Reception, body: &Bytes) -> Result<EventId, Refusal> {
    let payload = match unwrap_event(body) {
        Err(StoreBodyError::Inflate(decompress::DecodeError::TooLarge)) => {
            return Err(refuse_too_large(edge, reception, None).await);
        }
        unwrapped => unwrapped.map_err(|error| Refusal::bad_request(INVALID, error))?,
    };
    if payload.len() > MAX_EVENT_BYTES {
        let other = head::read(&payload).and_then(|(_, event_type)| envelope::other_type(event_type));
        return Err(refuse_too_large(edge, reception, other).await);
    }
    let (payload, event_id, other) = read_head(payload)?;
    let category = Category::of_item_type(other.unwrap_or(StampedItem::EVENT));
    if reception.admit(edge, known, category, 1).is_err() {
        return Err(refuse_limited(edge, reception).await);
    }
    let (mut event, mut items) = (None, Vec::new());
    match other {
        Some(item_type) => {
            reception.count(category, Outcome::Accepted, "", 1);
            items.push(IncomingItem::new(item_type, Some(event_id), payload));
        }
        None => event = Some(IncomingEvent { event_id, sent_at: None, payload }),
    }
    accept_all(edge, reception, event, items).await?;
    match other {
        Some(_) => TOTALS.other_item(),
        None => TOTALS.event(),
    }
    Ok(event_id)
}

fn unwrap_event(body: &Bytes) -> Result<Bytes, StoreBodyError<decompress::DecodeError>> {
    decode_store_body(body, |data| decompress::inflate(data, MAX_EVENT_BYTES))
}

/// The answer to an event that is too large; it is counted all the same, as what it calls itself if that can be read.
async fn refuse_too_large(edge: &Edge, mut reception: Reception, other: Option<&str>) -> Refusal {
    reception.drop(Category::of_item_type(other.unwrap_or(StampedItem::EVENT)), TOO_LARGE, 1);
    accept(edge, reception, None).await.err().unwrap_or_else(event_too_large)
}

/// The event in strict JSON, its id (made if it has none), and the type of item that it is if it is no error.
fn read_head(payload: Bytes) -> Result<(Bytes, EventId, Option<&'static str>), Refusal> {
    let payload = if head::read(&payload).is_some() { payload } else { head::without_bare_numbers(&payload).into() };
    let Some((id, event_type)) = head::read(&payload) else {
        return Err(Refusal::bad_request(INVALID, "the body is not a JSON object"));
    };
    let event_id = match id {
        PayloadId::Given(id) => id,
        PayloadId::Absent => EventId::random(),
        PayloadId::Invalid => {
            return Err(Refusal::bad_request(INVALID, "the event id is not 32 hexadecimal digits"));
        }
    };
    let other = envelope::other_type(event_type);
    Ok((payload, event_id, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_of_old_python_clients_are_no_obstacle() {
        let body = Bytes::from_static(br#"{"event_id":"0123456789abcdef0123456789abcdef","extra":{"x":NaN}}"#);
        let (payload, id, other) = read_head(body).unwrap();
        assert_eq!(id.to_string(), "0123456789abcdef0123456789abcdef");
        assert!(other.is_none() && payload.ends_with(br#""x":null}}"#));
    }

    #[test]
    fn the_query_holds_json_or_base64() {
        for (query, data) in [
            ("sentry_version=4&sentry_data=%7B%22a%22%3A+1%7D", Some(r#"{"a": 1}"#)),
            ("sentry_data=eyJ+a/b%2Bc%3D", Some("eyJ+a/b+c=")),
            ("sentry_key=x", None),
        ] {
            assert_eq!(data_of_query(query).as_deref(), data.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in [r#"{"event_id":"short"}"#, r#"{"a":"#, "{nonsense}"] {
            assert!(read_head(Bytes::from(body)).is_err(), "{body}");
        }
    }
}
