//! The reading end of a queue.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{EventInterface, StreamsInterface};
use fred::types::{Key, Value};
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::error::{QueueError, is_group_missing};
use super::keys::{DATA, GROUP, Queue};
use super::reply;
use crate::config::Config;

/// How long a read waits for new work.
const BLOCK: Duration = Duration::from_secs(2);

/// Time for a command; more than a read may block.
const COMMAND_LIMIT: Duration = Duration::from_secs(6);

/// Pending entries are looked for this often, besides at the start and after reconnections.
const RESCAN: Duration = Duration::from_secs(60);

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

/// Reads a queue under a stable name. A read blocks its connection, so acknowledgements have their own.
pub struct Consumer {
    queue: Queue,
    name: String,
    reader: Client,
    writer: Client,
    reconnections: Receiver<fred::types::config::Server>,
    position: Position,
    next_scan: Instant,
    /// Given out, and neither acknowledged nor buried yet.
    held: HashSet<String>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("queue", &self.queue).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Consumer {
    /// Starts connecting in the background; succeeds with Redis away. `slot` tells workers that run side
    /// by side apart, and stays the same from one start to the next. Call inside the runtime.
    pub fn connect(settings: &Config, queue: Queue, slot: &str) -> Result<Self, QueueError> {
        let reader = super::client::connect(settings, COMMAND_LIMIT)?;
        Ok(Self {
            queue,
            name: format!("worker-{slot}"),
            reconnections: reader.reconnect_rx(),
            writer: super::client::connect(settings, COMMAND_LIMIT)?,
            reader,
            position: Position::Pending("0".to_owned()),
            next_scan: Instant::now() + RESCAN,
            held: HashSet::new(),
        })
    }

    /// Up to `max` entries: first what this consumer was given before and has not finished, then new ones,
    /// waiting up to 2 s for them. Empty when there is nothing. Dropping the future loses nothing: what
    /// Redis gave meanwhile is pending.
    pub async fn read(&mut self, max: u16) -> Result<Vec<Entry>, QueueError> {
        loop {
            // Whatever the connection was carrying when it broke is pending by now.
            let reconnected = !self.reconnections.is_empty();
            self.reconnections = self.reconnections.resubscribe();
            if reconnected || Instant::now() >= self.next_scan {
                self.position = Position::Pending("0".to_owned());
                self.next_scan = Instant::now() + RESCAN;
            }
            let (after, block) = match &self.position {
                Position::Pending(id) => (id.clone(), None),
                Position::New => (">".to_owned(), u64::try_from(BLOCK.as_millis()).ok()),
            };
            let is_new = block.is_some();
            let entries = self.fetch(max, block, after).await?;
            if is_new {
                self.held.extend(entries.iter().map(|entry| entry.id.clone()));
                return Ok(entries);
            }
            self.position = entries.last().map_or(Position::New, |last| Position::Pending(last.id.clone()));
            let unheld: Vec<Entry> = entries.into_iter().filter(|entry| self.held.insert(entry.id.clone())).collect();
            if !unheld.is_empty() {
                return Ok(unheld);
            }
        }
    }

    async fn fetch(&mut self, max: u16, block: Option<u64>, after: String) -> Result<Vec<Entry>, QueueError> {
        let count = Some(u64::from(max));
        let key = self.queue.key();
        // A read that is dropped or fails may have been answered: look among the pending entries next.
        let scan_next = std::mem::replace(&mut self.position, Position::Pending("0".to_owned()));
        let read =
            self.reader.xreadgroup::<Value, _, _, _, _>(GROUP, &*self.name, count, block, false, key, after).await;
        match read {
            Ok(reply) => {
                self.position = scan_next;
                Ok(reply::entries(reply))
            }
            Err(error) if is_group_missing(&error) => {
                self.create_group().await?;
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the stream and its group, so that even what was appended before is read.
    async fn create_group(&self) -> Result<(), QueueError> {
        match self.writer.xgroup_create::<(), _, _, _>(self.queue.key(), GROUP, "0", true).await {
            Err(error) if !error.details().starts_with("BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says that the entries are done: they leave the queue. After an error they stay, and are given out
    /// again by a later start.
    pub async fn acknowledge(&mut self, ids: &[String]) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let pipeline = self.writer.pipeline();
        let _: () = pipeline.xack(self.queue.key(), GROUP, ids.to_vec()).await?;
        let _: () = pipeline.xdel(self.queue.key(), ids.to_vec()).await?;
        let _: Vec<Value> = pipeline.all().await?;
        for id in ids {
            self.held.remove(id);
        }
        Ok(())
    }

    /// Moves an entry that can never be done to the dead letters, with the `reason`.
    pub async fn bury(&mut self, entry: &Entry, reason: &str) -> Result<(), QueueError> {
        let fields: Vec<(Key, Value)> = vec![
            (DATA.into(), Value::Bytes(entry.data.clone())),
            ("reason".into(), reason.into()),
            ("id".into(), entry.id.as_str().into()),
        ];
        let _: () = self.writer.xadd(self.queue.dead_key(), false, None::<()>, "*", fields).await?;
        self.acknowledge(std::slice::from_ref(&entry.id)).await
    }
}
