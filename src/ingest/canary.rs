//! Sends an item of our own on the way of an event, so that somebody knows how long that way is before anybody asks.

use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::time::sleep;
use uuid::Uuid;

use super::edge::Edge;
use crate::ids::{EventId, ProjectId};
use crate::protocol::{Stamp, StampedItem, Tally};

/// The first one goes out so long after the start ...
const FIRST_AFTER: Duration = Duration::from_secs(5);

/// ... and the others so long after each other.
const EVERY: Duration = Duration::from_mins(1);

/// Sends canaries for as long as the edge lives.
pub(super) async fn run(edge: Weak<Edge>) {
    let mut pause = FIRST_AFTER;
    loop {
        sleep(pause).await;
        pause = EVERY;
        let Some(edge) = edge.upgrade() else { return };
        if let Err(error) = edge.spool.append(canary(), Tally::default()).await {
            tracing::debug!(%error, "no room for a canary");
        }
    }
}

fn canary() -> Bytes {
    let (id, now) = (Uuid::now_v7(), Utc::now());
    let stamp = Stamp {
        ingest_id: id,
        project_id: ProjectId(0),
        item_type: StampedItem::CANARY.to_owned(),
        event_id: EventId(id),
        received_at: now,
        received_on: now.date_naive(),
        sent_at: None,
        client_ip: None,
        user_agent: None,
    };
    StampedItem { stamp, payload: Bytes::new() }.encode()
}
