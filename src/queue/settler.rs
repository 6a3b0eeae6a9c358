//! Says what became of entries.

use std::fmt;
use std::sync::Arc;

use fred::clients::Client;
use fred::interfaces::LuaInterface;

use super::consumer::Entry;
use super::error::QueueError;
use super::keys::{GROUP, HANDED_BACK, MAX_DEAD, MAX_DEAD_BYTES, MAX_DEAD_TOTAL, Queue};
use super::seat::Shared;

const ASSIGN: &str = include_str!("lua/assign.lua");
const BURY: &str = include_str!("lua/bury.lua");
const SETTLE: &str = include_str!("lua/settle.lua");

/// The other hand of a [`Consumer`](super::Consumer). Cheap to clone.
#[derive(Clone)]
pub struct Settler {
    queue: Queue,
    seat: Arc<Shared>,
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Settler {
    pub(super) fn new(queue: Queue, seat: Arc<Shared>) -> Self {
        Self { queue, seat }
    }

    /// Of which queue.
    pub fn queue(&self) -> Queue {
        self.queue
    }

    pub(super) fn client(&self) -> &Client {
        &self.seat.client
    }

    /// Says that the entries are done: they leave the queue. After an error they stay; [`Self::release`] them.
    pub async fn acknowledge(&self, ids: Vec<String>) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let arguments: Vec<&str> = std::iter::once(GROUP).chain(ids.iter().map(String::as_str)).collect();
        let _: u64 = self.seat.client.eval(SETTLE, self.queue.key(), arguments).await?;
        self.release(&ids);
        Ok(())
    }

    /// Moves an entry that can never be done to the dead letters, with the `reason`; one that somebody else has
    /// settled meanwhile just leaves this worker's hands. Dead letters are bounded in number and bytes, and the latest
    /// are kept: whoever may send events can make them.
    pub async fn bury(&self, entry: &Entry, reason: &str) -> Result<(), QueueError> {
        let keys = vec![self.queue.key().to_owned(), self.queue.dead_key().to_owned(), self.queue.dead_bytes_key()];
        let arguments = vec![
            GROUP.to_owned(),
            entry.id.clone(),
            reason.to_owned(),
            MAX_DEAD_BYTES.to_string(),
            MAX_DEAD.to_string(),
            MAX_DEAD_TOTAL.to_string(),
        ];
        let _: u64 = self.seat.client.eval(BURY, keys, arguments).await?;
        self.release(std::slice::from_ref(&entry.id));
        Ok(())
    }

    /// Lets go of entries that could not be settled; they are pending, and are given out again.
    pub fn release(&self, ids: &[String]) {
        if self.seat.hands.remove(self.queue, ids) {
            self.seat.tell();
        }
    }

    /// Says that it is not the entries' fault that they are not done yet, so that what ends the worker meanwhile is not
    /// held against them.
    pub async fn excuse(&self, ids: &[String]) -> Result<(), QueueError> {
        self.assign(ids, &self.seat.name, "1").await
    }

    /// Hands back everything of this queue that is in hand, for whichever worker comes first.
    pub async fn hand_back(&self) -> Result<(), QueueError> {
        let ids = self.seat.hands.ids(self.queue);
        self.assign(&ids, HANDED_BACK, "0").await?;
        self.release(&ids);
        Ok(())
    }

    async fn assign(&self, ids: &[String], to: &str, deliveries: &str) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut arguments = vec![GROUP.to_owned(), self.seat.name.clone(), to.to_owned(), deliveries.to_owned()];
        arguments.extend_from_slice(ids);
        let _: String = self.seat.client.eval(ASSIGN, self.queue.key(), arguments).await?;
        Ok(())
    }
}
