//! Looks an event up in the spool, for who wants to know where it is.

use std::io;
use std::path::Path;

use super::segment::{self, Segment};
use crate::ids::EventId;
use crate::protocol::{Stamp, StampedItem};

/// No more than this is read for one question.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Records read at once.
const BATCH: usize = 256;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// The items that have this id. Some may be in the queue, or stored, already: they stay until all of a segment is.
    pub items: Vec<Stamp>,
    /// False when the spool was too large to be read to its end.
    pub is_complete: bool,
}

/// The items with this event id that the spool of the instance in `data_dir` holds. Takes no lock and changes nothing.
pub fn find(data_dir: &Path, event_id: EventId) -> io::Result<Spooled> {
    let mut found = Spooled { items: Vec::new(), is_complete: true };
    let mut bytes = 0;
    let segments = match segment::list(&super::directory(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        segments => segments?,
    };
    for (path, length) in segments {
        bytes += length;
        if bytes > MAX_BYTES {
            found.is_complete = false;
            break;
        }
        let Some(segment) = Segment::look_at(&path)? else { continue };
        let mut at = 0;
        while at < length {
            let frames = segment.read(at, length, BATCH, false)?;
            if frames.end == at {
                break;
            }
            at = frames.end;
            let items = frames.records.iter().filter_map(|one| StampedItem::decode(&one.entry).ok());
            found.items.extend(items.map(|item| item.stamp).filter(|stamp| stamp.event_id == event_id));
        }
    }
    Ok(found)
}
