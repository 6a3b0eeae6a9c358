//! `POST /api/{project}/envelope/`: what current SDKs send.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use bytes::Bytes;

use super::accept::{IncomingEvent, MAX_EVENT_BYTES, Reception, accept};
use super::authorize::authorize;
use super::counters::TOTALS;
use super::credentials::Credentials;
use super::head::{self, PayloadId};
use super::key_cache::KeyCache;
use super::reply::{Accepted, Refusal};
use super::{body, decompress};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Dsn, Envelope, Item, PublicKey, parse_envelope};

/// Items that are accepted and counted, and not kept.
const NOT_KEPT: &[&str] = &[
    "attachment",
    "check_in",
    "client_report",
    "feedback",
    "form_data",
    "log",
    "metric_buckets",
    "metric_meta",
    "nel",
    "otel_span",
    "otel_traces_data",
    "profile",
    "profile_chunk",
    "profile_chunk_ui",
    "raw_security",
    "replay_event",
    "replay_recording",
    "replay_video",
    "security",
    "session",
    "sessions",
    "span",
    "statsd",
    "trace_metric",
    "transaction",
    "unreal_report",
    "user_report",
];

/// Items whose envelope needs an event id: one is made and told if the sender gave none.
const NEED_AN_ID: &[&str] = &[
    "attachment",
    "event",
    "feedback",
    "form_data",
    "profile",
    "raw_security",
    "replay_event",
    "security",
    "transaction",
    "unreal_report",
    "user_report",
];

/// Takes one envelope in.
pub(super) async fn receive(
    app: &App,
    keys: &Arc<KeyCache>,
    project: ProjectId,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let credentials = match admit(app, keys, project, &head).await {
        Ok(credentials) => credentials,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let reception = Reception::now(&head.headers, head.extensions.get::<ClientInfo>());
    let plain = decompress::decompress(&head.headers, body).await?;
    let envelope = parse(&plain.bytes)?;
    if credentials == Credentials::None {
        let key = tunnelled_key(&envelope).ok_or_else(|| Refusal::unauthorized("missing authorization information"))?;
        authorize(app, keys, &key, Some(project)).await?;
    }
    take_items(app, reception, project, envelope).await
}

/// Before a body is taken in, the key must be good, if the request's head has one.
async fn admit(app: &App, keys: &Arc<KeyCache>, project: ProjectId, head: &Parts) -> Result<Credentials, Refusal> {
    let credentials = Credentials::of_request(&head.headers, &head.uri)?;
    if let Credentials::Key(key) = &credentials {
        authorize(app, keys, key, Some(project)).await?;
    }
    Ok(credentials)
}

/// An envelope sent to `/store/` by its content type.
pub(super) async fn receive_authorized(
    app: &App,
    reception: Reception,
    project: ProjectId,
    body: &Bytes,
) -> Result<Accepted, Refusal> {
    take_items(app, reception, project, parse(body)?).await
}

fn parse(body: &Bytes) -> Result<Envelope, Refusal> {
    parse_envelope(body).map_err(|error| Refusal::bad_request("invalid event envelope", error))
}

fn tunnelled_key(envelope: &Envelope) -> Option<PublicKey> {
    envelope.header.dsn.as_deref().and_then(Dsn::parse).map(|dsn| dsn.public_key)
}

async fn take_items(
    app: &App,
    reception: Reception,
    project_id: ProjectId,
    envelope: Envelope,
) -> Result<Accepted, Refusal> {
    let Envelope { header, items, malformed } = envelope;
    if let Some(error) = malformed {
        tracing::debug!(%error, project.id = project_id.0, "the end of an envelope is malformed");
    }
    let mut id = header.event_id;
    let mut event: Option<Item> = None;
    let mut needs_id = false;
    for item in items {
        needs_id |= NEED_AN_ID.contains(&item.item_type.as_str());
        match item.item_type.as_str() {
            "event" if event.is_some() => TOTALS.surplus_event(),
            "event" => {
                let (given, is_another_kind) = look_at(&item.payload);
                id = id.or(given);
                if is_another_kind {
                    TOTALS.other_item();
                } else {
                    event = Some(item);
                }
            }
            known if NOT_KEPT.contains(&known) => TOTALS.other_item(),
            unknown => {
                TOTALS.unknown_item();
                tracing::debug!(item_type = unknown, "an item of unknown type was skipped");
            }
        }
    }
    if id.is_none() && needs_id {
        id = Some(EventId::random());
    }
    if let (Some(event), Some(event_id)) = (event, id) {
        let sent_at = header.sent_at;
        accept(app, reception, IncomingEvent { project_id, event_id, sent_at, payload: event.payload }).await?;
    }
    Ok(Accepted::Envelope(id))
}

/// The good id in an event, and whether the event calls itself something that is no error. An event that
/// cannot be read says neither; the worker will say what is wrong with it.
fn look_at(payload: &[u8]) -> (Option<EventId>, bool) {
    let repaired: Vec<u8>;
    let head = match head::read(payload) {
        None if payload.len() <= MAX_EVENT_BYTES => {
            repaired = head::without_bare_numbers(payload);
            head::read(&repaired)
        }
        head => head,
    };
    let Some((id, event_type)) = head else { return (None, false) };
    let given = if let PayloadId::Given(id) = id { Some(id) } else { None };
    (given, is_another_kind(event_type))
}

/// True for the `type` of an event that is none of ours: a transaction or feedback is no error, whichever
/// way it was sent.
pub(super) fn is_another_kind(event_type: Option<&str>) -> bool {
    event_type.is_some_and(|name| NOT_KEPT.contains(&name))
}
