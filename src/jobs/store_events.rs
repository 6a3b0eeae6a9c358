//! Takes events from the queue to PostgreSQL.
//!
//! While one batch is written, the next is read and processed. A batch is up to 500 events or 8 MiB: under
//! load it fills by itself while the last one is written; else it waits 20 ms for company, since the cost of
//! a transaction is nearly the same for one event and for fifty.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::prepare::{Batch, prepare};
use super::train_dictionaries;
use super::write_batch::Writer;
use crate::app::App;
use crate::ids::ProjectId;
use crate::queue::{Consumer, Entry, QueueError};
use crate::shutdown::Shutdown;
use crate::store::payload_dictionary::EncoderSet;

/// Events in one transaction.
const BATCH: usize = 500;

/// A batch is large enough at this size, in bytes as queued. With events of the largest size (1 MiB) a batch of
/// [`BATCH`] would not fit into the memory of a small machine.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Events asked for at once: how far a batch can get past [`BATCH_BYTES`].
const READ: usize = 64;

/// Events of a project without a dictionary that make it worth one at once. Twice what [`train_dictionaries`] wants,
/// since the last of them are still being written.
const TRAIN_AFTER: usize = 2000;

/// How long a batch waits to become larger.
const LINGER: Duration = Duration::from_millis(20);

/// How often a batch that waits is filled up.
const FILL_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a read that failed.
const READ_PAUSE: Duration = Duration::from_millis(250);

/// Stores what comes, until `shutdown`; returns when the batches in hand are written, or cannot be.
/// `is_ready` is called once Redis has answered.
pub async fn run(app: &Arc<App>, mut consumer: Consumer, shutdown: &Shutdown, is_ready: impl FnOnce()) {
    let writer = Writer { app: Arc::clone(app), settler: consumer.settler(), shutdown: shutdown.clone() };
    tokio::select! {
        () = shutdown.draining() => return,
        () = wait_for_queue(&consumer) => is_ready(),
    }
    let mut writing: Option<JoinHandle<()>> = None;
    let mut newcomers = Newcomers::default();
    loop {
        let entries = tokio::select! {
            biased;
            () = shutdown.draining() => break,
            entries = next_batch(&mut consumer, writing.as_ref()) => entries,
        };
        if entries.is_empty() {
            continue;
        }
        let encoders = app.encoders.current();
        let batch = prepare(entries, &encoders).await;
        newcomers.notice(app, &batch, &encoders);
        finish(writing.take()).await;
        let writer = writer.clone();
        writing = Some(tokio::spawn(async move { writer.write(batch).await }));
    }
    finish(writing).await;
}

/// Projects that send much and have no dictionary yet: in the minutes until the next look at what is due, a busy one
/// would store a hundred thousand events at several times their size.
#[derive(Default)]
struct Newcomers {
    events: HashMap<ProjectId, usize>,
    training: Option<JoinHandle<()>>,
}

impl Newcomers {
    fn notice(&mut self, app: &Arc<App>, batch: &Batch, encoders: &EncoderSet) {
        for prepared in &batch.events {
            let project = prepared.event.project_id;
            if !encoders.contains_key(&project) {
                *self.events.entry(project).or_default() += 1;
            }
        }
        let is_training = self.training.as_ref().is_some_and(|training| !training.is_finished());
        if is_training || self.events.values().all(|events| *events < TRAIN_AFTER) {
            return;
        }
        self.events.clear();
        let app = Arc::clone(app);
        self.training = Some(tokio::spawn(async move {
            if let Err(error) = train_dictionaries::run(app).await {
                tracing::warn!(error = format!("{error:#}"), "a payload dictionary could not be made yet");
            }
        }));
    }
}

async fn wait_for_queue(consumer: &Consumer) {
    while let Err(error) = consumer.prepare().await {
        tracing::warn!(%error, "waiting for the queue");
        sleep(READ_PAUSE).await;
    }
}

async fn finish(writing: Option<JoinHandle<()>>) {
    if let Some(writing) = writing
        && let Err(error) = writing.await
    {
        // The entries stay pending.
        tracing::error!(%error, "writing a batch broke off");
    }
}

/// The next entries; empty when there are none or Redis is away.
async fn next_batch(consumer: &mut Consumer, writing: Option<&JoinHandle<()>>) -> Vec<Entry> {
    let mut entries = match consumer.read(READ, true).await {
        Ok(entries) => entries,
        Err(error) => {
            pause_after(&error).await;
            return Vec::new();
        }
    };
    let full_at = Instant::now() + LINGER;
    let mut bytes = size(&entries);
    let mut may_have_more = entries.len() == READ;
    while !entries.is_empty() && entries.len() < BATCH && bytes < BATCH_BYTES {
        if !may_have_more {
            let is_writer_free = writing.is_none_or(JoinHandle::is_finished);
            if is_writer_free && Instant::now() >= full_at {
                break;
            }
            sleep(FILL_PAUSE).await;
        }
        let wanted = READ.min(BATCH - entries.len());
        match consumer.read(wanted, false).await {
            Ok(more) => {
                may_have_more = more.len() == wanted;
                bytes += size(&more);
                entries.extend(more);
            }
            // What is in hand can be stored; the next read tells about Redis.
            Err(_) => break,
        }
    }
    entries
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.data.len()).sum()
}

async fn pause_after(error: &QueueError) {
    tracing::warn!(%error, "the queue could not be read; trying again");
    sleep(READ_PAUSE).await;
}
