//! Which segments there are, and how far each has got. Pure bookkeeping: nothing is read, written or sent here.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::segment::Segment;
use crate::protocol::Tally;
use crate::queue::{EntryId, Look};

/// Entries the stream may hold before no more are shipped: some batches of the worker. The others wait on disk, where
/// they cost no memory.
const MAX_QUEUED: u64 = 5_000;

/// Bytes of entries, as [`MAX_QUEUED`]. With entries of the largest size, 5,000 would not fit into a small machine.
const MAX_QUEUED_BYTES: u64 = 24 * 1024 * 1024;

/// How full Redis's memory may be, whatever fills it.
const MAX_MEMORY: f64 = 0.75;

/// A segment is closed when it has been open for so long: its counts follow then.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// With so many closed segments, the open one is closed only when it is full: what waits for hours is a matter of few
/// large files, not of many small ones.
const MANY_CLOSED: usize = 16;

/// A segment of this size is full; of the larger one, when there are many.
const FULL_BYTES: u64 = 8 * 1024 * 1024;
const FULL_BYTES_OF_MANY: u64 = 64 * 1024 * 1024;

/// A segment that cannot be read rests for so long; the others go on.
const REST: Duration = Duration::from_secs(10);

/// Entries that have not been shipped for so long are put onto the disk itself.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// Everything the process has in its spool.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// In the order they are shipped; the open one is the last.
    segments: VecDeque<Shelved>,
    /// Which process of Redis was given what has been shipped, with which data.
    source: Option<String>,
    /// What was shipped and is not done: last id of a batch, entries, bytes.
    in_flight: VecDeque<(EntryId, u64, u64)>,
    /// Entries in the stream when somebody looked, and those shipped since.
    queued: u64,
    is_memory_scarce: bool,
    is_ending: bool,
}

#[derive(Debug)]
struct Shelved {
    segment: Arc<Segment>,
    /// Up to where it is written.
    length: u64,
    is_open: bool,
    opened_at: Instant,
    /// Up to where its entries are in the queue.
    shipped: u64,
    /// Since when something waits to be shipped.
    waiting_since: Option<Instant>,
    /// Up to where it is on the disk itself.
    synced: u64,
    last_id: Option<EntryId>,
    /// It could not be read so often, and is not tried before this.
    failures: u32,
    rests_until: Option<Instant>,
    /// What it holds, counted up to `counted`.
    tally: Tally,
    counted: u64,
    is_tally_kept: bool,
    /// Its counts are in the queue, and in no segment.
    is_tally_queued: bool,
}

/// What is to be shipped next.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) segment: Arc<Segment>,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What lies before this has been counted.
    pub(super) counted: u64,
    /// So often it could not be read.
    pub(super) failures: u32,
}

/// How the spool stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// Segments of this process.
    pub segments: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Bytes of them that are not in the queue yet.
    pub unshipped_bytes: u64,
    /// How long the oldest of these waits, in milliseconds.
    pub waiting_ms: u64,
}

impl Shelved {
    fn new(segment: Arc<Segment>, length: u64, is_open: bool) -> Self {
        let now = Instant::now();
        Self {
            segment,
            length,
            is_open,
            opened_at: now,
            shipped: 0,
            waiting_since: (length > 0).then_some(now),
            synced: 0,
            last_id: None,
            failures: 0,
            rests_until: None,
            tally: Tally::default(),
            counted: 0,
            is_tally_kept: false,
            is_tally_queued: false,
        }
    }

    fn is_shipped(&self) -> bool {
        self.shipped >= self.length
    }

    fn is_counted(&self) -> bool {
        !self.is_open && self.counted >= self.length
    }
}

impl Shelf {
    /// A new segment is written to, in place of the one before.
    pub(super) fn open(&mut self, segment: Arc<Segment>) {
        self.close_open();
        self.segments.push_back(Shelved::new(segment, 0, true));
    }

    /// The open segment has grown to `length` bytes, by what `tally` counts.
    pub(super) fn grown(&mut self, length: u64, tally: Tally) {
        if let Some(open) = self.segments.back_mut().filter(|last| last.is_open) {
            open.length = length;
            open.counted = length;
            open.tally.merge(tally);
            open.waiting_since.get_or_insert_with(Instant::now);
        }
    }

    /// Nothing more is written to the open segment.
    pub(super) fn close_open(&mut self) {
        if let Some(open) = self.segments.back_mut() {
            open.is_open = false;
        }
    }

    /// Nothing more comes but the counts of what is there: no segment is kept open to wait for more.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// True when the process wants to be done with its spool.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// True when the open segment is to be closed.
    pub(super) fn is_closing_due(&self) -> bool {
        let has_waited = |one: &Shelved| one.opened_at.elapsed() >= OPEN_FOR && self.closed() < MANY_CLOSED;
        let open = self.segments.back().filter(|one| one.is_open && one.length > 0);
        open.is_some_and(|one| self.is_ending || has_waited(one))
    }

    /// Bytes at which a segment is full.
    pub(super) fn full_bytes(&self) -> u64 {
        if self.closed() < MANY_CLOSED { FULL_BYTES } else { FULL_BYTES_OF_MANY }
    }

    /// A segment could not be read: the others go first for a while.
    pub(super) fn rest(&mut self, segment: Uuid) {
        if let Some(one) = self.segments.iter_mut().find(|one| one.segment.id() == segment) {
            one.failures = one.failures.saturating_add(1);
            one.rests_until = Some(Instant::now() + REST);
        }
    }

    /// A segment of another process, `length` bytes long, is ours from now on.
    pub(super) fn adopt(&mut self, segment: Arc<Segment>, length: u64) {
        let open = self.segments.iter().position(|one| one.is_open).unwrap_or(self.segments.len());
        self.segments.insert(open, Shelved::new(segment, length, false));
    }

    /// What is to be shipped next, if anything waits and the queue has room.
    pub(super) fn next(&self) -> Option<Piece> {
        let is_full = self.queued >= MAX_QUEUED || self.bytes_in_flight() >= MAX_QUEUED_BYTES || self.is_memory_scarce;
        if self.source.is_none() || is_full {
            return None;
        }
        let now = Instant::now();
        let is_ready = |one: &&Shelved| !one.is_shipped() && one.rests_until.is_none_or(|until| until <= now);
        let next = self.segments.iter().find(is_ready)?;
        Some(Piece {
            segment: Arc::clone(&next.segment),
            from: next.shipped,
            to: next.length,
            counted: next.counted,
            failures: next.failures,
        })
    }

    /// Bytes in the stream that are ours, at most. Only the oldest entry is known to be there: when it waits alone while
    /// later ones are done, the length of the stream tells.
    fn bytes_in_flight(&self) -> u64 {
        let batches = self.in_flight.iter();
        let (entries, bytes) =
            batches.fold((0_u64, 0_u64), |(entries, all), (_, more, size)| (entries + more, all + size));
        if entries <= self.queued { bytes } else { bytes / entries * self.queued }
    }

    /// True when something waits to be shipped.
    pub(super) fn has_waiting(&self) -> bool {
        self.segments.iter().any(|one| !one.is_shipped())
    }

    /// A segment is in the queue up to `end`: `entries` more of `bytes` bytes, the last of them as `last_id`. `tally`
    /// is what was counted of it behind what had been counted before.
    pub(super) fn shipped(&mut self, segment: Uuid, end: u64, last_id: Option<EntryId>, entries: u64, tally: Tally) {
        let Some(one) = self.segments.iter_mut().find(|one| one.segment.id() == segment) else { return };
        let bytes = end.saturating_sub(one.shipped);
        one.shipped = end;
        (one.failures, one.rests_until) = (0, None);
        one.last_id = last_id.or(one.last_id);
        if end > one.counted {
            one.tally.merge(tally);
            one.counted = end;
        }
        one.waiting_since = if one.is_shipped() { None } else { Some(Instant::now()) };
        self.queued += entries;
        if let Some(id) = last_id {
            self.in_flight.push_back((id, entries, bytes));
        }
    }

    /// Somebody has looked at the queue. Gives back the segments that are done with. True when what was shipped must be
    /// shipped again, because another Redis answers, or one that has lost its data.
    pub(super) fn looked(&mut self, look: &Look) -> (Vec<Arc<Segment>>, bool) {
        self.queued = look.length;
        self.is_memory_scarce = look.memory.is_some_and(|share| share > MAX_MEMORY) && look.length > 0;
        let is_other = self.source.as_ref().is_some_and(|source| *source != look.source);
        self.source = Some(look.source.clone());
        if is_other {
            self.in_flight.clear();
            let mut again = false;
            for one in &mut self.segments {
                again |= one.shipped > 0;
                one.shipped = 0;
                one.last_id = None;
                one.is_tally_kept &= !one.is_tally_queued;
                one.waiting_since = (one.length > 0).then(Instant::now);
            }
            return (Vec::new(), again);
        }
        let is_done = |id: EntryId| look.first.is_none_or(|first| id < first);
        while self.in_flight.front().is_some_and(|(id, _, _)| is_done(*id)) {
            self.in_flight.pop_front();
        }
        let mut done = Vec::new();
        self.segments.retain(|one| {
            let is_over = one.is_counted()
                && one.is_shipped()
                && (one.is_tally_kept || one.tally.is_empty())
                && one.last_id.is_none_or(is_done);
            if is_over {
                done.push(Arc::clone(&one.segment));
            }
            !is_over
        });
        (done, false)
    }

    /// Counts of segments that are complete, and are in no segment yet.
    pub(super) fn tallies(&self) -> Vec<(Uuid, Tally)> {
        let due = self.segments.iter().filter(|one| one.is_counted() && !one.is_tally_kept && !one.tally.is_empty());
        due.map(|one| (one.segment.id(), one.tally.clone())).collect()
    }

    /// A segment's counts are in another segment now.
    pub(super) fn tally_kept(&mut self, segment: Uuid) {
        if let Some(one) = self.segments.iter_mut().find(|one| one.segment.id() == segment) {
            one.is_tally_kept = true;
        }
    }

    /// A segment's counts are in the queue, as this entry: there was no room for them in a segment.
    pub(super) fn tally_queued(&mut self, segment: Uuid, id: EntryId) {
        if let Some(one) = self.segments.iter_mut().find(|one| one.segment.id() == segment) {
            (one.is_tally_kept, one.is_tally_queued) = (true, true);
            one.last_id = one.last_id.max(Some(id));
        }
    }

    /// Segments to be put onto the disk itself, with their lengths now.
    pub(super) fn unsynced(&self) -> Vec<(Arc<Segment>, u64)> {
        let waits = |one: &&Shelved| one.waiting_since.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
        let late = self.segments.iter().filter(waits).filter(|one| one.synced < one.length);
        late.map(|one| (Arc::clone(&one.segment), one.length)).collect()
    }

    /// A segment is on the disk itself up to `length`.
    pub(super) fn synced(&mut self, segment: Uuid, length: u64) {
        if let Some(one) = self.segments.iter_mut().find(|one| one.segment.id() == segment) {
            one.synced = one.synced.max(length);
        }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|one| one.length).sum()
    }

    /// The ids of all segments.
    pub(super) fn ids(&self) -> HashSet<Uuid> {
        self.segments.iter().map(|one| one.segment.id()).collect()
    }

    /// Segments that nothing more is written to.
    pub(super) fn closed(&self) -> usize {
        self.segments.iter().filter(|one| !one.is_open).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn state(&self) -> SpoolState {
        let oldest = self.segments.iter().filter_map(|one| one.waiting_since).min();
        SpoolState {
            segments: self.segments.len(),
            bytes: self.bytes(),
            unshipped_bytes: self.segments.iter().map(|one| one.length.saturating_sub(one.shipped)).sum(),
            waiting_ms: oldest.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
