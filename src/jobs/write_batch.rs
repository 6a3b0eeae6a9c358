//! Writes prepared events, whatever it takes: waits for PostgreSQL, and picks out what it will never take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{sleep, timeout};

use super::prepare::{self, Batch, Canary, Counted, Prepared, Unusable};
use super::write_filtered::envelopes_of_dependents;
use crate::app::App;
use crate::process;
use crate::protocol::{Category, Stamp, Tally};
use crate::queue::{Entry, Settler};
use crate::retention::Kept;
use crate::shutdown::Shutdown;
use crate::store::canary_run::{self, CanaryRun};
use crate::store::event_batch::{self, BatchReport, NewEvent};
use crate::store::kept_item::{self, NewItem};
use crate::store::rejected_item::{self, RejectedItem};
use crate::store::{self, StoreError, outcome};

/// The reason that items which cannot be stored are counted with.
const INVALID: &str = "invalid";

/// First pause before another try; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before another try.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A fault that is neither PostgreSQL's absence nor plainly the data's gets so many tries before the batch
/// is taken apart.
const TRIES: u32 = 5;

/// ... and an event that is alone with such a fault so many, before it counts as the one at fault: what is wrong with
/// the database itself must not reject one event after the other.
const TRIES_ALONE: u32 = 20;

/// PostgreSQL has so long to answer, which is longer than it may take for a statement. A server that is gone says nothing.
const WRITE_LIMIT: Duration = Duration::from_mins(1);

/// After so long without an answer, it is not the entries' fault if the worker ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where things go.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) app: Arc<App>,
    pub(super) settler: Settler,
    pub(super) shutdown: Shutdown,
    /// The entries of the batch.
    pub(super) ids: Vec<String>,
}

/// How it ended to insist.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Insisted {
    /// In the database.
    Done,
    /// It will never be; why.
    Impossible(String),
    /// The process ends.
    GivenUp,
}

enum Written {
    /// In the database.
    Stored,
    /// Some event cannot be stored.
    Unstorable(StoreError),
    /// The process ends; the entries stay pending.
    GivenUp,
}

impl Writer {
    /// Stores the batch and settles its entries. What is not settled when the process must end stays
    /// pending, and is taken up by the next start.
    pub(super) async fn write(&self, batch: Batch) {
        let _given_back = GivenBack(self);
        if !self.write_own(batch.tallies, batch.canaries).await {
            return;
        }
        for unusable in batch.unusable {
            let Unusable { entry, reason, stamp } = unusable;
            let item = stamp.as_ref().map(|stamp| rejected(stamp, &reason));
            if !self.reject(&entry, &reason, item).await {
                return;
            }
        }
        if !self.write_filtered(batch.filtered).await || !self.write_items(batch.items).await {
            return;
        }
        let Some(events) = self.without_settled(batch.events).await else { return };
        let kept = Kept::at(Utc::now(), &self.app.config);
        let (late, events) = events.into_iter().partition(|one| kept.has_expired(one.event.received_on));
        if !self.settle_late(late).await {
            return;
        }
        // Parts still to be written, the next one last.
        let mut parts: Vec<Vec<Prepared>> = vec![events];
        while let Some(part) = parts.pop() {
            let (entries, events) = unzip(part);
            match self.store(&events).await {
                Written::Stored => self.acknowledge(entries).await,
                Written::GivenUp => return,
                Written::Unstorable(error) => {
                    if let ([entry], [event]) = (entries.as_slice(), events.as_slice()) {
                        let reason = error.to_string();
                        if !self.reject(entry, &reason, Some(rejected_event(event, &reason))).await {
                            return;
                        }
                        continue;
                    }
                    tracing::warn!(%error, events = events.len(), "a batch is taken apart to find the event at fault");
                    let mut first: Vec<Prepared> = entries.into_iter().zip(events).map(Prepared::settled).collect();
                    parts.push(first.split_off(first.len() / 2));
                    parts.push(first);
                }
            }
        }
    }

    /// Stores items beside events; false when the process ends first.
    async fn write_items(&self, items: Vec<prepare::Kept>) -> bool {
        // Parts still to be written, the next one last.
        let mut parts = vec![items];
        while let Some(part) = parts.pop() {
            let (entries, items): (Vec<Entry>, Vec<NewItem>) =
                part.into_iter().map(|prepare::Kept { entry, item }| (entry, item)).unzip();
            if items.is_empty() {
                continue;
            }
            match self.insist("an item", || kept_item::write(&self.app.db, &items)).await {
                Insisted::Done => {
                    let dropped = self.insist_on_dependents(&envelopes_of_dependents(&items)).await;
                    if !self.finish(dropped, entries).await {
                        return false;
                    }
                }
                Insisted::GivenUp => return false,
                Insisted::Impossible(reason) => {
                    if let ([entry], [item]) = (entries.as_slice(), items.as_slice()) {
                        if !self.reject(entry, &reason, Some(rejected(&item.stamp, &reason))).await {
                            return false;
                        }
                        continue;
                    }
                    tracing::warn!(reason, items = items.len(), "a batch is taken apart to find the item at fault");
                    let mut first: Vec<prepare::Kept> =
                        entries.into_iter().zip(items).map(|(entry, item)| prepare::Kept { entry, item }).collect();
                    parts.push(first.split_off(first.len() / 2));
                    parts.push(first);
                }
            }
        }
        true
    }

    /// Stores what is ours: the edge's counts and the canaries; false when the process ends first.
    async fn write_own(&self, tallies: Vec<Counted>, canaries: Vec<Canary>) -> bool {
        if !tallies.is_empty() {
            let counts: Vec<(&Stamp, &Tally)> =
                tallies.iter().map(|counted| (&counted.stamp, &counted.tally)).collect();
            let stored = self.insist("the edge's counts", || outcome::settle_tallies(&self.app.db, &counts)).await;
            if matches!(stored, Insisted::Impossible(_)) && tallies.len() > 1 {
                // One that cannot be stored must not take the others with it.
                for counted in tallies {
                    if !Box::pin(self.write_own(vec![counted], Vec::new())).await {
                        return false;
                    }
                }
            } else if !self.finish(stored, tallies.into_iter().map(|counted| counted.entry).collect()).await {
                return false;
            }
        }
        if !canaries.is_empty() {
            let stored_at = Utc::now();
            let runs: Vec<CanaryRun> = canaries
                .iter()
                .map(|Canary { stamp, .. }| CanaryRun { id: stamp.ingest_id, sent_at: stamp.received_at, stored_at })
                .collect();
            let stored = self.insist("a canary", || canary_run::insert(&self.app.db, &runs)).await;
            if !self.finish(stored, canaries.into_iter().map(|canary| canary.entry).collect()).await {
                return false;
            }
        }
        true
    }

    /// Counts an entry that no try will store as rejected, and buries it; false when the process ends first.
    async fn reject(&self, entry: &Entry, reason: &str, item: Option<RejectedItem>) -> bool {
        if let Some(item) = item {
            match self.insist("a rejected item", || rejected_item::reject(&self.app.db, &item)).await {
                Insisted::Done => {}
                Insisted::Impossible(_) => {
                    // What cannot be counted is not given up: it is given out again.
                    self.settler.release(std::slice::from_ref(&entry.id));
                    return true;
                }
                Insisted::GivenUp => return false,
            }
        }
        self.bury(entry, reason).await;
        true
    }

    /// Waits for PostgreSQL's answer, but not for ever.
    async fn ask<T>(&self, write: impl Future<Output = store::Result<T>>) -> store::Result<T> {
        let mut write = pin!(write);
        if let Ok(answer) = timeout(PATIENCE, &mut write).await {
            return answer;
        }
        let no_answer = || StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        self.excuse(&no_answer()).await;
        timeout(WRITE_LIMIT, write).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Tries until it is done, or the database says that it never will be.
    pub(super) async fn insist<T, F: Future<Output = store::Result<T>>>(
        &self,
        what: &str,
        write: impl Fn() -> F,
    ) -> Insisted {
        let (mut pause, mut faults) = (FIRST_PAUSE, 0);
        for failures in 1_u32.. {
            let Err(error) = self.ask(write()).await else { return Insisted::Done };
            faults = if is_passing(&error) { 0 } else { faults + 1 };
            if faults >= TRIES {
                tracing::error!(%error, "{what} could not be stored");
                return Insisted::Impossible(error.to_string());
            }
            if failures == 1 {
                self.excuse(&error).await;
            }
            if failures.is_power_of_two() {
                tracing::warn!(%error, failures, "{what} could not be stored; trying again");
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                () = self.shutdown.draining() => break,
            }
        }
        Insisted::GivenUp
    }

    /// Settles entries after [`Self::insist`]; false when the process ends first.
    pub(super) async fn finish(&self, how: Insisted, entries: Vec<Entry>) -> bool {
        match how {
            Insisted::Done => self.acknowledge(entries).await,
            Insisted::Impossible(reason) => {
                for entry in &entries {
                    self.bury(entry, &reason).await;
                }
            }
            Insisted::GivenUp => return false,
        }
        true
    }

    /// Settles events that waited in the queue, or in the dead letters, until they were too old to be kept; false
    /// when the process ends first.
    async fn settle_late(&self, late: Vec<Prepared>) -> bool {
        if late.is_empty() {
            return true;
        }
        let (entries, events) = unzip(late);
        tracing::warn!(events = events.len(), "events came too late to be kept");
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.ask(event_batch::expire(&self.app.db, &events)).await {
            tracing::warn!(%error, "late events could not be settled; trying again");
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                () = self.shutdown.draining() => return false,
            }
        }
        self.acknowledge(entries).await;
        true
    }

    async fn store(&self, events: &[NewEvent]) -> Written {
        let (mut pause, mut faults) = (FIRST_PAUSE, 0);
        let tries = if events.len() > 1 { TRIES } else { TRIES_ALONE };
        for failures in 1_u32.. {
            let error = match self.ask(event_batch::write_with(&self.app.db, events, process::earlier_hashes)).await {
                Ok(report) => {
                    log(&report, events.len());
                    let has_news = !report.new_issues.is_empty() || !report.regressed.is_empty();
                    self.app.alerts.stored(events.iter().map(|event| event.project_id), has_news);
                    return Written::Stored;
                }
                Err(error) => error,
            };
            faults = if is_passing(&error) { 0 } else { faults + 1 };
            if matches!(error, StoreError::Data(_)) || faults >= tries {
                return Written::Unstorable(error);
            }
            if failures == 1 {
                self.excuse(&error).await;
            }
            if failures.is_power_of_two() {
                tracing::warn!(%error, failures, events = events.len(), "a batch could not be stored; trying again");
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                () = self.shutdown.draining() => return Written::GivenUp,
            }
        }
        Written::GivenUp
    }

    /// While PostgreSQL is away, whatever ends the worker is not held against the entries that wait for it.
    async fn excuse(&self, error: &StoreError) {
        if is_passing(error)
            && let Err(error) = self.settler.excuse(&self.ids).await
        {
            tracing::debug!(%error, "entries that wait could not be excused");
        }
    }

    /// An entry that is not acknowledged is given out again, and storing it again changes nothing.
    pub(super) async fn acknowledge(&self, entries: Vec<Entry>) {
        let ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
        if let Err(error) = self.settler.acknowledge(ids.clone()).await {
            tracing::warn!(%error, entries = ids.len(), "stored events could not be acknowledged yet");
            self.settler.release(&ids);
        }
    }

    async fn bury(&self, entry: &Entry, reason: &str) {
        tracing::error!(entry.id, reason, "an entry cannot be stored and goes to the dead letters");
        if let Err(error) = self.settler.bury(entry, reason).await {
            tracing::warn!(%error, entry.id, "the dead letter could not be written yet");
            self.settler.release(std::slice::from_ref(&entry.id));
        }
    }
}

fn rejected(stamp: &Stamp, detail: &str) -> RejectedItem {
    RejectedItem {
        ingest_id: stamp.ingest_id,
        received_on: stamp.received_on,
        project_id: stamp.project_id,
        event_id: stamp.event_id,
        received_at: stamp.received_at,
        category: Category::of_item_type(&stamp.item_type).as_str().to_owned(),
        reason: INVALID.to_owned(),
        detail: detail.to_owned(),
    }
}

fn rejected_event(event: &NewEvent, detail: &str) -> RejectedItem {
    RejectedItem {
        ingest_id: event.ingest_id,
        received_on: event.received_on,
        project_id: event.project_id,
        event_id: event.event_id,
        received_at: event.received_at,
        category: Category::Error.as_str().to_owned(),
        reason: INVALID.to_owned(),
        detail: detail.to_owned(),
    }
}

fn unzip(part: Vec<Prepared>) -> (Vec<Entry>, Vec<NewEvent>) {
    part.into_iter().map(|Prepared { entry, event, .. }| (entry, event)).unzip()
}

/// Not the events' fault: PostgreSQL is away or busy, or its schema is not (yet) the one we know, as while a migration
/// (class 42, 0A, 26) or a restore (3D, 3F) runs, or somebody is at work on it (55, 57). Waiting helps; taking the batch
/// apart would not.
fn is_passing(error: &StoreError) -> bool {
    let is_of = |code: String| ["0A", "26", "3D", "3F", "42", "55", "57"].iter().any(|class| code.starts_with(class));
    error.is_retryable() || error.code().is_some_and(is_of)
}

/// Lets go of a batch whose writing has panicked: its entries are pending, and are given out again.
struct GivenBack<'a>(&'a Writer);

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.settler.release(&self.0.ids);
        }
    }
}

fn log(report: &BatchReport, events: usize) {
    tracing::debug!(
        events,
        stored = report.stored,
        duplicates = report.duplicates,
        redelivered = report.redelivered,
        orphaned = report.orphaned,
        new_issues = report.new_issues.len(),
        regressed = report.regressed.len(),
        "a batch was stored"
    );
}
