//! Entries that are pending and in nobody's hands: left by the last process of this slot, by a worker that died, handed
//! back, or lost on the way.

use std::collections::VecDeque;
use std::sync::Arc;

use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::{ClusterHash, CustomCommand, Value};

use super::consumer::{Entry, SUSPECT_AFTER};
use super::error::{QueueError, is_group_missing};
use super::keys::{GROUP, HANDED_BACK, Queue};
use super::reply;
use super::seat::Shared;

const CLAIM: &str = include_str!("lua/claim.lua");

/// Pending entries listed at once.
const PAGE: usize = 500;

/// Looks for leftovers and takes them, a page at a time.
pub(super) struct Leftovers {
    queue: Queue,
    seat: Arc<Shared>,
    looks: VecDeque<Look>,
    /// Found, to be given out.
    found: VecDeque<Found>,
    /// Found, to be given out one at a time with nothing else in hand.
    suspects: VecDeque<Found>,
}

/// Whose entries are looked at.
struct Look {
    owner: String,
    /// The last id seen.
    after: String,
    /// The process that had them died, so taking them is another delivery.
    counts: bool,
}

struct Found {
    id: String,
    owner: String,
    counts: bool,
}

impl Leftovers {
    /// At first there is what the last process of this slot may have left.
    pub(super) fn new(queue: Queue, seat: Arc<Shared>) -> Self {
        let mut leftovers =
            Self { queue, seat, looks: VecDeque::new(), found: VecDeque::new(), suspects: VecDeque::new() };
        leftovers.look(leftovers.seat.name.clone(), true);
        leftovers
    }

    /// Adds what was lost on its way to this process; false when another look is not over.
    pub(super) fn look_again(&mut self) -> bool {
        let is_free = self.is_empty();
        if is_free {
            self.look(self.seat.name.clone(), false);
        }
        is_free
    }

    /// Adds what others left.
    pub(super) fn look_at(&mut self, owners: Vec<String>) {
        for owner in owners {
            let mut known = self.looks.iter().map(|look| &look.owner);
            let mut found = self.found.iter().chain(&self.suspects).map(|found| &found.owner);
            if !known.any(|known| *known == owner) && !found.any(|found| *found == owner) {
                self.look(owner, true);
            }
        }
    }

    /// Nothing is left to be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.looks.is_empty() && self.found.is_empty() && self.suspects.is_empty()
    }

    /// All that is left are entries that must be alone.
    pub(super) fn has_only_suspects(&self) -> bool {
        self.looks.is_empty() && self.found.is_empty() && !self.suspects.is_empty()
    }

    /// Up to `max` entries without suspicion; may be none although there is more.
    pub(super) async fn take(&mut self, max: usize) -> Result<Vec<Entry>, QueueError> {
        if self.found.is_empty() {
            self.list().await?;
        }
        let mut batch: Vec<Found> = Vec::new();
        while let Some(next) = self.found.front()
            && batch.len() < max
            && batch.first().is_none_or(|first| (&first.owner, first.counts) == (&next.owner, next.counts))
        {
            batch.extend(self.found.pop_front());
        }
        self.claim(batch).await
    }

    /// One entry that must be alone. It may have been settled meanwhile.
    pub(super) async fn take_suspect(&mut self) -> Result<Vec<Entry>, QueueError> {
        let suspect = self.suspects.pop_front();
        self.claim(suspect.into_iter().collect()).await
    }

    fn look(&mut self, owner: String, counts: bool) {
        self.looks.push_back(Look { owner, after: "-".to_owned(), counts });
    }

    async fn list(&mut self) -> Result<(), QueueError> {
        let Some(look) = self.looks.front_mut() else { return Ok(()) };
        let command = CustomCommand::new_static("XPENDING", ClusterHash::FirstKey, false);
        let arguments = [self.queue.key(), GROUP, &look.after, "+", &PAGE.to_string(), &look.owner];
        let arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        let page = match self.seat.client.custom::<Value, _>(command, arguments).await {
            Ok(page) => reply::pending(page),
            // Nothing was given to anybody.
            Err(error) if is_group_missing(&error) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let (owner, counts) = (look.owner.clone(), look.counts);
        match page.last() {
            Some((last, _)) if page.len() == PAGE => look.after = format!("({last}"),
            _ => {
                self.looks.pop_front();
            }
        }
        for (id, deliveries) in page {
            if self.seat.hands.has(self.queue, &id) {
                continue;
            }
            let found = Found { id, owner: owner.clone(), counts };
            let list =
                if deliveries + u64::from(counts) > SUSPECT_AFTER { &mut self.suspects } else { &mut self.found };
            list.push_back(found);
        }
        Ok(())
    }

    async fn claim(&self, batch: Vec<Found>) -> Result<Vec<Entry>, QueueError> {
        let Some(first) = batch.first() else { return Ok(Vec::new()) };
        let counts = if first.counts { "1" } else { "0" };
        let mut arguments: Vec<String> = [GROUP, &self.seat.name, &first.owner, counts].map(str::to_owned).to_vec();
        let is_ours = first.owner == self.seat.name;
        let owner = first.owner.clone();
        arguments.extend(batch.into_iter().map(|found| found.id));
        let entries = reply::claimed(self.seat.client.eval(CLAIM, self.queue.key(), arguments).await?);
        if !is_ours && owner != HANDED_BACK && !entries.is_empty() {
            let queue = self.queue.name();
            tracing::warn!(queue, from = owner, entries = entries.len(), "took over the work of a worker that died");
        }
        Ok(entries)
    }
}
