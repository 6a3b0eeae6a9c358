//! The reading end of a queue.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{EventInterface, StreamsInterface};
use fred::types::config::Server;
use fred::types::{Key, Value};
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::error::{QueueError, is_group_missing};
use super::keys::{DATA, GROUP, MAX_DEAD, MAX_DEAD_BYTES, Queue};
use super::reply;
use crate::config::Config;

/// Time for a command, besides what a read may block.
const COMMAND_LIMIT: Duration = Duration::from_secs(4);

/// Pending entries are looked for this often, besides at the start and after reconnections.
const RESCAN: Duration = Duration::from_mins(1);

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names the entry in its queue.
    pub id: String,
    /// What was appended; empty if somebody deleted the entry meanwhile.
    pub data: Bytes,
}

/// Where the next read continues.
enum Position {
    /// Among the entries given to this consumer before, after this id.
    Pending(String),
    /// At entries that nobody was given yet.
    New,
}

/// Ids given out, and neither acknowledged nor buried yet.
type Held = Arc<Mutex<HashSet<String>>>;

/// Reads a queue under a stable name. A read blocks its connection, so a [`Settler`] has its own.
pub struct Consumer {
    queue: Queue,
    name: String,
    reader: Client,
    settler: Settler,
    reconnections: Receiver<Server>,
    position: Position,
    next_scan: Instant,
}

/// Says what became of entries. Cheap to clone.
#[derive(Clone)]
pub struct Settler {
    queue: Queue,
    client: Client,
    held: Held,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("queue", &self.queue).field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Consumer {
    /// Starts connecting in the background; succeeds with Redis away. `slot` tells workers that run side
    /// by side apart, and stays the same from one start to the next. Call inside the runtime.
    pub fn connect(settings: &Config, queue: Queue, slot: &str) -> Result<Self, QueueError> {
        let reader = super::client::connect(settings, queue.block() + COMMAND_LIMIT)?;
        let settler =
            Settler { queue, client: super::client::connect(settings, COMMAND_LIMIT)?, held: Held::default() };
        Ok(Self {
            queue,
            name: format!("worker-{slot}"),
            reconnections: reader.reconnect_rx(),
            settler,
            reader,
            position: Position::Pending("0".to_owned()),
            next_scan: Instant::now() + RESCAN,
        })
    }

    /// The other hand of this consumer.
    pub fn settler(&self) -> Settler {
        self.settler.clone()
    }

    /// Waits for Redis, and makes the stream and its group if they are missing, so that even what was
    /// appended before is read.
    pub async fn prepare(&self) -> Result<(), QueueError> {
        let created = self.settler.client.xgroup_create::<(), _, _, _>(self.queue.key(), GROUP, "0", true).await;
        match created {
            Err(error) if !error.details().starts_with("BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Up to `max` entries: first what this consumer was given before and has not finished, then new ones,
    /// waiting for them if `wait`, as long as the queue wants. Empty when there is nothing. Dropping the future loses
    /// nothing: what Redis gave meanwhile is pending.
    pub async fn read(&mut self, max: usize, wait: bool) -> Result<Vec<Entry>, QueueError> {
        loop {
            // Whatever the connection was carrying when it broke is pending by now.
            if !self.reconnections.is_empty() || Instant::now() >= self.next_scan {
                self.reconnections = self.reconnections.resubscribe();
                self.position = Position::Pending("0".to_owned());
                self.next_scan = Instant::now() + RESCAN;
            }
            // A read that is dropped or fails may have been answered: look among the pending entries next.
            match std::mem::replace(&mut self.position, Position::Pending("0".to_owned())) {
                Position::New => {
                    let block = if wait { u64::try_from(self.queue.block().as_millis()).ok() } else { None };
                    let entries = self.fetch(max, block, ">").await?;
                    self.position = Position::New;
                    self.settler.hold(&entries);
                    return Ok(entries);
                }
                Position::Pending(after) => {
                    let entries = self.fetch(max, None, &after).await?;
                    self.position = entries.last().map_or(Position::New, |last| Position::Pending(last.id.clone()));
                    let not_in_hand = self.settler.hold(&entries);
                    if !not_in_hand.is_empty() {
                        return Ok(not_in_hand);
                    }
                }
            }
        }
    }

    async fn fetch(&self, max: usize, block: Option<u64>, after: &str) -> Result<Vec<Entry>, QueueError> {
        let count = u64::try_from(max).ok();
        let key = self.queue.key();
        let read = self.reader.xreadgroup::<Value, _, _, _, _>(GROUP, &*self.name, count, block, false, key, after);
        match read.await {
            Ok(reply) => Ok(reply::entries(reply)),
            Err(error) if is_group_missing(&error) => {
                self.prepare().await?;
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Settler {
    /// Says that the entries are done: they leave the queue. After an error they stay, and are given out
    /// again by a later start.
    pub async fn acknowledge(&self, ids: Vec<String>) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let pipeline = self.client.pipeline();
        let _: () = pipeline.xack(self.queue.key(), GROUP, ids.clone()).await?;
        let _: () = pipeline.xdel(self.queue.key(), ids.clone()).await?;
        let _: Vec<Value> = pipeline.all().await?;
        let mut held = self.held();
        for id in &ids {
            held.remove(id);
        }
        Ok(())
    }

    /// Moves an entry that can never be done to the dead letters, with the `reason`. The latest 100 are kept, a
    /// large one without its end: whoever may send events can make them.
    pub async fn bury(&self, entry: &Entry, reason: &str) -> Result<(), QueueError> {
        let fields: Vec<(Key, Value)> = vec![
            (DATA.into(), Value::Bytes(entry.data.slice(..entry.data.len().min(MAX_DEAD_BYTES)))),
            ("reason".into(), reason.into()),
            ("id".into(), entry.id.as_str().into()),
        ];
        let latest = ("MAXLEN", "=", MAX_DEAD);
        let _: () = self.client.xadd(self.queue.dead_key(), false, latest, "*", fields).await?;
        self.acknowledge(vec![entry.id.clone()]).await
    }

    /// Lets go of entries that could not be settled; they are pending, and are given out again.
    pub fn release(&self, ids: &[String]) {
        let mut held = self.held();
        for id in ids {
            held.remove(id);
        }
    }

    /// Notes what is given out, and gives back what was not out already.
    fn hold(&self, entries: &[Entry]) -> Vec<Entry> {
        let mut held = self.held();
        entries.iter().filter(|entry| held.insert(entry.id.clone())).cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, HashSet<String>> {
        // A panic elsewhere leaves the set whole: every change is one insert or remove.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
