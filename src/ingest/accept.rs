//! Where an item becomes ours: stamps it and hands it to the spool. After this returns, it must not be lost.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::counters::TOTALS;
use super::edge::Edge;
use super::key_cache::Known;
use super::limit::answer::RateLimits;
use super::reply::Refusal;
use super::spool::SpoolError;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Category, Outcome, Stamp, StampedItem, Tally, TallyKey};

/// Largest event.
pub(super) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A `User-Agent` is kept up to this many characters.
const MAX_USER_AGENT: usize = 512;

/// The reason that items of known types are filtered with while nothing keeps them.
pub(super) const NOT_KEPT: &str = "not_kept";

/// The reason that what is too large is filtered with, and what is nothing without it.
pub(super) const TOO_LARGE: &str = "too_large";

/// What is common to all items of a request.
pub(super) struct Reception {
    pub(super) project_id: ProjectId,
    pub(super) received_at: DateTime<Utc>,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    /// What is counted for the request.
    pub(super) tally: Tally,
    /// The limits that held a part of it back.
    pub(super) limits: RateLimits,
    /// Events made at the edge of what is sent in another form, besides the one that is sent as such.
    pub(super) made: Vec<IncomingEvent>,
}

impl Reception {
    /// Of a request that has just arrived.
    pub(super) fn now(project_id: ProjectId, headers: &HeaderMap, client: Option<&ClientInfo>) -> Self {
        let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            project_id,
            received_at: Utc::now(),
            client_ip: client.map(|client| client.ip),
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
            tally: Tally::default(),
            limits: RateLimits::default(),
            made: Vec::new(),
        }
    }

    /// Gives the first event made here the id that the sender is told.
    pub(super) fn name_made(&mut self, id: EventId) {
        if let Some(first) = self.made.first_mut() {
            first.event_id = id;
        }
    }

    /// Counts items.
    pub(super) fn count(&mut self, category: Category, outcome: Outcome, reason: &'static str, quantity: u64) {
        self.tally.add(TallyKey::new(self.project_id, self.received_at, category, outcome, reason), quantity);
    }

    /// Lets so many items through, as far as the key's limits do; else they are counted, under the reason given back.
    pub(super) fn admit(
        &mut self,
        edge: &Edge,
        key: &Known,
        category: Category,
        quantity: u64,
    ) -> Result<(), &'static str> {
        edge.limits.take(key, category, quantity, self.received_at).map_err(|limited| {
            let reason = limited.reason;
            self.count(category, Outcome::RateLimited, reason, quantity);
            self.limits.add(limited);
            reason
        })
    }

    /// An item of the request as it goes on its way. One that belongs to no event has its own reception's id.
    fn entry(
        &self,
        item_type: &str,
        event_id: Option<EventId>,
        sent_at: Option<DateTime<Utc>>,
        payload: Bytes,
    ) -> Bytes {
        let ingest_id = Uuid::now_v7();
        let stamp = Stamp {
            ingest_id,
            project_id: self.project_id,
            item_type: item_type.to_owned(),
            event_id: event_id.unwrap_or(EventId(ingest_id)),
            received_at: self.received_at,
            received_on: self.received_at.date_naive(),
            sent_at,
            client_ip: self.client_ip,
            user_agent: self.user_agent.clone(),
        };
        StampedItem { stamp, payload }.encode()
    }

    /// Counts items that are accepted, and dropped on purpose.
    pub(super) fn drop(&mut self, category: Category, reason: &'static str, quantity: u64) {
        self.count(category, Outcome::Accepted, "", quantity);
        self.count(category, Outcome::Filtered, reason, quantity);
    }
}

/// An event on its way in.
pub(super) struct IncomingEvent {
    pub(super) event_id: EventId,
    pub(super) sent_at: Option<DateTime<Utc>>,
    pub(super) payload: Bytes,
}

/// An item beside events that is kept; counted already.
pub(super) struct IncomingItem {
    /// One of the types that are kept.
    pub(super) item_type: &'static str,
    /// That of the envelope, for what belongs to one.
    pub(super) event_id: Option<EventId>,
    pub(super) sent_at: Option<DateTime<Utc>>,
    /// A line that goes before the payload.
    pub(super) head: Option<String>,
    pub(super) payload: Bytes,
}

impl IncomingItem {
    /// One without a line before its payload.
    pub(super) fn new(item_type: &'static str, event_id: Option<EventId>, payload: Bytes) -> Self {
        Self { item_type, event_id, sent_at: None, head: None, payload }
    }

    /// What is kept of it, a copy if it has a head.
    fn content(self) -> Bytes {
        let Some(head) = self.head else { return self.payload };
        let mut content = BytesMut::with_capacity(head.len() + 1 + self.payload.len());
        content.put_slice(head.as_bytes());
        content.put_u8(b'\n');
        content.put_slice(&self.payload);
        content.freeze()
    }
}

/// Requests that bring more than this go one after the other while they are taken in, each being there several times over.
const LARGE: usize = 8 * 1024 * 1024;

static ONE_LARGE: Semaphore = Semaphore::const_new(1);

/// Returns when the spool has the events, if there are any, and what is counted for the request. Refused: anything when
/// there is no room for it.
pub(super) async fn accept(edge: &Edge, reception: Reception, event: Option<IncomingEvent>) -> Result<(), Refusal> {
    accept_all(edge, reception, event, Vec::new()).await
}

/// As [`accept`], with items beside the events: all are taken in or nothing is. An event over the limit is counted and left
/// out, and refused when nothing else is to be kept.
pub(super) async fn accept_all(
    edge: &Edge,
    mut reception: Reception,
    event: Option<IncomingEvent>,
    items: Vec<IncomingItem>,
) -> Result<(), Refusal> {
    let bytes: usize = items.iter().map(|item| item.payload.len()).sum();
    let _turn = if bytes > LARGE { ONE_LARGE.acquire().await.ok() } else { None };
    let made = std::mem::take(&mut reception.made);
    let made_here = made.iter().filter(|event| event.payload.len() <= MAX_EVENT_BYTES).count();
    let mut entries = Vec::with_capacity(items.len() + made.len() + usize::from(event.is_some()));
    let mut left_out = 0;
    for IncomingEvent { event_id, sent_at, payload } in event.into_iter().chain(made) {
        if payload.len() > MAX_EVENT_BYTES {
            left_out += 1;
            continue;
        }
        reception.count(Category::Error, Outcome::Accepted, "", 1);
        entries.push(reception.entry(StampedItem::EVENT, Some(event_id), sent_at, payload));
    }
    for item in items {
        let (item_type, event_id, sent_at) = (item.item_type, item.event_id, item.sent_at);
        entries.push(reception.entry(item_type, event_id, sent_at, item.content()));
    }
    reception.drop(Category::Error, TOO_LARGE, left_out);
    if entries.is_empty() && reception.tally.is_empty() {
        return Ok(());
    }
    let refusal = (left_out > 0 && entries.is_empty()).then(event_too_large);
    keep(edge, entries, reception.tally).await?;
    (0..made_here).for_each(|_| TOTALS.event());
    refusal.map_or(Ok(()), Err)
}

/// The answer to an event over the limit that came alone.
pub(super) fn event_too_large() -> Refusal {
    Refusal::too_large("the event is too large", MAX_EVENT_BYTES)
}

/// The answer to a request of which nothing was let through; it is counted all the same.
pub(super) async fn refuse_limited(edge: &Edge, reception: Reception) -> Refusal {
    let limits = reception.limits.clone();
    match accept(edge, reception, None).await {
        Ok(()) => Refusal::limited(limits),
        Err(refusal) => refusal,
    }
}

async fn keep(edge: &Edge, entries: Vec<Bytes>, tally: Tally) -> Result<(), Refusal> {
    match edge.spool.append(entries, tally).await {
        Ok(()) => Ok(()),
        Err(SpoolError::Full(retry_after)) => Err(Refusal::over_capacity(retry_after)),
        Err(error @ SpoolError::Broken(_)) => {
            tracing::error!(%error, "an event was refused");
            Err(Refusal::unavailable("the event cannot be kept at the moment"))
        }
    }
}
