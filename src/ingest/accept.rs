//! Where an item becomes ours: stamps it and hands it to the queue. After this returns, it must not be lost.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::counters::TOTALS;
use super::reply::Refusal;
use crate::app::App;
use crate::http::ClientInfo;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Stamp, StampedItem};
use crate::queue::Queue;

/// Largest event.
pub(super) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A `User-Agent` is kept up to this many characters.
const MAX_USER_AGENT: usize = 512;

/// What is common to all items of a request.
pub(super) struct Reception {
    pub(super) received_at: DateTime<Utc>,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
}

impl Reception {
    /// Of a request that has just arrived.
    pub(super) fn now(headers: &HeaderMap, client: Option<&ClientInfo>) -> Self {
        let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            received_at: Utc::now(),
            client_ip: client.map(|client| client.ip),
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        }
    }
}

/// An event on its way in.
pub(super) struct IncomingEvent {
    pub(super) project_id: ProjectId,
    pub(super) event_id: EventId,
    pub(super) sent_at: Option<DateTime<Utc>>,
    pub(super) payload: Bytes,
}

/// Returns when the queue has the event. Refused: one over the limit, or when the queue is away for longer
/// than a client may be kept waiting.
pub(super) async fn accept(app: &App, reception: Reception, event: IncomingEvent) -> Result<(), Refusal> {
    if event.payload.len() > MAX_EVENT_BYTES {
        return Err(Refusal::too_large("the event item is too large", MAX_EVENT_BYTES));
    }
    let item = StampedItem {
        stamp: Stamp {
            ingest_id: Uuid::now_v7(),
            project_id: event.project_id,
            item_type: "event".to_owned(),
            event_id: event.event_id,
            received_at: reception.received_at,
            received_on: reception.received_at.date_naive(),
            sent_at: event.sent_at,
            client_ip: reception.client_ip,
            user_agent: reception.user_agent,
        },
        payload: event.payload,
    };
    app.queue.append(Queue::Ingest, item.encode()).await.map_err(|error| {
        tracing::warn!(%error, "an event was refused");
        Refusal::unavailable("the event queue is not available")
    })?;
    TOTALS.event();
    Ok(())
}
