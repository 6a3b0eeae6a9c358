//! How the queues are, at a glance.

use fred::interfaces::LuaInterface;
use serde::{Serialize, Serializer};

use super::error::QueueError;
use super::keys::{GROUP, Queue};
use super::producer::Producer;

const SCRIPT: &str = include_str!("lua/overview.lua");

/// How a queue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Which one.
    pub queue: Queue,
    /// Entries that are not settled; those in the hands of workers are among them.
    pub length: u64,
    /// Entries that were given to a worker.
    pub pending: u64,
    /// Work whose time has not come.
    pub delayed: u64,
    /// Dead letters.
    pub dead: u64,
    /// Nobody reads it, by a person's order.
    pub paused: bool,
    /// Age of the oldest entry that is not settled, by Redis's clock; none when there is none.
    pub oldest_ms: Option<u64>,
    /// Names under which workers read it.
    pub consumers: u64,
}

impl Serialize for Queue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Producer {
    /// How every queue is, in the order of [`Queue::ALL`]; one round trip, however long the queues are.
    pub async fn overview(&self) -> Result<Vec<Overview>, QueueError> {
        let keys: Vec<String> = Queue::ALL
            .iter()
            .flat_map(|queue| {
                [queue.key().to_owned(), queue.delayed_key(), queue.dead_key().to_owned(), queue.paused_key()]
            })
            .collect();
        let rows: Vec<(u64, u64, u64, u64, u64, u64, i64)> = self.client().eval(SCRIPT, keys, GROUP).await?;
        let overview = |(queue, row): (Queue, _)| {
            let (length, pending, consumers, delayed, dead, paused, age) = row;
            let oldest_ms = u64::try_from(age).ok();
            Overview { queue, length, pending, delayed, dead, paused: paused > 0, oldest_ms, consumers }
        };
        Ok(Queue::ALL.into_iter().zip(rows).map(overview).collect())
    }
}
