//! The part of storing events that needs no database: decode, process, compress. On blocking threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::future::join_all;

use super::hang_guard::{Patience, Progress, guard};
use super::project_rules::RuleSet;
use super::write_filtered::take_dependents;
use crate::process::item::{self, Unkept};
use crate::process::{Incoming, ProjectRules, Rejected, process_for};
use crate::protocol::{Filter, Stamp, StampedItem, Tally};
use crate::queue::Entry;
use crate::store::event_batch::NewEvent;
use crate::store::filtered_item::FilteredItem;
use crate::store::kept_item::NewItem;
use crate::store::payload;
use crate::store::payload_dictionary::EncoderSet;

/// Entries that are worth a thread of their own.
const CHUNK: usize = 64;

/// How long one entry may take.
const PATIENCE: Patience = Patience { looks: 30, between: Duration::from_secs(1) };

/// An event ready to be written, with the entry it came from.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) entry: Entry,
    pub(super) event: NewEvent,
    /// Its project has rules, so an earlier delivery may have been held back.
    pub(super) may_be_filtered: bool,
}

impl Prepared {
    /// One that has been looked at.
    pub(super) fn settled((entry, event): (Entry, NewEvent)) -> Self {
        Self { entry, event, may_be_filtered: false }
    }
}

/// What a filter of its project holds back, with the entry it came in.
#[derive(Debug)]
pub(super) struct Filtered {
    pub(super) entry: Entry,
    pub(super) item: FilteredItem,
}

/// What the edge has counted, with the entry it came in.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) entry: Entry,
    /// The edge's stamp: each tally counts once.
    pub(super) stamp: Stamp,
    pub(super) tally: Tally,
}

/// An item of our own that shows how long the way takes.
#[derive(Debug)]
pub(super) struct Canary {
    pub(super) entry: Entry,
    pub(super) stamp: Stamp,
}

/// An item beside events, with the entry it came in.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) item: NewItem,
}

/// What a batch of entries holds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Prepared>,
    pub(super) items: Vec<Kept>,
    pub(super) filtered: Vec<Filtered>,
    pub(super) tallies: Vec<Counted>,
    pub(super) canaries: Vec<Canary>,
    /// Entries that can never be stored.
    pub(super) unusable: Vec<Unusable>,
}

/// An entry that can never be stored.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) entry: Entry,
    pub(super) reason: String,
    /// What the edge knew of it, if the entry could be read so far.
    pub(super) stamp: Option<Stamp>,
}

impl Unusable {
    /// One that must not be processed (again).
    fn unread(entry: Entry, reason: String) -> Self {
        let stamp = StampedItem::decode(&entry.data).ok().map(|item| item.stamp);
        let is_sent = |stamp: &Stamp| stamp.item_type == StampedItem::EVENT || StampedItem::is_kept(&stamp.item_type);
        Self { stamp: stamp.filter(is_sent), entry, reason }
    }
}

/// Prepares `entries`, in their order, on as many threads as the machine has cores.
pub(super) async fn prepare(mut entries: Vec<Entry>, encoders: &EncoderSet, rules: &RuleSet) -> Batch {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = entries.len().div_ceil(cores).max(CHUNK);
    let mut running = Vec::new();
    while !entries.is_empty() {
        let rest = entries.split_off(share.min(entries.len()));
        let chunk = std::mem::replace(&mut entries, rest);
        let means = Means { encoders: EncoderSet::clone(encoders), rules: RuleSet::clone(rules), ..Means::default() };
        let work = move |chunk, progress: &Progress| prepare_chunk(chunk, &means, progress);
        running.push(guard(chunk, PATIENCE, work));
    }
    let mut batch = Batch::default();
    for (done, hung) in join_all(running).await {
        let done = done.unwrap_or_default();
        batch.events.extend(done.events);
        batch.items.extend(done.items);
        batch.filtered.extend(done.filtered);
        batch.tallies.extend(done.tallies);
        batch.canaries.extend(done.canaries);
        batch.unusable.extend(done.unusable);
        batch.unusable.extend(hung.into_iter().map(|entry| Unusable::unread(entry, PATIENCE.describe())));
    }
    take_dependents(&mut batch);
    batch
}

/// What it takes to prepare an entry.
#[derive(Clone, Default)]
struct Means {
    encoders: EncoderSet,
    rules: RuleSet,
    /// For projects without rules of their own.
    as_shipped: ProjectRules,
}

impl Means {
    fn rules(&self, stamp: &Stamp) -> &ProjectRules {
        self.rules.get(&stamp.project_id).map_or(&self.as_shipped, AsRef::as_ref)
    }
}

fn prepare_chunk(entries: Vec<Entry>, means: &Means, progress: &Progress) -> Batch {
    let mut batch = Batch::default();
    for entry in entries {
        prepare_entry(entry, means, &mut batch);
        progress.advance();
    }
    batch
}

fn prepare_entry(entry: Entry, means: &Means, batch: &mut Batch) {
    if let Some(reason) = entry.hopeless() {
        batch.unusable.push(Unusable::unread(entry, reason));
        return;
    }
    let item = match StampedItem::decode(&entry.data) {
        Ok(item) => item,
        Err(error) => {
            batch.unusable.push(Unusable { entry, reason: error.to_string(), stamp: None });
            return;
        }
    };
    let StampedItem { stamp, payload } = item;
    let rules = means.rules(&stamp);
    if let Some(filter) = rules.filters.of_sender(&stamp) {
        batch.filtered.push(Filtered { entry, item: FilteredItem { stamp, filter } });
        return;
    }
    match stamp.item_type.as_str() {
        StampedItem::EVENT => {
            let prepared = catch_unwind(AssertUnwindSafe(|| prepare_event(&stamp, &payload, rules, means)));
            match prepared.unwrap_or_else(|_| Err(Unprepared::Unusable("processing it panicked".to_owned()))) {
                Ok(event) => {
                    let may_be_filtered = means.rules.contains_key(&stamp.project_id);
                    batch.events.push(Prepared { entry, event, may_be_filtered });
                }
                Err(Unprepared::Filtered(filter)) => {
                    batch.filtered.push(Filtered { entry, item: FilteredItem { stamp, filter } });
                }
                Err(Unprepared::Unusable(reason)) => {
                    batch.unusable.push(Unusable { entry, reason, stamp: Some(stamp) });
                }
            }
        }
        StampedItem::TALLY => match Tally::decode(&payload) {
            Ok(tally) => batch.tallies.push(Counted { entry, stamp, tally }),
            Err(error) => {
                batch.unusable.push(Unusable { entry, reason: format!("a malformed tally: {error}"), stamp: None });
            }
        },
        kept if StampedItem::is_kept(kept) => {
            let read = catch_unwind(AssertUnwindSafe(|| item::read_for(&stamp, &payload, rules)));
            let item = match read.unwrap_or_else(|_| Err(Unkept::Rejected("reading it panicked".to_owned()))) {
                Ok(item) => Ok(item),
                Err(Unkept::Filtered(reason)) => Err(reason),
                Err(Unkept::HeldBack(filter)) => {
                    batch.filtered.push(Filtered { entry, item: FilteredItem { stamp, filter } });
                    return;
                }
                Err(Unkept::Rejected(reason)) => {
                    batch.unusable.push(Unusable { entry, reason, stamp: Some(stamp) });
                    return;
                }
            };
            batch.items.push(Kept { entry, item: NewItem { stamp, item } });
        }
        StampedItem::CANARY => batch.canaries.push(Canary { entry, stamp }),
        other => {
            let reason = format!("no job for items of type {other:?}");
            batch.unusable.push(Unusable { entry, reason, stamp: Some(stamp) });
        }
    }
}

/// Why an event is not prepared.
enum Unprepared {
    Filtered(Filter),
    Unusable(String),
}

fn prepare_event(stamp: &Stamp, payload: &[u8], rules: &ProjectRules, means: &Means) -> Result<NewEvent, Unprepared> {
    let done = process_for(Incoming { stamp, payload }, rules).map_err(|error| match error {
        Rejected::Filtered(filter) => Unprepared::Filtered(filter),
        error => Unprepared::Unusable(error.to_string()),
    })?;
    let encoder = means.encoders.get(&stamp.project_id).map(AsRef::as_ref);
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
        payload: payload::compress(&done.json, encoder)
            .map_err(|error| Unprepared::Unusable(format!("cannot be compressed: {error}")))?,
    })
}
