//! The writing end of the queues.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::Value;
use tokio::time::{Instant, sleep, timeout};

use super::error::{QueueError, is_loading};
use super::keys::{DATA, Queue};
use crate::config::Config;

/// How long an append may wait for Redis: a restart of Redis fits in, and no SDK's patience ends before.
const APPEND_LIMIT: Duration = Duration::from_secs(3);

/// Pause between tries while Redis reads its files.
const LOADING_PAUSE: Duration = Duration::from_millis(50);

/// Appends work to queues. Cheap to clone; commands of many tasks share one connection and are pipelined.
#[derive(Clone)]
pub struct Producer {
    pub(super) client: Client,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl Producer {
    /// Starts connecting in the background; succeeds with Redis away. Call inside the runtime.
    pub fn connect(settings: &Config) -> Result<Self, QueueError> {
        Ok(Self { client: super::client::connect(settings, APPEND_LIMIT)? })
    }

    /// For the other files that speak for the producer.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Appends `data`, and returns when Redis has it, waiting up to 3 s for Redis to come back. After an
    /// error it may be in the queue all the same: Redis had it, and its answer was lost.
    pub async fn append(&self, queue: Queue, data: Bytes) -> Result<(), QueueError> {
        let deadline = Instant::now() + APPEND_LIMIT;
        loop {
            let pair = (DATA, Value::Bytes(data.clone()));
            let added = self.client.xadd::<(), _, _, _, _>(queue.key(), false, None::<()>, "*", pair).await;
            match added {
                Ok(()) => return Ok(()),
                Err(error) if is_loading(&error) && Instant::now() < deadline => sleep(LOADING_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// True when Redis answers a PING within `limit`.
    pub async fn answers(&self, limit: Duration) -> bool {
        matches!(timeout(limit, self.client.ping::<()>(None)).await, Ok(Ok(())))
    }
}
