//! Helpers for the tests of this stage, and tests of all of it together.

use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::ids::{EventId, ProjectId};

/// An event received at noon from 203.0.113.9.
pub(super) fn stamp() -> Stamp {
    let received_at = "2026-11-20T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    Stamp {
        ingest_id: Uuid::nil(),
        project_id: ProjectId(1),
        item_type: "event".to_owned(),
        event_id: EventId::parse("0123456789abcdef0123456789abcdef").unwrap(),
        received_at,
        received_on: received_at.date_naive(),
        sent_at: None,
        client_ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: None,
    }
}

pub(super) fn processed(payload: &Value) -> Processed {
    process(Incoming { stamp: &stamp(), payload: payload.to_string().as_bytes() }).unwrap()
}

pub(super) fn event(payload: &Value) -> Event {
    processed(payload).event
}

pub(super) mod captures;
mod fuzz;
mod grouping_pairs;
mod normalised;
pub(super) mod timing;
