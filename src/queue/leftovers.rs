//! Entries that are pending and in nobody's hands: left by the last process of this slot, by a worker that died, handed
//! back, or lost on the way.

use std::collections::VecDeque;
use std::sync::Arc;

use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::time::Instant;

use super::consumer::{Entry, HOPELESS_AFTER, SUSPECT_AFTER};
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
    /// As the suspects, and worse: the worker died with nothing else in hand.
    culprits: VecDeque<Found>,
    /// Until then neither is given out, if there are culprits: whoever restarts the worker must see it well in between.
    rest_until: Instant,
}

/// The delivery from which on an entry has been alone in the hands of a worker that died.
const CULPRIT_FROM: u64 = SUSPECT_AFTER + 2;

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
        let mut leftovers = Self {
            queue,
            looks: VecDeque::new(),
            found: VecDeque::new(),
            suspects: VecDeque::new(),
            culprits: VecDeque::new(),
            rest_until: Instant::now() + seat.rest,
            seat,
        };
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

    /// Nothing is left to be given out now.
    pub(super) fn is_empty(&self) -> bool {
        self.looks.is_empty() && self.found.is_empty() && !self.has_suspects()
    }

    /// All that is left are entries that must be alone.
    pub(super) fn has_only_suspects(&self) -> bool {
        self.looks.is_empty() && self.found.is_empty() && self.has_suspects()
    }

    fn has_suspects(&self) -> bool {
        if self.culprits.is_empty() { !self.suspects.is_empty() } else { Instant::now() >= self.rest_until }
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
        let suspect = self.suspects.pop_front().or_else(|| self.culprits.pop_front());
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
            let is_known = self.suspects.iter().chain(&self.culprits).any(|found| found.id == id);
            if is_known || self.seat.hands.has(self.queue, &id) {
                continue;
            }
            let list = match deliveries + u64::from(counts) {
                0..=SUSPECT_AFTER => &mut self.found,
                CULPRIT_FROM..=HOPELESS_AFTER => &mut self.culprits,
                // Alone for the first time; or hopeless, and only to be buried.
                _ => &mut self.suspects,
            };
            list.push_back(Found { id, owner: owner.clone(), counts });
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
