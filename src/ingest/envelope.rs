//! `POST /api/{project}/envelope/`: what current SDKs send.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;

use super::accept::{IncomingEvent, MAX_EVENT_BYTES, NOT_KEPT, Reception, accept_all, refuse_limited};
use super::authorize::authorize;
use super::counters::TOTALS;
use super::credentials::Credentials;
use super::edge::Edge;
use super::head::{self, PayloadId};
use super::kept::{self, KeptItems};
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, client_report, decompress, security};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Category, Dsn, Envelope, Item, Outcome, PublicKey, parse_envelope};

/// Types of items that are accepted and counted, and not kept.
const KNOWN_TYPES: &[&str] = &[
    "attachment",
    "check_in",
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
pub(super) const NEED_AN_ID: &[&str] = &[
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

/// A container of more items than this is counted as one of so many: nobody's word alone fills the ledger.
const MAX_COUNTED: u64 = 10_000;

/// Items that go with their envelope's event: without it they are of no use to anybody.
const DEPENDENT: &[&str] = &["attachment", "form_data", "profile", "user_report"];

/// Takes one envelope in.
pub(super) async fn receive(app: &App, edge: &Edge, project: ProjectId, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match admit(app, edge, project, &head).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let client = head.extensions.get::<ClientInfo>();
    if let Some(refusal) = refuse_unread(edge, known.as_ref(), &head.headers, client).await {
        return Err(body::refuse(&head.headers, body, refusal).await);
    }
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let reception = Reception::now(project, &head.headers, client);
    let plain = decompress::decompress(&head.headers, body).await?;
    let envelope = parse(&plain.bytes)?;
    let known = if let Some(known) = known {
        known
    } else {
        let missing = || Refusal::unauthorized("missing authorization information");
        let key = tunnelled_key(&envelope).ok_or_else(missing)?;
        authorize(app, edge, &key, Some(project)).await?
    };
    take_items(edge, &known, reception, envelope).await
}

/// Before a body is taken in, the key must be good, if the request's head has one.
async fn admit(app: &App, edge: &Edge, project: ProjectId, head: &Parts) -> Result<Option<Known>, Refusal> {
    match Credentials::of_request(&head.headers, &head.uri)? {
        Credentials::Key(key) => authorize(app, edge, &key, Some(project)).await.map(Some),
        Credentials::None => Ok(None),
    }
}

/// When nothing of a key is let through any more, a body that says it is large need not be looked at: it counts as
/// one event. Another may hold what an SDK says of itself.
async fn refuse_unread(
    edge: &Edge,
    known: Option<&Known>,
    headers: &HeaderMap,
    client: Option<&ClientInfo>,
) -> Option<Refusal> {
    let known = known.filter(|known| !known.limits.is_empty() && body::is_large(headers))?;
    let mut reception = Reception::now(known.project_id, headers, client);
    reception.limits = edge.limits.exhausted(known, None, reception.received_at);
    let reason = reception.limits.first()?.reason;
    reception.count(Category::Error, Outcome::RateLimited, reason, 1);
    Some(refuse_limited(edge, reception).await)
}

/// An envelope sent to `/store/` by its content type.
pub(super) async fn receive_authorized(
    edge: &Edge,
    known: &Known,
    reception: Reception,
    body: &Bytes,
) -> Result<Accepted, Refusal> {
    take_items(edge, known, reception, parse(body)?).await
}

fn parse(body: &Bytes) -> Result<Envelope, Refusal> {
    parse_envelope(body).map_err(|error| Refusal::bad_request("invalid event envelope", error))
}

fn tunnelled_key(envelope: &Envelope) -> Option<PublicKey> {
    envelope.header.dsn.as_deref().and_then(Dsn::parse).map(|dsn| dsn.public_key)
}

async fn take_items(
    edge: &Edge,
    known: &Known,
    mut reception: Reception,
    envelope: Envelope,
) -> Result<Accepted, Refusal> {
    let Envelope { header, mut items, malformed } = envelope;
    if let Some(error) = malformed {
        tracing::debug!(%error, project.id = reception.project_id.0, "the end of an envelope is malformed");
    }
    if !known.limits.is_empty() {
        // First what decides about the others.
        items.sort_by_key(|item| DEPENDENT.contains(&item.item_type.as_str()));
    }
    let mut id = header.event_id;
    let mut event: Option<Item> = None;
    let mut needs_id = false;
    let mut takes_any = false;
    let mut event_is_held_back: Option<&'static str> = None;
    let mut kept = KeptItems::default();
    for item in items {
        let name = item.item_type.as_str();
        needs_id |= NEED_AN_ID.contains(&name);
        let is_event = matches!(name, "event" | "security") && event.is_none();
        let (given, other_kind) =
            if is_event || matches!(name, "feedback" | "transaction") { look_at(&item.payload) } else { (None, None) };
        id = id.or(given);
        let category = other_kind.unwrap_or_else(|| Category::of_item_type(name));
        if let Some(reason) = event_is_held_back.filter(|_| DEPENDENT.contains(&name)) {
            reception.count(category, Outcome::RateLimited, reason, 1);
            continue;
        }
        if let Err(reason) = reception.admit(edge, known, category, quantity(&item)) {
            if is_event {
                event_is_held_back = Some(reason);
            }
            continue;
        }
        if let Some(item_type) = kept::type_of(name, other_kind) {
            if !kept.take(item_type, item) {
                reception.drop(category, "too_large", 1);
                continue;
            }
            takes_any = true;
            TOTALS.other_item();
            reception.count(category, Outcome::Accepted, "", 1);
            continue;
        }
        takes_any = true;
        match other_kind {
            None if is_event => event = Some(item),
            Some(category) => {
                TOTALS.other_item();
                reception.drop(category, NOT_KEPT, 1);
            }
            None if name == "raw_security" => security::take_item(&mut reception, &item)?,
            None => count_unkept(&mut reception, &item),
        }
    }
    if !takes_any && !reception.limits.is_empty() {
        return Err(refuse_limited(edge, reception).await);
    }
    if id.is_none() && needs_id {
        id = Some(EventId::random());
    }
    let event = match (event, id) {
        (Some(item), Some(event_id)) => {
            Some(IncomingEvent { event_id, sent_at: header.sent_at, payload: item.payload })
        }
        _ => None,
    };
    let has_event = event.is_some();
    if let (false, Some(id)) = (has_event, id) {
        reception.name_made(id);
    }
    let limits = reception.limits.clone();
    let refusal = kept.refusal().filter(|_| !takes_any);
    let items = kept.into_incoming(id, header.sent_at);
    accept_all(edge, reception, event, items).await?;
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if has_event {
        TOTALS.event();
    }
    Ok(Accepted::Envelope(id, limits))
}

/// How many things of its kind an item stands for.
fn quantity(item: &Item) -> u64 {
    match item.item_type.as_str() {
        known if KNOWN_TYPES.contains(&known) => item.header.item_count.unwrap_or(1).clamp(1, MAX_COUNTED),
        _ => 1,
    }
}

/// Counts an item that is not kept.
fn count_unkept(reception: &mut Reception, item: &Item) {
    let name = item.item_type.as_str();
    let category = Category::of_item_type(name);
    match name {
        "event" => {
            TOTALS.surplus_event();
            reception.drop(category, "surplus", 1);
        }
        "client_report" => {
            TOTALS.other_item();
            let (project, at) = (reception.project_id, reception.received_at);
            if !client_report::count(&item.payload, project, at, &mut reception.tally) {
                tracing::debug!(project.id = project.0, "a client report cannot be read");
            }
        }
        known if KNOWN_TYPES.contains(&known) => {
            TOTALS.other_item();
            reception.drop(category, NOT_KEPT, quantity(item));
        }
        unknown => {
            TOTALS.unknown_item();
            tracing::debug!(item_type = unknown, "an item of unknown type was skipped");
            reception.drop(category, "unknown_type", 1);
        }
    }
}

/// The good id in an event, and what it counts as if it calls itself something that is no error. An event that cannot be
/// read says neither; the worker will say what is wrong with it.
fn look_at(payload: &[u8]) -> (Option<EventId>, Option<Category>) {
    let repaired: Vec<u8>;
    let head = match head::read(payload) {
        None if payload.len() <= MAX_EVENT_BYTES => {
            repaired = head::without_bare_numbers(payload);
            head::read(&repaired)
        }
        head => head,
    };
    let Some((id, event_type)) = head else { return (None, None) };
    let given = if let PayloadId::Given(id) = id { Some(id) } else { None };
    (given, other_kind(event_type))
}

/// What an event of this `type` counts as when it is none of ours: a transaction or feedback is no error, whichever way
/// it was sent.
pub(super) fn other_kind(event_type: Option<&str>) -> Option<Category> {
    event_type.filter(|name| KNOWN_TYPES.contains(name)).map(Category::of_item_type)
}
