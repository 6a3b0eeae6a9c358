//! The part of storing events that needs no database: decode, process, compress. On blocking threads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};

use crate::ids::ProjectId;
use crate::process::{Incoming, process};
use crate::protocol::StampedItem;
use crate::queue::Entry;
use crate::store::event_batch::NewEvent;
use crate::store::payload;
use crate::store::payload_dictionary::EncoderSet;

/// Entries that are worth a thread of their own.
const CHUNK: usize = 64;

/// An event ready to be written, with the entry it came from.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) entry: Entry,
    pub(super) event: NewEvent,
}

/// What a batch of entries holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Prepared>,
    /// Entries that can never be stored.
    pub(super) unusable: Vec<Unusable>,
}

/// An entry that can never be stored.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) entry: Entry,
    pub(super) reason: String,
    /// Whose event it was and when it was received, as far as the entry could be read.
    pub(super) origin: Option<(ProjectId, DateTime<Utc>)>,
}

/// Prepares `entries`, in their order, on as many threads as the machine has cores.
pub(super) async fn prepare(mut entries: Vec<Entry>, encoders: &EncoderSet) -> Batch {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = entries.len().div_ceil(cores).max(CHUNK);
    let mut running = Vec::new();
    while !entries.is_empty() {
        let rest = entries.split_off(share.min(entries.len()));
        let chunk = std::mem::replace(&mut entries, rest);
        let encoders = EncoderSet::clone(encoders);
        running.push(tokio::task::spawn_blocking(move || prepare_chunk(chunk, &encoders)));
    }
    let mut batch = Batch::default();
    for chunk in running {
        // Panics are caught inside; the runtime cancels blocking tasks only at its end.
        let Ok(done) = chunk.await else { continue };
        batch.events.extend(done.events);
        batch.unusable.extend(done.unusable);
    }
    batch
}

fn prepare_chunk(entries: Vec<Entry>, encoders: &EncoderSet) -> Batch {
    let mut batch = Batch::default();
    for entry in entries {
        let item = match StampedItem::decode(&entry.data) {
            Ok(item) => item,
            Err(error) => {
                batch.unusable.push(Unusable { entry, reason: error.to_string(), origin: None });
                continue;
            }
        };
        let result = catch_unwind(AssertUnwindSafe(|| prepare_item(&item, encoders)));
        match result.unwrap_or_else(|_| Err("processing it panicked".to_owned())) {
            Ok(event) => batch.events.push(Prepared { entry, event }),
            Err(reason) => {
                let origin = Some((item.stamp.project_id, item.stamp.received_at));
                batch.unusable.push(Unusable { entry, reason, origin });
            }
        }
    }
    batch
}

fn prepare_item(item: &StampedItem, encoders: &EncoderSet) -> Result<NewEvent, String> {
    let stamp = &item.stamp;
    if stamp.item_type != "event" {
        return Err(format!("no job for items of type {:?}", stamp.item_type));
    }
    let done = process(Incoming { stamp, payload: &item.payload }).map_err(|error| error.to_string())?;
    let encoder = encoders.get(&stamp.project_id).map(AsRef::as_ref);
    Ok(NewEvent {
        project_id: stamp.project_id,
        event_id: stamp.event_id,
        ingest_id: stamp.ingest_id,
        received_at: stamp.received_at,
        received_on: stamp.received_on,
        occurred_at: done.occurred_at,
        kind: done.kind,
        level: done.level,
        platform: done.platform,
        environment: done.environment,
        release: done.release,
        hash: done.hash,
        hash_version: done.hash_version,
        title: done.title,
        culprit: done.culprit,
        metadata: done.metadata,
        logger: done.logger,
        is_unhandled: done.is_unhandled,
        tags: done.tags,
        user: done.user,
        payload: payload::compress(&done.json, encoder).map_err(|error| format!("cannot be compressed: {error}"))?,
    })
}
