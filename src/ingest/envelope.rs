//! `POST /api/{project}/envelope/`: what current SDKs send.

use axum::extract::Request;

use super::accept::{IncomingEvent, Reception, accept};
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
use bytes::Bytes;

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
    keys: &KeyCache,
    project: ProjectId,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body).await?;
    let reception = Reception::now(&head.headers, head.extensions.get::<ClientInfo>());
    let credentials = Credentials::of_request(&head.headers, &head.uri)?;
    if let Credentials::Key(key) = &credentials {
        authorize(app, keys, key, Some(project)).await?;
    }
    let plain = decompress::decompress(&head.headers, body).await?;
    let envelope = parse(&plain.bytes)?;
    if credentials == Credentials::None {
        let key = tunnelled_key(&envelope).ok_or_else(|| Refusal::unauthorized("missing authorization information"))?;
        authorize(app, keys, &key, Some(project)).await?;
    }
    take_items(app, reception, project, envelope).await
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
            "event" if event.is_none() => event = Some(item),
            "event" => TOTALS.surplus_event(),
            known if NOT_KEPT.contains(&known) => TOTALS.other_item(),
            unknown => {
                TOTALS.unknown_item();
                tracing::debug!(item_type = unknown, "an item of unknown type was skipped");
            }
        }
    }
    if let (None, Some(event)) = (id, &event)
        && let Some((PayloadId::Given(given), _)) = head::read(&event.payload)
    {
        id = Some(given);
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
