//! Looks for a piece of work in a queue without taking anything out of it.

use bytes::Bytes;
use fred::interfaces::LuaInterface;

use super::error::QueueError;
use super::keys::{GROUP, HANDED_BACK, Queue};
use super::producer::Producer;

const FIND: &str = include_str!("lua/find.lua");
const FIND_DELAYED: &str = include_str!("lua/find_delayed.lua");

/// Most entries seen in one step: Redis does nothing else meanwhile.
const MAX_PAGE: u64 = 500;

/// Entries seen in the first step, before it is known how large they are.
const FIRST_PAGE: u64 = 50;

/// Bytes seen in one step, about.
const PAGE_BYTES: u64 = 8 * 1024 * 1024;

/// Where the text is looked for: what stands in front of a payload is shorter.
const HEAD_BYTES: u64 = 1024;

/// Bytes handed over of each find.
const MAX_FIND_BYTES: u64 = 128 * 1024;

/// A piece of work that is in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Where it stands.
    pub place: Place,
    /// The entry's id; empty for delayed work, which has none yet.
    pub id: String,
    /// The work, or the beginning of it.
    pub data: Bytes,
}

/// Where a piece of work stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// No worker has it.
    Waiting,
    /// A worker has it in hand.
    Pending {
        /// Which one.
        consumer: String,
        /// For so long, in ms.
        held_ms: u64,
        /// The number of times it was given out.
        deliveries: u64,
    },
    /// Its time has not come.
    Delayed {
        /// Its time, in ms since 1970.
        due_ms: i64,
    },
    /// It can never be done.
    Dead {
        /// Why.
        reason: String,
    },
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finds {
    /// What was found, in the order in which it was looked at: dead letters, delayed work, the queue itself.
    pub finds: Vec<Find>,
    /// Entries that were looked at.
    pub seen: u64,
    /// There are more entries than were to be looked at.
    pub gave_up: bool,
}

/// One step through a stream: where to go on, entries seen, bytes seen, finds.
type Step<F> = (String, u64, u64, Vec<F>);

impl Producer {
    /// Looks for entries with `text` near the beginning of their work, among at most `limit`.
    pub async fn find(&self, queue: Queue, text: &str, limit: u64) -> Result<Finds, QueueError> {
        let mut finds = Finds::default();
        self.find_in_stream(queue.dead_key(), text, limit, &mut finds, |found| Place::Dead { reason: found.2 }).await?;
        self.find_delayed(queue, text, limit, &mut finds).await?;
        self.find_in_stream(queue.key(), text, limit, &mut finds, |(_, _, _, consumer, held_ms, deliveries)| {
            let is_free = consumer.is_empty() || consumer == HANDED_BACK;
            if is_free { Place::Waiting } else { Place::Pending { consumer, held_ms, deliveries } }
        })
        .await?;
        Ok(finds)
    }

    async fn find_in_stream(
        &self,
        key: &str,
        text: &str,
        limit: u64,
        finds: &mut Finds,
        place: impl Fn((String, Bytes, String, String, u64, u64)) -> Place,
    ) -> Result<(), QueueError> {
        let (mut from, mut page) = ("0-0".to_owned(), FIRST_PAGE);
        loop {
            let numbers = [HEAD_BYTES.to_string(), MAX_FIND_BYTES.to_string()];
            let arguments = [&[GROUP.to_owned(), from, page.to_string(), text.to_owned()][..], &numbers].concat();
            let (next, seen, bytes, found): Step<(String, Bytes, String, String, u64, u64)> =
                self.client().eval(FIND, key, arguments).await?;
            finds.finds.extend(found.into_iter().map(|found| {
                let (id, data) = (found.0.clone(), found.1.clone());
                Find { place: place(found), id, data }
            }));
            if !finds.goes_on(seen, limit, &next) {
                return Ok(());
            }
            (from, page) = (next, next_page(seen, bytes));
        }
    }

    async fn find_delayed(&self, queue: Queue, text: &str, limit: u64, finds: &mut Finds) -> Result<(), QueueError> {
        let (mut from, mut page) = ("0".to_owned(), FIRST_PAGE);
        loop {
            let numbers = [HEAD_BYTES.to_string(), MAX_FIND_BYTES.to_string()];
            let arguments = [&[from, page.to_string(), text.to_owned()][..], &numbers].concat();
            let (next, seen, bytes, found): Step<(i64, Bytes)> =
                self.client().eval(FIND_DELAYED, queue.delayed_key(), arguments).await?;
            let find = |(due_ms, data)| Find { place: Place::Delayed { due_ms }, id: String::new(), data };
            finds.finds.extend(found.into_iter().map(find));
            if !finds.goes_on(seen, limit, &next) {
                return Ok(());
            }
            (from, page) = (next, next_page(seen, bytes));
        }
    }
}

impl Finds {
    /// Notes a step; false when it was the last one.
    fn goes_on(&mut self, seen: u64, limit: u64, next: &str) -> bool {
        self.seen += seen;
        self.gave_up |= !next.is_empty() && self.seen >= limit;
        !next.is_empty() && self.seen < limit
    }
}

/// How many entries to look at next, by the size of the last ones.
fn next_page(seen: u64, bytes: u64) -> u64 {
    (PAGE_BYTES.saturating_mul(seen.max(1)) / bytes.max(1)).clamp(1, MAX_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_short_where_entries_are_large() {
        assert_eq!(next_page(50, 50 * 3_000), 500);
        assert_eq!(next_page(50, 50 << 20), 8);
        assert_eq!(next_page(1, u64::MAX), 1);
        assert_eq!(next_page(0, 0), 500);
    }
}
