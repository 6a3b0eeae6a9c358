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

use super::hang_guard::{self, MAX_HUNG};
use super::job::Job;
use super::prepare::{Batch, prepare};
use super::project_rules::Rules;
use super::train_dictionaries::TrainDictionaries;
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

/// Events of a project without a dictionary that make it worth one at once. Twice what [`TrainDictionaries`] wants,
/// since the last of them are still being written.
const TRAIN_AFTER: usize = 2000;

/// How long a batch waits to become larger.
const LINGER: Duration = Duration::from_millis(20);

/// How often a batch that waits is filled up.
const FILL_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a read that failed.
const READ_PAUSE: Duration = Duration::from_millis(250);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked.
    InOrder,
    /// With threads that hang; the process must not go on.
    Hung,
}

/// Stores what comes, until `shutdown`; returns when the batches in hand are written, or cannot be.
/// `is_ready` is called once Redis has answered.
pub async fn run(app: &Arc<App>, mut consumer: Consumer, shutdown: &Shutdown, is_ready: impl FnOnce()) -> Ended {
    consumer.end_with(shutdown);
    let settler = consumer.settler();
    let writer = Writer { app: Arc::clone(app), settler: settler.clone(), shutdown: shutdown.clone(), ids: Vec::new() };
    tokio::select! {
        () = shutdown.draining() => return Ended::InOrder,
        () = wait_for_queue(&consumer) => is_ready(),
    }
    let mut rules = Rules::default();
    if !rules.load(&app.db, shutdown).await {
        return Ended::InOrder;
    }
    let mut writing: Option<JoinHandle<()>> = None;
    let mut newcomers = Newcomers::default();
    let mut failures = Failures::default();
    let mut ended = Ended::InOrder;
    while !shutdown.is_draining() {
        let entries = match next_batch(&mut consumer, writing.as_ref(), shutdown).await {
            Ok(entries) => entries,
            Err(error) => {
                failures.tell(&error);
                sleep(READ_PAUSE).await;
                continue;
            }
        };
        failures = Failures::default();
        if entries.is_empty() || shutdown.is_draining() {
            continue;
        }
        let encoders = app.encoders.current();
        let ids = entries.iter().map(|entry| entry.id.clone()).collect();
        let rules = rules.current(&app.db).await;
        let batch = prepare(entries, &encoders, &rules).await;
        newcomers.notice(app, &batch, &encoders);
        finish(writing.take()).await;
        let writer = Writer { ids, ..writer.clone() };
        writing = Some(tokio::spawn(async move { writer.write(batch).await }));
        if hang_guard::hung() > MAX_HUNG {
            tracing::error!(
                threads = hang_guard::hung(),
                "too many threads hang: the worker ends, to be started again"
            );
            ended = Ended::Hung;
            break;
        }
    }
    finish(writing).await;
    // What is not done is there for whichever worker comes first.
    if let Err(error) = settler.hand_back().await {
        tracing::warn!(%error, "what is left could not be handed back; it is taken up by the next start");
    }
    ended
}

/// Reads that failed one after another: told less and less often.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    fn tell(&mut self, error: &QueueError) {
        self.0 += 1;
        if self.0.is_power_of_two() {
            tracing::warn!(%error, failures = self.0, "the queue could not be read; trying again");
        }
    }
}

/// Projects that send much and have no dictionary yet: in the minutes until the next look at what is due, a busy one
/// would store a hundred thousand events at several times their size.
#[derive(Default)]
struct Newcomers {
    events: HashMap<ProjectId, usize>,
    asking: Option<JoinHandle<()>>,
}

impl Newcomers {
    fn notice(&mut self, app: &Arc<App>, batch: &Batch, encoders: &EncoderSet) {
        for prepared in &batch.events {
            let project = prepared.event.project_id;
            if !encoders.contains_key(&project) {
                *self.events.entry(project).or_default() += 1;
            }
        }
        let is_asking = self.asking.as_ref().is_some_and(|asking| !asking.is_finished());
        let busy = self.events.iter().find(|(_, events)| **events >= TRAIN_AFTER).map(|(project, _)| *project);
        let Some(busy) = busy.filter(|_| !is_asking) else { return };
        self.events.clear();
        let app = Arc::clone(app);
        self.asking = Some(tokio::spawn(async move {
            if let Err(error) = ask_for_dictionaries(&app, busy).await {
                tracing::warn!(error = format!("{error:#}"), "a payload dictionary could not be asked for yet");
            }
        }));
    }
}

/// Takes up what another worker has made meanwhile, and asks for what nobody has.
async fn ask_for_dictionaries(app: &App, project: ProjectId) -> anyhow::Result<()> {
    app.encoders.refresh(&app.db).await?;
    if !app.encoders.current().contains_key(&project) {
        TrainDictionaries {}.enqueue(&app.queue).await?;
    }
    Ok(())
}

async fn wait_for_queue(consumer: &Consumer) {
    let mut failures = Failures::default();
    while let Err(error) = consumer.prepare().await {
        failures.tell(&error);
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

/// The next entries; empty when there are none.
async fn next_batch(
    consumer: &mut Consumer,
    writing: Option<&JoinHandle<()>>,
    shutdown: &Shutdown,
) -> Result<Vec<Entry>, QueueError> {
    let mut entries = consumer.read(READ, true).await?;
    if entries.first().is_some_and(Entry::is_suspect) {
        return Ok(entries);
    }
    let full_at = Instant::now() + LINGER;
    let mut bytes = size(&entries);
    let mut may_have_more = entries.len() == READ;
    while !entries.is_empty() && entries.len() < BATCH && bytes < BATCH_BYTES && !shutdown.is_draining() {
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
    Ok(entries)
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.data.len()).sum()
}
