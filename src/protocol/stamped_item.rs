//! What the edge puts into the spool, and from there into the queue: one envelope item with its stamp.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{EventId, ProjectId};

/// Version of the encoding below; an entry of a newer version is not ours to read.
pub const VERSION: u8 = 1;

/// One item of an envelope, accepted for a project, with what only the edge could know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StampedItem {
    /// What was known at the edge.
    pub stamp: Stamp,
    /// The item's payload as it was sent (decompressed).
    pub payload: Bytes,
}

/// The edge's stamp on an item. Re-delivery keeps it, so it decides what is "the same".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// UUIDv7: names this one reception.
    pub ingest_id: Uuid,
    /// The project whose key authorised the request.
    pub project_id: ProjectId,
    /// The item's type as the envelope gave it (`event`, ...).
    pub item_type: String,
    /// From the envelope's header, else from the payload, else made at the edge.
    pub event_id: EventId,
    /// When the request arrived.
    pub received_at: DateTime<Utc>,
    /// The UTC date of `received_at`: the partition the event goes to.
    pub received_on: NaiveDate,
    /// The sender's clock when it sent the envelope, for drift correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// The client's address, trusted proxies taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
    /// The request's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// Why a queue entry could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a version of the program that this one does not know.
    #[error("entry of unknown version {0}")]
    UnknownVersion(u8),
    /// Not an entry at all.
    #[error("malformed entry: {0}")]
    Malformed(String),
}

impl Stamp {
    /// On an item of our own, which belongs to no project and came from nobody.
    pub fn of_ours(item_type: &str, id: Uuid, at: DateTime<Utc>) -> Self {
        Self {
            ingest_id: id,
            project_id: ProjectId(0),
            item_type: item_type.to_owned(),
            event_id: EventId(id),
            received_at: at,
            received_on: at.date_naive(),
            sent_at: None,
            client_ip: None,
            user_agent: None,
        }
    }
}

impl StampedItem {
    /// The type of an error event.
    pub const EVENT: &str = "event";
    /// The types of items beside events that are kept.
    const KEPT: &[&str] =
        &["session", "sessions", "check_in", "user_report", "feedback", "log", "span", "transaction", "attachment"];
    /// The type of a further part of a file that is too large for one entry; its first part is an `attachment`, which alone counts.
    pub const FILE_PART: &str = "attachment_part";
    /// The type of what the edge has counted; the payload is a [`Tally`](super::Tally).
    pub const TALLY: &str = "tally";
    /// The type of an item of our own that shows how long the way to the database takes; it has no payload.
    pub const CANARY: &str = "canary";

    /// The name of a type of items beside events that clients send, if they are kept.
    pub fn kept(item_type: &str) -> Option<&'static str> {
        Self::KEPT.iter().copied().find(|name| *name == item_type)
    }

    /// True for the types of items beside events that are kept.
    pub fn is_kept(item_type: &str) -> bool {
        item_type == Self::FILE_PART || Self::kept(item_type).is_some()
    }

    /// One version byte, the stamp as one line of JSON, the payload as it is.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.payload.len() + 320);
        out.put_u8(VERSION);
        // A struct of plain fields always serialises.
        let _written = serde_json::to_writer((&mut out).writer(), &self.stamp);
        out.put_u8(b'\n');
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Reads what [`Self::encode`] wrote; the payload is a slice of `data`, not a copy.
    pub fn decode(data: &Bytes) -> Result<Self, DecodeError> {
        let version = *data.first().ok_or_else(|| DecodeError::Malformed("empty".to_owned()))?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        let rest = data.slice(1..);
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| DecodeError::Malformed("no end of stamp".to_owned()))?;
        let stamp =
            serde_json::from_slice(&rest.slice(..end)).map_err(|error| DecodeError::Malformed(error.to_string()))?;
        Ok(Self { stamp, payload: rest.slice(end + 1..) })
    }
}
