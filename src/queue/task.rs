//! Jobs as they travel through a queue: a name, a version, arguments, and how often they have failed.

use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::{KeysInterface, LuaInterface};
use fred::types::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::consumer::Entry;
use super::error::QueueError;
use super::keys::{GROUP, Queue};
use super::producer::Producer;
use super::settler::Settler;

const ENQUEUE: &str = include_str!("lua/enqueue.lua");
const POSTPONE: &str = include_str!("lua/postpone.lua");

/// Version of the encoding below; a task of a newer one is not ours to read.
const VERSION: u32 = 1;

/// A key that there may be only one of is free again after this long at the latest, should its task get lost.
const KEY_KEPT: Duration = Duration::from_hours(1);

/// One run of a job that somebody asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    v: u32,
    /// The job's name.
    pub job: String,
    /// Version of its arguments.
    pub version: u32,
    /// Its arguments.
    pub args: Box<RawValue>,
    /// There is at most one task of its queue with this key, until it begins to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Runs that have failed.
    #[serde(default)]
    pub failures: u32,
}

impl Task {
    /// A task that has not run yet.
    pub fn new(job: &str, version: u32, args: Box<RawValue>, key: Option<String>) -> Self {
        Self { v: VERSION, job: job.to_owned(), version, args, key, failures: 0 }
    }

    /// Reads what the queue holds; says why it cannot.
    pub fn decode(data: &[u8]) -> Result<Self, String> {
        let task: Self = serde_json::from_slice(data).map_err(|error| format!("not a task: {error}"))?;
        if task.v == VERSION { Ok(task) } else { Err(format!("a task of unknown version {}", task.v)) }
    }

    fn encode(&self) -> Value {
        // A struct of plain fields always serialises.
        Value::Bytes(Bytes::from(serde_json::to_vec(self).unwrap_or_default()))
    }
}

impl Producer {
    /// Puts a task into a queue, for now or after `delay`. False when one with its key waits already.
    pub async fn enqueue(&self, queue: Queue, task: &Task, delay: Duration) -> Result<bool, QueueError> {
        let mut keys = vec![queue.key().to_owned(), queue.delayed_key()];
        keys.extend(task.key.as_ref().map(|key| queue.dedup_key(key)));
        let arguments = vec![task.encode(), ms(delay), nonce(), ms(KEY_KEPT)];
        let added: u64 = self.client().eval(ENQUEUE, keys, arguments).await?;
        Ok(added > 0)
    }
}

impl Settler {
    /// Lets go of the task's key: it begins to run, and whoever asks from now on wants another run.
    pub async fn begin(&self, task: &Task) -> Result<(), QueueError> {
        let Some(key) = &task.key else { return Ok(()) };
        Ok(self.client().del(self.queue().dedup_key(key)).await?)
    }

    /// Takes an entry out of the queue and puts `task` in its place, after `delay`.
    pub async fn postpone(&self, entry: &Entry, task: &Task, delay: Duration) -> Result<(), QueueError> {
        let keys = vec![self.queue().key().to_owned(), self.queue().delayed_key()];
        let arguments = vec![Value::from(GROUP), Value::from(entry.id.as_str()), task.encode(), ms(delay), nonce()];
        let _: u64 = self.client().eval(POSTPONE, keys, arguments).await?;
        self.release(std::slice::from_ref(&entry.id));
        Ok(())
    }
}

fn ms(time: Duration) -> Value {
    Value::from(time.as_millis().to_string())
}

/// Makes members of a sorted set differ.
fn nonce() -> Value {
    Value::Bytes(Bytes::copy_from_slice(Uuid::new_v4().as_bytes()))
}
