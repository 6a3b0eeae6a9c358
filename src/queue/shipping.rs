//! The way of many entries from a store of one's own into a queue: appended in batches, and followed until they are done.
//!
//! Whoever keeps entries on disk until the queue has settled them must know three things, which one look tells: the
//! oldest entry still in the stream (every older one is done), which process of Redis answers (what another one was
//! given may not have reached its file), and which data it serves (one that came back empty has lost everything).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike, StreamsInterface};
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::timeout;
use uuid::Uuid;

use super::error::QueueError;
use super::keys::{DATA, Queue};
use crate::config::Config;

/// How long a batch may take. Past that it counts as not added, and comes again.
const COMMAND_LIMIT: Duration = Duration::from_secs(2);

/// Answers which data this is (and names it if it has no name yet), the oldest entry's id, and the length of the stream.
const LOOK: &str = "local name = redis.call('GET', KEYS[2])
if not name then redis.call('SET', KEYS[2], ARGV[1]) name = ARGV[1] end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
return {name, first[1] and first[1][1] or '', redis.call('XLEN', KEYS[1])}";

/// The id of an entry. Later entries of a queue have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(u64, u64);

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, number) = text.split_once('-').ok_or(())?;
        Ok(Self(time.parse().map_err(drop)?, number.parse().map_err(drop)?))
    }
}

/// What Redis says of a queue at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Names the process of Redis and the data it serves: another value means that what was added before may be gone.
    pub source: String,
    /// The oldest entry that is not done.
    pub first: Option<EntryId>,
    /// Entries in the stream.
    pub length: u64,
    /// How full Redis's memory is, from 0 to 1; none when it has no limit.
    pub memory: Option<f64>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Added {
    /// The ids of the leading entries that were added.
    pub ids: Vec<EntryId>,
    /// Why the one behind them was not. Some of those behind it may be in the queue all the same.
    pub error: Option<QueueError>,
}

/// Appends batches to queues, over a connection of its own.
#[derive(Clone)]
pub struct Shipping {
    client: Client,
}

impl fmt::Debug for Shipping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipping").finish_non_exhaustive()
    }
}

impl Shipping {
    /// Starts connecting in the background; succeeds with Redis away. Call inside the runtime.
    pub fn connect(settings: &Config) -> Result<Self, QueueError> {
        Ok(Self { client: super::client::connect(settings, COMMAND_LIMIT)? })
    }

    /// Appends the entries in their order, in one round trip.
    pub async fn add(&self, queue: Queue, entries: Vec<Bytes>) -> Added {
        // The library's own limit is not for pipelines.
        match timeout(COMMAND_LIMIT, self.add_all(queue, entries)).await {
            Ok(added) => added,
            Err(_) => Added { ids: Vec::new(), error: Some(no_answer()) },
        }
    }

    async fn add_all(&self, queue: Queue, entries: Vec<Bytes>) -> Added {
        let mut added = Added { ids: Vec::with_capacity(entries.len()), error: None };
        let pipeline = self.client.pipeline();
        for data in entries {
            let pair = (DATA, Value::Bytes(data));
            let queued = pipeline.xadd::<(), _, _, _, _>(queue.key(), false, None::<()>, "*", pair).await;
            if let Err(error) = queued {
                added.error = Some(error.into());
                return added;
            }
        }
        for answer in pipeline.try_all::<String>().await {
            match answer.map(|id| id.parse()) {
                Ok(Ok(id)) => added.ids.push(id),
                Ok(Err(())) => {
                    added.error = Some(QueueError::Unavailable("it answers what is no id".to_owned()));
                    break;
                }
                Err(error) => {
                    added.error = Some(error.into());
                    break;
                }
            }
        }
        added
    }

    /// How the queue stands.
    pub async fn look(&self, queue: Queue) -> Result<Look, QueueError> {
        timeout(COMMAND_LIMIT, self.look_now(queue)).await.unwrap_or_else(|_| Err(no_answer()))
    }

    async fn look_now(&self, queue: Queue) -> Result<Look, QueueError> {
        let key = queue.key();
        let pipeline = self.client.pipeline();
        // In a cluster, all of it is asked of the server that has the stream.
        let slot = ClusterHash::Custom(fred::util::redis_keyslot(key.as_bytes()));
        let info = |section: &'static str| (CustomCommand::new_static("INFO", slot.clone(), false), vec![section]);
        let (command, arguments) = info("server");
        let _: () = pipeline.custom(command, arguments).await?;
        let (command, arguments) = info("memory");
        let _: () = pipeline.custom(command, arguments).await?;
        // The braces have both keys lie together.
        let name_key = format!("{{{key}}}:data");
        let arguments = vec![LOOK.to_owned(), "2".to_owned(), key.to_owned(), name_key, Uuid::new_v4().to_string()];
        let eval = CustomCommand::new_static("EVAL", slot, false);
        let _: () = pipeline.custom(eval, arguments).await?;
        let (server, memory, state): (String, String, (String, String, u64)) = pipeline.all().await?;
        let (name, first, length) = state;
        let process = field(&server, "run_id").unwrap_or_default();
        let number = |name| field(&memory, name).and_then(|text| text.parse::<f64>().ok());
        let limit = number("maxmemory").filter(|limit| *limit > 0.0);
        Ok(Look {
            source: format!("{process}/{name}"),
            first: first.parse().ok(),
            length,
            memory: limit.and_then(|limit| Some(number("used_memory")? / limit)),
        })
    }
}

fn no_answer() -> QueueError {
    QueueError::Unavailable("no answer in time".to_owned())
}

/// A value of what INFO answers.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_redis_orders_them() {
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(id("9-2") < id("10-0") && id("10-2") < id("10-11"));
        for wrong in ["", "5", "a-1", "1-", "-1"] {
            assert_eq!(wrong.parse::<EntryId>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn fields_of_info_are_found_by_their_whole_name() {
        let info = "# Memory\r\nused_memory_rss:5\r\nused_memory:7\r\n";
        assert_eq!(field(info, "used_memory"), Some("7"));
        assert_eq!(field(info, "maxmemory"), None);
    }
}
