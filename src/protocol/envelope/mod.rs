//! The envelope: a header line, then items of a header line and a payload each. Only the framing is read here, its headers
//! leniently: names of files need not be UTF-8, and texts are cut in the middle of a character.
//!
//! ```text
//! Envelope = Header { "\n" Item } [ "\n" ]        Item = ItemHeader "\n" Payload
//! ```

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::lenient_json;
use crate::ids::EventId;

/// No SDK sends a hundred; the limit keeps a body of empty items from filling the memory.
const MAX_ITEMS: usize = 10_000;

/// An envelope, its payloads being slices of the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The first line.
    pub header: EnvelopeHeader,
    /// In the order sent, unknown types included.
    pub items: Vec<Item>,
    /// Set when the body is malformed behind `items`: those are good, the rest is lost.
    pub malformed: Option<EnvelopeError>,
}

/// What is needed of an envelope's header; other keys (`trace`, `sdk`, …) are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeHeader {
    /// The id of the event in it; absent or all zero: to be made by the server.
    pub event_id: Option<EventId>,
    /// Credentials of a tunnelled envelope.
    pub dsn: Option<String>,
    /// The sender's clock; `None` also when it is unreadable.
    pub sent_at: Option<DateTime<Utc>>,
}

/// One item.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// `event`, `session`, `attachment`, …, or a type we have never heard of.
    pub item_type: String,
    /// The rest of the item's header.
    pub header: ItemHeader,
    /// A slice of the body.
    pub payload: Bytes,
}

/// What is needed of an item's header besides its type and length; wrongly typed values count as absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemHeader {
    /// MIME type of the payload.
    pub content_type: Option<String>,
    /// An attachment's name.
    pub filename: Option<String>,
    /// What an attachment is (`event.minidump`, …).
    pub attachment_type: Option<String>,
    /// Number of entries in a container item.
    pub item_count: Option<u64>,
    /// The release that a browser's report belongs to.
    pub sentry_release: Option<String>,
    /// The environment that a browser's report belongs to.
    pub sentry_environment: Option<String>,
}

/// Why a body is not an envelope. The text is for the `causes` of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// No bytes.
    #[error("empty envelope")]
    Empty,
    /// The first line.
    #[error("the envelope header is not a JSON object: {0}")]
    InvalidHeader(String),
    /// `event_id` in the first line.
    #[error("the event id in the envelope header is not 32 hexadecimal digits")]
    InvalidEventId,
    /// An item's first line.
    #[error("the header of item {index} is not a JSON object with a type: {reason}")]
    InvalidItemHeader {
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a newline nor the end behind a payload of declared length.
    #[error("no newline after the payload of item {0}")]
    MissingNewline(usize),
    /// The declared length reaches beyond the body.
    #[error("the body ends inside the payload of item {0}")]
    UnexpectedEnd(usize),
    /// More items than any client sends.
    #[error("more than {MAX_ITEMS} items")]
    TooManyItems,
}

/// Reads the framing of an envelope.
///
/// Items before a malformed one are kept; it is an error if there is none, or if the envelope's own header is malformed.
pub fn parse_envelope(body: &Bytes) -> Result<Envelope, EnvelopeError> {
    if body.trim_ascii().is_empty() {
        return Err(EnvelopeError::Empty);
    }
    let mut cursor = Cursor { rest: body.clone() };
    let header = envelope_header(&cursor.line())?;
    let mut items = Vec::new();
    let mut malformed = None;
    while cursor.skip_blank() {
        let next =
            if items.len() < MAX_ITEMS { cursor.item(items.len() + 1) } else { Err(EnvelopeError::TooManyItems) };
        match next {
            Ok(item) => items.push(item),
            Err(error) if items.is_empty() => return Err(error),
            Err(error) => {
                malformed = Some(error);
                break;
            }
        }
    }
    Ok(Envelope { header, items, malformed })
}

/// The first line alone, which says whose an envelope is.
pub fn parse_envelope_header(body: &Bytes) -> Result<EnvelopeHeader, EnvelopeError> {
    if body.trim_ascii().is_empty() {
        return Err(EnvelopeError::Empty);
    }
    envelope_header(&Cursor { rest: body.clone() }.line())
}

fn envelope_header(line: &[u8]) -> Result<EnvelopeHeader, EnvelopeError> {
    // Through a map, so that a repeated key is no error and the last one wins.
    let mut header =
        lenient_json::parse_object(line).map_err(|error| EnvelopeError::InvalidHeader(error.to_string()))?;
    let event_id = match header.remove("event_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(EventId::parse(&text).ok_or(EnvelopeError::InvalidEventId)?),
        Some(_) => return Err(EnvelopeError::InvalidEventId),
    };
    Ok(EnvelopeHeader {
        event_id: event_id.filter(|id| !id.0.is_nil()),
        dsn: text(&mut header, "dsn"),
        sent_at: text(&mut header, "sent_at")
            .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
            .map(|time| time.to_utc()),
    })
}

fn text(header: &mut Map<String, Value>, key: &str) -> Option<String> {
    match header.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

struct Cursor {
    rest: Bytes,
}

impl Cursor {
    /// Takes everything up to the next newline, and the newline.
    fn line(&mut self) -> Bytes {
        let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else {
            return std::mem::take(&mut self.rest);
        };
        let line = self.rest.split_to(end);
        let _newline = self.rest.split_to(1);
        line
    }

    /// Skips white space where an item's header is expected; false at the end.
    fn skip_blank(&mut self) -> bool {
        let blank = self.rest.len() - self.rest.trim_ascii_start().len();
        let _skipped = self.rest.split_to(blank);
        !self.rest.is_empty()
    }

    fn item(&mut self, index: usize) -> Result<Item, EnvelopeError> {
        let invalid = |reason: String| EnvelopeError::InvalidItemHeader { index, reason };
        let mut header = lenient_json::parse_object(&self.line()).map_err(|error| invalid(error.to_string()))?;
        let item_type = text(&mut header, "type").ok_or_else(|| invalid("`type` is missing".to_owned()))?;
        let length = match header.remove("length") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| invalid("`length` is not a number of bytes".to_owned()))?),
        };
        let payload = match length {
            Some(length) => self.sized_payload(length, index)?,
            None => self.line(),
        };
        let header = ItemHeader {
            content_type: text(&mut header, "content_type"),
            filename: text(&mut header, "filename"),
            attachment_type: text(&mut header, "attachment_type"),
            item_count: header.get("item_count").and_then(Value::as_u64),
            sentry_release: text(&mut header, "sentry_release"),
            sentry_environment: text(&mut header, "sentry_environment"),
        };
        Ok(Item { item_type, header, payload })
    }

    fn sized_payload(&mut self, length: u64, index: usize) -> Result<Bytes, EnvelopeError> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.rest.len())
            .ok_or(EnvelopeError::UnexpectedEnd(index))?;
        let payload = self.rest.split_to(length);
        match self.rest.first() {
            None => {}
            Some(b'\n') => {
                let _newline = self.rest.split_to(1);
            }
            Some(_) => return Err(EnvelopeError::MissingNewline(index)),
        }
        Ok(payload)
    }
}

#[cfg(test)]
mod tests;
