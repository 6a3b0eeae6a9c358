//! Takes what was written to the queue, and clears away what the queue is done with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::frame::{Damage, Frames};
use super::segment::{self, Segment};
use super::shelf::Piece;
use super::writer::Order;
use super::{Shared, append};
use crate::protocol::{Stamp, StampedItem, Tally};
use crate::queue::{Queue, QueueError, Shipping};

/// Entries shipped at once.
const BATCH: usize = 256;

/// The queue is looked at so often while something of ours is in it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// ... and so often while the process waits for the end of it, to end too.
const LOOK_AT_END: Duration = Duration::from_millis(25);

/// ... and so often at first while there is no room in it for what waits. The pause doubles up to [`LOOK_EVERY`] as long
/// as there is none: the worker may be waiting for PostgreSQL for hours.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(25);

/// What others have left behind is looked for so often.
const ADOPT_EVERY: Duration = Duration::from_secs(3);

/// Segments taken over at a time.
const MAX_ADOPTED: usize = 32;

/// A segment that could not be read so often is read without the pieces that the disk does not give.
const SALVAGE_AFTER: u32 = 6;

/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The same trouble is told again after so long.
const TELL_AGAIN: Duration = Duration::from_mins(1);

struct Keeper {
    directory: PathBuf,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    shipping: Shipping,
    next_look: Instant,
    next_adoption: Instant,
    look_for_room: Duration,
    failures: u32,
    told_at: Option<Instant>,
}

/// Works until it is dropped.
pub(super) async fn run(directory: PathBuf, shared: Arc<Shared>, orders: mpsc::Sender<Order>, shipping: Shipping) {
    let now = Instant::now();
    let syncing = sync_what_waits(Arc::clone(&shared));
    let mut keeper = Keeper {
        directory,
        shared,
        orders,
        shipping,
        next_look: now,
        next_adoption: now,
        look_for_room: LOOK_FOR_ROOM,
        failures: 0,
        told_at: None,
    };
    let keeping = async {
        loop {
            keeper.turn().await;
        }
    };
    tokio::join!(keeping, syncing);
}

impl Keeper {
    /// Does what is due, then waits for more.
    async fn turn(&mut self) {
        if Instant::now() >= self.next_adoption && !self.shared.shelf().is_ending() {
            let has_more = self.adopt().await;
            let pause =
                if has_more && self.shared.shelf().closed() < MAX_ADOPTED / 2 { LOOK_EVERY } else { ADOPT_EVERY };
            self.next_adoption = Instant::now() + pause;
        }
        if self.shared.shelf().is_empty() {
            // Nothing of ours is anywhere: no need to know how the queue stands.
            tokio::select! {
                () = self.shared.grown.notified() => {}
                () = sleep_until(self.next_adoption) => {}
            }
            return;
        }
        if let Err(error) = self.work().await {
            self.rest(&error).await;
        } else {
            if self.failures > 0 {
                tracing::info!("the queue takes events again");
            }
            self.failures = 0;
        }
    }

    async fn work(&mut self) -> Result<(), QueueError> {
        if self.shared.shelf().is_ending() {
            self.next_look = self.next_look.min(Instant::now() + LOOK_AT_END);
        }
        // After a failure the first thing to know is whether another Redis answers.
        if Instant::now() >= self.next_look || self.failures > 0 {
            self.look().await?;
        }
        self.close_what_is_due().await;
        let piece = self.shared.shelf().next();
        if let Some(piece) = piece {
            self.look_for_room = LOOK_FOR_ROOM;
            return self.ship(piece).await;
        }
        let waits = self.shared.shelf().has_waiting();
        if waits {
            self.next_look = self.next_look.min(Instant::now() + self.look_for_room);
            self.look_for_room = (self.look_for_room * 2).min(LOOK_EVERY);
        }
        tokio::select! {
            () = self.shared.grown.notified(), if !waits => {}
            () = sleep_until(self.next_look) => {}
        }
        Ok(())
    }

    /// Ships one batch.
    async fn ship(&mut self, piece: Piece) -> Result<(), QueueError> {
        let Piece { segment, from, to, counted, failures } = piece;
        let reader = Arc::clone(&segment);
        let read = spawn_blocking(move || reader.read(from, to, BATCH, failures >= SALVAGE_AFTER)).await;
        let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let Frames { records, mut end, mut damage } = match read {
            Ok(frames) => frames,
            Err(error) => {
                self.tell_unreadable(&segment, from, &error.to_string());
                self.shared.shelf().rest(segment.id());
                return Ok(());
            }
        };
        if end <= from {
            // The file is shorter than it was.
            damage.push(Damage { at: from, bytes: to - from, what: "cut off" });
            end = to;
        }
        self.tell_damage(&segment, &damage);
        let tally_until = |until: u64| {
            tally_of(records.iter().filter(|one| one.end > counted && one.end <= until).map(|one| &one.counts))
        };
        let entries = || records.iter().filter(|one| !one.entry.is_empty());
        let batch: Vec<Bytes> = entries().map(|one| one.entry.clone()).collect();
        let count = batch.len();
        if count == 0 {
            self.shared.shelf().shipped(segment.id(), end, None, 0, tally_until(end));
            return Ok(());
        }
        let added = self.shipping.add(Queue::Ingest, batch).await;
        let last = added.ids.last().copied();
        if added.ids.len() == count {
            self.shared.shelf().shipped(segment.id(), end, last, count as u64, tally_until(end));
        } else if let Some(record) = added.ids.len().checked_sub(1).and_then(|last| entries().nth(last)) {
            // Those were added, whatever happened to the others.
            let tally = tally_until(record.end);
            self.shared.shelf().shipped(segment.id(), record.end, last, added.ids.len() as u64, tally);
        }
        added.error.map_or(Ok(()), Err)
    }

    /// A segment cannot be read now: a disk may come to its senses.
    fn tell_unreadable(&mut self, segment: &Segment, from: u64, error: &str) {
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            tracing::error!(
                segment = segment.name(),
                from,
                error,
                "a segment of the spool cannot be read; trying again"
            );
            self.told_at = Some(Instant::now());
        }
    }

    fn tell_damage(&self, segment: &Segment, damage: &[Damage]) {
        for one in damage {
            self.shared.damaged.fetch_add(1, Ordering::Relaxed);
            let Damage { at, bytes, what } = one;
            tracing::error!(segment = segment.name(), at, bytes, what, "an entry of the spool is damaged and lost");
        }
    }

    /// Sees how the queue stands, and lets go of what it is done with.
    async fn look(&mut self) -> Result<(), QueueError> {
        let look = self.shipping.look(Queue::Ingest).await?;
        self.next_look = Instant::now() + LOOK_EVERY;
        let (done, is_again) = self.shared.shelf().looked(&look);
        if is_again {
            tracing::warn!(
                "Redis was restarted or has lost its data: what is not stored yet goes into the queue again"
            );
        }
        for segment in done {
            if let Err(error) = segment.remove() {
                tracing::warn!(%error, segment = segment.name(), "a segment of the spool cannot be removed");
            }
        }
        Ok(())
    }

    /// Closes the open segment when it is time, and brings the counts of closed ones on their way.
    async fn close_what_is_due(&self) {
        let is_due = self.shared.shelf().is_closing_due();
        if is_due && self.orders.send(Order::Close).await.is_err() {
            return;
        }
        let tallies = self.shared.shelf().tallies();
        for (id, tally) in tallies {
            let entry = tally_entry(id, &tally);
            if append(&self.orders, vec![entry.clone()], Tally::default()).await.is_ok() {
                self.shared.shelf().tally_kept(id);
                continue;
            }
            // No room for them in a segment, while room is what they would make: straight into the queue. Until they are
            // settled, the segment that they are of stays.
            let added = self.shipping.add(Queue::Ingest, vec![entry]).await;
            let Some(id_of_entry) = added.ids.first() else { return };
            self.shared.shelf().tally_queued(id, *id_of_entry);
        }
    }

    /// Takes over segments whose process is gone; true when there were some.
    async fn adopt(&self) -> bool {
        let (directory, shared) = (self.directory.clone(), Arc::clone(&self.shared));
        match spawn_blocking(move || adopt(&directory, &shared)).await {
            Ok(Ok(0)) => false,
            Ok(Ok(adopted)) => {
                tracing::info!(segments = adopted, "took over what another process left in the spool");
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the spool cannot be looked through");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "looking through the spool broke off");
                false
            }
        }
    }

    /// After a failure: a growing pause.
    async fn rest(&mut self, error: &QueueError) {
        self.failures = self.failures.saturating_add(1);
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            tracing::warn!(%error, "the queue takes no events: they wait in the spool");
            self.told_at = Some(Instant::now());
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        sleep(pause).await;
    }
}

/// Puts what waits for the queue onto the disk itself once a second, so that a power cut takes no more than that. Apart
/// from all else: a disk may take long.
async fn sync_what_waits(shared: Arc<Shared>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        let waiting = shared.shelf().unsynced();
        for (segment, length) in waiting {
            let id = segment.id();
            let synced = spawn_blocking(move || segment.file().sync_data()).await;
            match synced {
                Ok(Ok(())) => shared.shelf().synced(id, length),
                Ok(Err(error)) => tracing::warn!(%error, "the spool cannot be put onto the disk"),
                Err(_) => {}
            }
        }
    }
}

fn adopt(directory: &Path, shared: &Shared) -> std::io::Result<usize> {
    let (mut adopted, mut foreign) = (0, 0);
    let own = shared.shelf().ids();
    let room = MAX_ADOPTED.saturating_sub(shared.shelf().closed());
    for (path, length) in segment::list(directory)? {
        if segment::id_of(&path).is_some_and(|id| own.contains(&id)) {
            continue;
        }
        let taken = if adopted < room { Segment::adopt(&path) } else { Ok(None) };
        match taken {
            Ok(Some(segment)) => {
                let length = segment.length()?;
                shared.shelf().adopt(Arc::new(segment), length);
                adopted += 1;
            }
            Ok(None) => foreign += length,
            Err(error) => {
                tracing::warn!(%error, segment = %path.display(), "a segment of the spool cannot be taken over");
                foreign += length;
            }
        }
    }
    shared.foreign_bytes.store(foreign, Ordering::Relaxed);
    Ok(adopted)
}

fn tally_of<'a>(counts: impl Iterator<Item = &'a Bytes>) -> Tally {
    let mut all = Tally::default();
    for bytes in counts.filter(|bytes| !bytes.is_empty()) {
        match Tally::decode(bytes) {
            Ok(tally) => all.merge(tally),
            // Its checksum was good, so this is another version's.
            Err(error) => tracing::warn!(%error, "counts in the spool cannot be read"),
        }
    }
    all
}

/// The counts of a segment as an entry, which counts once however often it comes, and on whatever day: it has the
/// segment's id and the time in that.
fn tally_entry(segment: Uuid, tally: &Tally) -> Bytes {
    let made_at = segment.get_timestamp().and_then(|made| {
        let (seconds, nanoseconds) = made.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanoseconds)
    });
    let stamp = Stamp::of_ours(StampedItem::TALLY, segment, made_at.unwrap_or_default());
    StampedItem { stamp, payload: tally.encode() }.encode()
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    #[test]
    fn the_counts_of_a_segment_are_the_same_reception_whenever_they_are_sent() {
        let segment = Uuid::now_v7();
        let item = StampedItem::decode(&tally_entry(segment, &Tally::default())).unwrap();
        assert_eq!(item.stamp.ingest_id, segment);
        assert!((Utc::now() - item.stamp.received_at).num_seconds().abs() < 60);
        assert_eq!(item.stamp.received_on, item.stamp.received_at.date_naive());
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(StampedItem::decode(&tally_entry(segment, &Tally::default())).unwrap(), item);
    }
}
