//! The reading end of a queue.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientInterface, EventInterface, StreamsInterface};
use fred::types::Value;
use fred::types::config::Server;
use tokio::sync::broadcast;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::error::{QueueError, is_group_missing};
use super::keys::{GROUP, Queue};
use super::leftovers::Leftovers;
use super::reply;
use super::seat::{COMMAND_LIMIT, Seat, Shared};
use super::settler::Settler;
use crate::config::Config;
use crate::shutdown::Shutdown;

/// What was lost on its way here is looked for this often, besides after reconnections.
const RESCAN: Duration = Duration::from_mins(1);

/// Deliveries that ended with the worker's death before an entry is under suspicion: it is then given out with nothing
/// else in the worker's hands, so that nothing else suffers.
pub(super) const SUSPECT_AFTER: u64 = 2;

/// Deliveries that ended with the worker's death before an entry is given up.
pub(super) const HOPELESS_AFTER: u64 = 5;

/// A read that shall end is told so again after this long: it may not have reached Redis yet.
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// After so many times Redis is thought to be away.
const PATIENCE: u32 = 10;

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names the entry in its queue.
    pub id: String,
    /// What was appended; empty if somebody deleted the entry meanwhile.
    pub data: Bytes,
    /// How often it was given out, this time included; those that ended in order are not counted.
    pub deliveries: u64,
}

impl Entry {
    /// It may be what ended the worker before; it is alone in the worker's hands, and shall be settled alone.
    pub fn is_suspect(&self) -> bool {
        self.deliveries > SUSPECT_AFTER
    }

    /// It has ended the worker so often that it must not be tried again.
    pub fn hopeless(&self) -> Option<String> {
        let deaths = self.deliveries.saturating_sub(1);
        (deaths >= HOPELESS_AFTER).then(|| format!("it ended the worker {deaths} times"))
    }
}

/// Reads a queue. A read blocks its connection, so everything else goes over the seat's.
pub struct Consumer {
    queue: Queue,
    seat: Arc<Shared>,
    shutdown: Shutdown,
    reader: Client,
    /// A read that is given up must not swallow entries.
    _connection: AbortOnDropHandle<Result<(), fred::error::Error>>,
    reconnections: broadcast::Receiver<Server>,
    news: watch::Receiver<()>,
    leftovers: Leftovers,
    /// Read, and not given out since another queue's suspect must be alone in hand.
    kept: Vec<Entry>,
    next_scan: Instant,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("queue", &self.queue).field("name", &self.seat.name).finish_non_exhaustive()
    }
}

impl Consumer {
    /// The reader of a seat with only one queue. Call inside the runtime.
    pub fn connect(settings: &Config, queue: Queue, slot: &str) -> Result<Self, QueueError> {
        Seat::connect(settings, slot, &[queue], Duration::ZERO)?.consumer(queue)
    }

    pub(super) fn new(settings: &Config, queue: Queue, seat: Arc<Shared>) -> Result<Self, QueueError> {
        let (reader, connection) = super::client::open(settings, queue.block() + COMMAND_LIMIT)?;
        Ok(Self {
            shutdown: Shutdown::new(),
            _connection: AbortOnDropHandle::new(connection),
            queue,
            reconnections: reader.reconnect_rx(),
            reader,
            news: seat.news.subscribe(),
            leftovers: Leftovers::new(queue, Arc::clone(&seat)),
            seat,
            kept: Vec::new(),
            next_scan: Instant::now() + RESCAN,
        })
    }

    /// From now on reads end with `shutdown`.
    pub fn end_with(&mut self, shutdown: &Shutdown) {
        self.shutdown = shutdown.clone();
    }

    /// The other hand of this consumer.
    pub fn settler(&self) -> Settler {
        Settler::new(self.queue, Arc::clone(&self.seat))
    }

    /// Waits for Redis, and makes the stream and its group if they are missing, so that even what was
    /// appended before is read.
    pub async fn prepare(&self) -> Result<(), QueueError> {
        let created = self.seat.client.xgroup_create::<(), _, _, _>(self.queue.key(), GROUP, "0", true).await;
        match created {
            Err(error) if !error.details().starts_with("BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Up to `max` entries: first what others, or the last process of this slot, left unfinished, then new ones,
    /// waiting for them if `wait`, as long as the queue wants. Empty when there is nothing, and as soon as the worker
    /// shall end. An entry under suspicion comes alone, once nothing else is in the worker's hands.
    pub async fn read(&mut self, max: usize, wait: bool) -> Result<Vec<Entry>, QueueError> {
        let until = Instant::now() + self.queue.block();
        loop {
            self.news.borrow_and_update();
            if self.shutdown.is_draining() {
                // What was kept is handed back with the rest.
                self.end_alone();
                return Ok(self.give(Vec::new()));
            }
            let entries = match self.turn().await? {
                Turn::Leftovers => self.leftovers.take(max).await.inspect_err(|_| self.next_scan = Instant::now())?,
                Turn::Suspect => {
                    let suspect = self.leftovers.take_suspect().await;
                    let suspect = suspect.inspect_err(|_| self.next_scan = Instant::now())?;
                    let suspect = self.seat.hands.take(self.queue, suspect);
                    if suspect.is_empty() {
                        continue;
                    }
                    return Ok(suspect);
                }
                Turn::New => {
                    if !self.kept.is_empty() {
                        return Ok(self.give(Vec::new()));
                    }
                    let entries = self.fetch(max, wait.then_some(until)).await?;
                    if entries.is_empty() && (!wait || Instant::now() >= until) {
                        return Ok(entries);
                    }
                    if !self.seat.hands.is_open() {
                        self.kept = entries;
                        continue;
                    }
                    entries
                }
                Turn::Wait if !wait => return Ok(Vec::new()),
                Turn::Wait => {
                    tokio::select! {
                        changed = timeout_at(until, self.news.changed()) => {
                            if changed.is_err() {
                                return Ok(Vec::new());
                            }
                        }
                        () = self.shutdown.draining() => {}
                    }
                    continue;
                }
            };
            let entries = self.give(entries);
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// What this queue may do next.
    async fn turn(&mut self) -> Result<Turn, QueueError> {
        let sight = self.seat.sight(self.queue);
        if sight.is_missing {
            self.prepare().await?;
            self.seat.has_group(self.queue);
        }
        // Whatever the connection was carrying when it broke is pending by now.
        if !self.reconnections.is_empty() {
            self.reconnections = self.reconnections.resubscribe();
            self.next_scan = Instant::now();
        }
        if Instant::now() >= self.next_scan && self.leftovers.look_again() {
            self.next_scan = Instant::now() + RESCAN;
        }
        if !sight.orphans.is_empty() {
            self.leftovers.look_at(self.seat.take_orphans(self.queue));
        }
        if sight.is_paused {
            self.end_alone();
            return Ok(Turn::Wait);
        }
        if self.leftovers.has_only_suspects() {
            return Ok(if self.seat.hands.ask_alone(self.queue) { Turn::Suspect } else { Turn::Wait });
        }
        if self.seat.hands.is_alone(self.queue) {
            // The last suspect is settled, or still in hand.
            if !self.seat.hands.ask_alone(self.queue) {
                return Ok(Turn::Wait);
            }
            self.end_alone();
        }
        if !self.seat.hands.is_open() {
            return Ok(Turn::Wait);
        }
        Ok(if self.leftovers.is_empty() { Turn::New } else { Turn::Leftovers })
    }

    /// Lets the other queues give out again, if this one kept them from it.
    fn end_alone(&self) {
        if self.seat.hands.is_alone(self.queue) {
            self.seat.hands.end_alone(self.queue);
            self.seat.tell();
        }
    }

    /// Takes entries, and those kept before, into the worker's hands.
    fn give(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut all = std::mem::take(&mut self.kept);
        all.extend(entries);
        self.seat.hands.take(self.queue, all)
    }

    /// New entries. With `until`, waits for them, but not longer than nothing else is to be done.
    async fn fetch(&mut self, max: usize, until: Option<Instant>) -> Result<Vec<Entry>, QueueError> {
        let block = until.map(|until| until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        let block = block.and_then(|block| u64::try_from(block.as_millis()).ok());
        let (key, name) = (self.queue.key(), &*self.seat.name);
        let count = u64::try_from(max).ok();
        let mut reading = pin!(self.reader.xreadgroup::<Value, _, _, _, _>(GROUP, name, count, block, false, key, ">"));
        let mut news = self.news.clone();
        let mut told = 0;
        let read = loop {
            if block.is_none() || !self.has_else_to_do() {
                tokio::select! {
                    read = &mut reading => break read,
                    _ = news.changed(), if block.is_some() => {}
                    () = self.shutdown.draining(), if block.is_some() => {}
                }
                continue;
            }
            if told == PATIENCE {
                // Redis is away: what it may give to the read is pending.
                self.next_scan = Instant::now();
                return Ok(Vec::new());
            }
            told += 1;
            self.interrupt();
            tokio::select! {
                read = &mut reading => break read,
                () = sleep(TELL_AGAIN) => {}
            }
        };
        match read {
            Ok(reply) => Ok(reply::entries(reply)),
            Err(error) if is_group_missing(&error) => {
                self.prepare().await?;
                Ok(Vec::new())
            }
            Err(error) => {
                self.next_scan = Instant::now();
                Err(error.into())
            }
        }
    }

    fn has_else_to_do(&self) -> bool {
        let sight = self.seat.sight(self.queue);
        let is_open = self.seat.hands.is_open();
        sight.is_paused || sight.is_missing || !sight.orphans.is_empty() || !is_open || self.shutdown.is_draining()
    }

    /// Asks Redis to end the read that waits.
    fn interrupt(&self) {
        for id in self.reader.connection_ids().into_values() {
            let seat = Arc::clone(&self.seat);
            // Its answer says nothing: the read itself ends, or is interrupted again.
            tokio::spawn(async move { seat.client.client_unblock::<(), _>(id, None).await });
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.end_alone();
    }
}

/// What a queue may give out next.
enum Turn {
    Leftovers,
    Suspect,
    New,
    Wait,
}
