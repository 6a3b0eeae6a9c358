//! Items beside events that are kept: which those are, and how large they may be.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::accept::{IncomingItem, MAX_EVENT_BYTES, Reception, TOO_LARGE};
use super::container::{self, Pieces};
use super::counters::TOTALS;
use super::edge::Edge;
use super::envelope::NEED_AN_ID;
use super::key_cache::Known;
use super::reply::Refusal;
use crate::ids::EventId;
use crate::protocol::{Category, Item, ItemHeader, Outcome, StampedItem};

/// A file that goes with an event.
pub(super) const ATTACHMENT: &str = "attachment";

/// Largest file, how many of them an envelope may have, and how large they may be together.
const MAX_FILE_BYTES: usize = 20 * 1024 * 1024;
const MAX_FILES: usize = 30;
const MAX_FILES_BYTES: usize = 50 * 1024 * 1024;
/// A larger file goes in parts: below what a frame of the spool holds, and what a Redis of 32 MB takes beside all else.
pub(super) const PART_BYTES: usize = 4 * 1024 * 1024;

/// Those of one envelope, as far as they are not too large.
#[derive(Default)]
pub(super) struct KeptItems {
    items: Vec<(&'static str, Item)>,
    files: usize,
    file_bytes: usize,
    container_bytes: usize,
    /// The limit that the last one was over.
    exceeded: Option<usize>,
}

impl KeptItems {
    /// Counts the size of one more; false when it is too large, or together with those before it.
    fn has_room(&mut self, item_type: &str, size: usize) -> bool {
        let (file_bytes, container_bytes) = (self.file_bytes + size, self.container_bytes + size);
        match item_type {
            _ if size > max_bytes(item_type) => return false,
            ATTACHMENT if self.files == MAX_FILES || file_bytes > MAX_FILES_BYTES => return false,
            ATTACHMENT => {
                self.files += 1;
                self.file_bytes = file_bytes;
            }
            "log" | "span" if container_bytes > container::MAX_BYTES => return false,
            "log" | "span" => self.container_bytes = container_bytes,
            _ => {}
        }
        true
    }

    /// Takes files in as far as the key's limits and their own let them, and counts each.
    pub(super) fn take_files(
        &mut self,
        edge: &Edge,
        known: &Known,
        reception: &mut Reception,
        files: impl IntoIterator<Item = Item>,
    ) {
        for file in files {
            if reception.admit(edge, known, Category::Attachment, 1).is_ok() {
                self.take_counted(reception, ATTACHMENT, Category::Attachment, file);
            }
        }
    }

    /// Takes one in that the key's limits let through, and counts it; false when it is too large, or one file too many. A
    /// large container counts as its pieces.
    pub(super) fn take_counted(
        &mut self,
        reception: &mut Reception,
        item_type: &'static str,
        category: Category,
        item: Item,
    ) -> bool {
        let size = item.payload.len();
        if !self.has_room(item_type, size) {
            self.leave_out(reception, category, max_bytes(item_type));
            return false;
        }
        if item_type == ATTACHMENT || size <= PART_BYTES {
            self.keep(reception, item_type, category, item);
            return true;
        }
        let Some(Pieces { pieces, left_out }) = container::take_apart(&item.payload) else {
            reception.drop(category, "unreadable", 1);
            return true;
        };
        if left_out > 0 {
            reception.drop(category, TOO_LARGE, left_out);
        }
        for payload in pieces {
            let piece = Item { item_type: item.item_type.clone(), header: ItemHeader::default(), payload };
            self.keep(reception, item_type, category, piece);
        }
        true
    }

    /// Counts one that is larger than it may be, kept here or elsewhere.
    pub(super) fn leave_out(&mut self, reception: &mut Reception, category: Category, limit: usize) {
        self.exceeded = Some(limit);
        reception.drop(category, TOO_LARGE, 1);
    }

    fn keep(&mut self, reception: &mut Reception, item_type: &'static str, category: Category, item: Item) {
        TOTALS.other_item();
        reception.count(category, Outcome::Accepted, "", 1);
        self.items.push((item_type, item));
    }

    /// True when there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The answer if nothing else was taken in, when something was too large.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.exceeded.map(|limit| Refusal::too_large("an item is too large", limit))
    }

    /// On their way in; `id` is the envelope's.
    pub(super) fn into_incoming(self, id: Option<EventId>, sent_at: Option<DateTime<Utc>>) -> Vec<IncomingItem> {
        let mut incoming = Vec::with_capacity(self.items.len());
        for (item_type, item) in self.items {
            let event_id = id.filter(|_| NEED_AN_ID.contains(&item_type));
            if item_type == ATTACHMENT {
                incoming.extend(parts(&item).map(|part| IncomingItem { event_id, sent_at, ..part }));
            } else {
                incoming.push(IncomingItem { sent_at, ..IncomingItem::new(item_type, event_id, item.payload) });
            }
        }
        incoming
    }
}

/// Bytes that an item of a kept type may have.
fn max_bytes(item_type: &str) -> usize {
    match item_type {
        ATTACHMENT => MAX_FILE_BYTES,
        "log" | "span" => container::MAX_BYTES,
        _ => MAX_EVENT_BYTES,
    }
}

/// A file, behind what its item's header says of it; a large one in several items.
fn parts(item: &Item) -> impl Iterator<Item = IncomingItem> {
    let size = item.payload.len();
    let count = size.div_ceil(PART_BYTES).max(1);
    let file_id = (count > 1).then(Uuid::now_v7);
    (0..count).map(move |part| {
        let ItemHeader { content_type, filename, attachment_type, .. } = &item.header;
        let head = serde_json::json!({
            "content_type": content_type, "filename": filename, "attachment_type": attachment_type,
            "file_id": file_id, "part": part, "size": size,
        });
        let bytes = item.payload.slice(part * PART_BYTES..size.min((part + 1) * PART_BYTES));
        let item_type = if part == 0 { ATTACHMENT } else { StampedItem::FILE_PART };
        IncomingItem { head: Some(head.to_string()), ..IncomingItem::new(item_type, None, bytes) }
    })
}
