//! Takes events from the queue to PostgreSQL.
//!
//! While one batch is written, the next is read and processed. A batch is up to 500 events or 8 MiB: under
//! load it fills by itself while the last one is written; else it waits 20 ms for company, since the cost of
//! a transaction is nearly the same for one event and for fifty.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::prepare::prepare;
use super::write_batch::Writer;
use crate::app::App;
use crate::queue::{Consumer, Entry, QueueError};
use crate::shutdown::Shutdown;

/// Events in one transaction.
const BATCH: usize = 500;

/// A batch is large enough at this size, in bytes as queued. With events of the largest size (1 MiB) a batch of
/// [`BATCH`] would not fit into the memory of a small machine.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Events asked for at once: how far a batch can get past [`BATCH_BYTES`].
const READ: usize = 64;

/// How long a batch waits to become larger.
const LINGER: Duration = Duration::from_millis(20);

/// How often a batch that waits is filled up.
const FILL_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a read that failed.
const READ_PAUSE: Duration = Duration::from_millis(250);

/// Stores what comes, until `shutdown`; returns when the batches in hand are written, or cannot be.
/// `is_ready` is called once Redis has answered.
pub async fn run(app: &App, mut consumer: Consumer, shutdown: &Shutdown, is_ready: impl FnOnce()) {
    let writer = Writer { db: app.db.clone(), settler: consumer.settler(), shutdown: shutdown.clone() };
    tokio::select! {
        () = shutdown.draining() => return,
        () = wait_for_queue(&consumer) => is_ready(),
    }
    let mut writing: Option<JoinHandle<()>> = None;
    loop {
        let entries = tokio::select! {
            biased;
            () = shutdown.draining() => break,
            entries = next_batch(&mut consumer, writing.as_ref()) => entries,
        };
        if entries.is_empty() {
            continue;
        }
        let batch = prepare(entries, &app.encoders.current()).await;
        finish(writing.take()).await;
        let writer = writer.clone();
        writing = Some(tokio::spawn(async move { writer.write(batch).await }));
    }
    finish(writing).await;
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
