//! `POST /api/{project}/envelope/`: what current SDKs send.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;

use super::accept::{IncomingEvent, MAX_EVENT_BYTES, NOT_KEPT, Reception, TOO_LARGE, accept_all, refuse_limited};
use super::authorize::authorize;
use super::counters::TOTALS;
use super::credentials::Credentials;
use super::edge::Edge;
use super::head::{self, PayloadId};
use super::kept::{ATTACHMENT, KeptItems};
use super::key_cache::Known;
use super::reply::{Accepted, Refusal};
use super::{body, client_report, crash, decompress, security};
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{
    Category, Crash, Dsn, Envelope, EnvelopeError, Item, Outcome, PublicKey, StampedItem, parse_envelope,
};

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

/// The reason that counts what is more than is looked at.
const SURPLUS: &str = "surplus";

/// The reason that counts the end of an envelope that cannot be read.
const MALFORMED: &str = "malformed";

/// A container of more items than this is counted as one of so many: nobody's word alone fills the ledger.
const MAX_COUNTED: u64 = 10_000;

/// Items that go with their envelope's event: without it they are of no use to anybody.
const DEPENDENT: &[&str] = &["attachment", "form_data", "profile", "unreal_report", "user_report"];

/// Takes one envelope in.
pub(super) async fn receive(app: &App, edge: &Edge, project: ProjectId, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let known = match admit(app, edge, project, &head).await {
        Ok(known) => known,
        Err(refusal) => return Err(body::refuse(&head.headers, body, refusal).await),
    };
    let client = head.extensions.get::<ClientInfo>();
    let admitted = known.as_ref().map(|(_, known)| known);
    if let Some(refusal) = refuse_unread(edge, admitted, &head.headers, client).await {
        return Err(body::refuse(&head.headers, body, refusal).await);
    }
    let (body, _room) = body::read(&head.headers, body, app.config.max_upload_bytes).await?;
    let reception = Reception::now(project, &head.headers, client);
    let plain = decompress::decompress(&head.headers, body).await?;
    let envelope = parse(&plain.bytes)?;
    let known = if let Some((key, known)) = known {
        edge.mismatches.check(&key, project, envelope.header.dsn.as_deref());
        known
    } else {
        let missing = || Refusal::unauthorized("missing authorization information");
        let key = tunnelled_key(&envelope).ok_or_else(missing)?;
        authorize(app, edge, &key, Some(project)).await?
    };
    take_items(edge, &known, reception, envelope).await
}

/// Before a body is taken in, the key must be good, if the request's head has one.
async fn admit(
    app: &App,
    edge: &Edge,
    project: ProjectId,
    head: &Parts,
) -> Result<Option<(PublicKey, Known)>, Refusal> {
    match Credentials::of_request(&head.headers, &head.uri)? {
        Credentials::Key(key) => {
            let known = authorize(app, edge, &key, Some(project)).await?;
            Ok(Some((key, known)))
        }
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

/// What becomes of an event that is not kept, and of what goes with it.
#[derive(Debug, Clone, Copy)]
enum Dropped {
    /// Held back by a limit, with this reason.
    Limited(&'static str),
    TooLarge,
}

/// What has been found in an envelope so far.
#[derive(Default)]
struct Found {
    /// From the envelope's header, else from the first item that has one.
    id: Option<EventId>,
    event: Option<Item>,
    /// What a dump is of, which makes an event, or completes the one beside it.
    crash: Option<Crash>,
    /// What else was in the form that the dump was sent in.
    forms: Vec<Item>,
    needs_id: bool,
    /// Something has been let through.
    takes_any: bool,
    /// Why the event is not kept: what goes with it shares its fate.
    dropped: Option<Dropped>,
    kept: KeptItems,
}

impl Found {
    fn take(&mut self, edge: &Edge, known: &Known, reception: &mut Reception, item: Item) {
        let name = item.item_type.as_str();
        self.needs_id |= NEED_AN_ID.contains(&name);
        let is_event = matches!(name, "event" | "security") && self.event.is_none();
        let (given, other) =
            if is_event || matches!(name, "feedback" | "transaction") { look_at(&item.payload) } else { (None, None) };
        self.id = self.id.or(given);
        let crash = crash::kind_of_item(&item);
        let item_type = match (crash, other) {
            (Some(_), _) => ATTACHMENT,
            (None, Some(other)) if is_event => other,
            _ => name,
        };
        let category = Category::of_item_type(item_type);
        if let Some(dropped) = self.dropped.filter(|_| DEPENDENT.contains(&name)) {
            match dropped {
                Dropped::Limited(reason) => reception.count(category, Outcome::RateLimited, reason, 1),
                Dropped::TooLarge => reception.drop(category, TOO_LARGE, 1),
            }
            return;
        }
        if let Err(reason) = reception.admit(edge, known, category, quantity(&item)) {
            if is_event {
                self.dropped = Some(Dropped::Limited(reason));
            }
            return;
        }
        if let Some(item_type) = StampedItem::kept(item_type) {
            self.crash = self.crash.or(crash);
            self.takes_any |= self.kept.take_counted(reception, item_type, category, item);
            return;
        }
        let is_large = item.payload.len() > MAX_EVENT_BYTES;
        if is_large && is_event {
            self.dropped = Some(Dropped::TooLarge);
            self.kept.leave_out(reception, Category::Error, MAX_EVENT_BYTES);
            return;
        }
        if is_large && name == "raw_security" {
            self.kept.leave_out(reception, category, MAX_EVENT_BYTES);
            return;
        }
        self.takes_any = true;
        if name == "form_data" && !is_large {
            self.forms.push(item);
            return;
        }
        match name {
            _ if is_event => self.event = Some(item),
            "raw_security" => security::take_item(reception, &item),
            _ => count_unkept(reception, &item),
        }
    }

    /// Makes the event of a dump that came without one, as far as limits let it through; one that came is completed. A
    /// form is a part of it, and nothing without it.
    fn settle_crash(&mut self, edge: &Edge, known: &Known, reception: &mut Reception) {
        let forms = std::mem::take(&mut self.forms);
        let completed = match (self.crash, &mut self.event, self.dropped) {
            (Some(crash), Some(event), _) => {
                let whole = crash::completed(crash, &event.payload, &forms);
                whole.map(|payload| event.payload = payload).is_some()
            }
            (Some(crash), None, None) if reception.admit(edge, known, Category::Error, 1).is_ok() => {
                let payload = crash::event_of_forms(crash, &forms);
                // The first of those made here has the id that is told.
                reception.made.insert(0, IncomingEvent { event_id: EventId::random(), sent_at: None, payload });
                self.takes_any = true;
                true
            }
            _ => false,
        };
        if !completed {
            for form in &forms {
                count_unkept(reception, form);
            }
        }
    }
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
        count_lost(&mut reception, &error);
    }
    // First what decides about the others.
    items.sort_by_key(|item| DEPENDENT.contains(&item.item_type.as_str()));
    let mut found = Found { id: header.event_id, ..Found::default() };
    for item in items {
        found.take(edge, known, &mut reception, item);
    }
    found.settle_crash(edge, known, &mut reception);
    let Found { mut id, event, needs_id, takes_any, kept, .. } = found;
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

/// Counts what is lost behind the good items of an envelope as one item: nobody knows what it was.
fn count_lost(reception: &mut Reception, error: &EnvelopeError) {
    if *error == EnvelopeError::TooManyItems {
        reception.drop(Category::Default, SURPLUS, 1);
    } else {
        reception.count(Category::Default, Outcome::Accepted, "", 1);
        reception.count(Category::Default, Outcome::Rejected, MALFORMED, 1);
    }
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
            reception.drop(category, SURPLUS, 1);
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

/// The good id in an event, and the type of item that it calls itself if that is something that is no error. An event that
/// cannot be read says neither; the worker will say what is wrong with it.
fn look_at(payload: &[u8]) -> (Option<EventId>, Option<&'static str>) {
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
    (given, other_type(event_type))
}

/// The type of item that an event with this `type` is, whichever way it was sent, when it is no error. Of any other `type`
/// it is an error event: what it holds decides of what kind.
pub(super) fn other_type(event_type: Option<&str>) -> Option<&'static str> {
    ["feedback", "transaction"].into_iter().find(|name| event_type == Some(name))
}
