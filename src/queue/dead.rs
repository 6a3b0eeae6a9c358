//! What can never be done, and what a person wants with it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fred::interfaces::{LuaInterface, StreamsInterface};
use fred::types::Value;

use super::error::QueueError;
use super::keys::Queue;
use super::producer::Producer;
use super::reply;

const RETRY: &str = include_str!("lua/retry.lua");

/// An entry that can never be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it among the dead letters of its queue.
    pub id: String,
    /// Its name while it was in the queue.
    pub entry_id: String,
    /// Why it cannot be done.
    pub reason: String,
    /// When it was given up.
    pub at: DateTime<Utc>,
    /// How often it was given to a worker.
    pub attempts: u64,
    /// The work, as it was appended.
    pub data: Bytes,
    /// How many bytes the work had. More than `data` has: it is cut off, and cannot be done again.
    pub size: usize,
}

/// What became of a person's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Done.
    Done,
    /// There is no such dead letter.
    Missing,
    /// It is cut off, and cannot be done again.
    Cut,
}

impl DeadLetter {
    /// Only its beginning was kept.
    pub fn is_cut(&self) -> bool {
        self.size > self.data.len()
    }

    fn read((id, fields): (String, Vec<(Bytes, Bytes)>)) -> Self {
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let text = |name| field(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        let number = |name| text(name).parse::<u64>().ok();
        let data = field("d").cloned().unwrap_or_default();
        // The id begins with the time in ms.
        let ms = number("at").or_else(|| id.split('-').next()?.parse().ok()).and_then(|ms| i64::try_from(ms).ok());
        Self {
            entry_id: text("id"),
            reason: text("reason"),
            at: ms.and_then(DateTime::from_timestamp_millis).unwrap_or_default(),
            attempts: number("attempts").unwrap_or(1),
            size: number("size").and_then(|size| size.try_into().ok()).unwrap_or(data.len()),
            data,
            id,
        }
    }
}

impl Producer {
    /// At most `limit` dead letters of a queue, the oldest first, after the one with id `after`.
    pub async fn dead_letters(
        &self,
        queue: Queue,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let count = u64::try_from(limit).ok();
        let rows: Value = self.client().xrange(queue.dead_key(), from, "+", count).await?;
        Ok(reply::rows(rows).into_iter().map(DeadLetter::read).collect())
    }

    /// The dead letter with this id.
    pub async fn dead_letter(&self, queue: Queue, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        let rows: Value = self.client().xrange(queue.dead_key(), id, id, Some(1)).await?;
        Ok(reply::rows(rows).into_iter().map(DeadLetter::read).next())
    }

    /// Puts a dead letter back into its queue, at its end.
    pub async fn retry(&self, queue: Queue, id: &str) -> Result<Wish, QueueError> {
        self.take_out(queue, id, "1").await
    }

    /// Throws a dead letter away.
    pub async fn discard(&self, queue: Queue, id: &str) -> Result<Wish, QueueError> {
        self.take_out(queue, id, "0").await
    }

    async fn take_out(&self, queue: Queue, id: &str, back: &str) -> Result<Wish, QueueError> {
        let keys = vec![queue.key().to_owned(), queue.dead_key().to_owned(), queue.dead_bytes_key()];
        let done: i64 = self.client().eval(RETRY, keys, vec![id.to_owned(), back.to_owned()]).await?;
        Ok(match done {
            1 => Wish::Done,
            0 => Wish::Missing,
            _ => Wish::Cut,
        })
    }
}
