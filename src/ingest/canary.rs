//! Sends an item of our own on the way of an event, so that somebody knows how long that way is before anybody asks.

use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::time::sleep;
use uuid::Uuid;

use super::edge::Edge;
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
        if let Err(error) = edge.spool.append(vec![canary()], Tally::default()).await {
            tracing::debug!(%error, "no room for a canary");
        }
    }
}

fn canary() -> Bytes {
    let stamp = Stamp::of_ours(StampedItem::CANARY, Uuid::now_v7(), Utc::now());
    StampedItem { stamp, payload: Bytes::new() }.encode()
}
