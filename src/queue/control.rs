//! A queue's pause switch, and the work whose time has not come.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fred::interfaces::{KeysInterface, LuaInterface};
use fred::types::Value;

use super::error::QueueError;
use super::keys::Queue;
use super::producer::Producer;
use super::reply;

/// Members, each with its score.
const DELAYED: &str = "return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')";

/// Bytes before the work that make members differ.
const NONCE: usize = 16;

/// Work whose time has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed {
    /// When it comes into the queue.
    pub due: DateTime<Utc>,
    /// The work.
    pub data: Bytes,
}

impl Producer {
    /// Lets no worker read a queue from about two seconds on; what is in hand is finished, and more is taken in.
    pub async fn pause(&self, queue: Queue) -> Result<(), QueueError> {
        Ok(self.client().set(queue.paused_key(), "1", None, None, false).await?)
    }

    /// Lets workers read it again.
    pub async fn resume(&self, queue: Queue) -> Result<(), QueueError> {
        Ok(self.client().del(queue.paused_key()).await?)
    }

    /// At most `limit` pieces of work whose time has not come, the next ones first.
    pub async fn delayed(&self, queue: Queue, limit: usize) -> Result<Vec<Delayed>, QueueError> {
        let members: Value = self.client().eval(DELAYED, queue.delayed_key(), limit.to_string()).await?;
        let read = |(member, score): (Bytes, Bytes)| {
            let due: i64 = String::from_utf8_lossy(&score).parse().ok()?;
            Some(Delayed { due: DateTime::from_timestamp_millis(due)?, data: member.slice(NONCE.min(member.len())..) })
        };
        Ok(reply::pairs(members).into_iter().filter_map(read).collect())
    }
}
