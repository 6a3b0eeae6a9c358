//! What a worker has in hand, of all its queues: nothing is given out twice, and what may be poison is alone in hand.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::consumer::Entry;
use super::keys::Queue;

/// Entries given out and not settled.
#[derive(Debug, Default)]
pub(super) struct Hands {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashSet<(Queue, String)>,
    /// The queue whose turn it is to have one entry in hand, and nothing else in the process.
    alone: Option<Queue>,
}

impl Hands {
    /// Notes what is given out, and gives back what was not out already.
    pub(super) fn take(&self, queue: Queue, entries: Vec<Entry>) -> Vec<Entry> {
        let mut state = self.state();
        entries.into_iter().filter(|entry| state.held.insert((queue, entry.id.clone()))).collect()
    }

    /// Notes that entries are settled or let go; true when somebody may wait for that.
    pub(super) fn remove(&self, queue: Queue, ids: &[String]) -> bool {
        let mut state = self.state();
        for id in ids {
            state.held.remove(&(queue, id.clone()));
        }
        state.alone.is_some()
    }

    /// True for an entry in hand.
    pub(super) fn has(&self, queue: Queue, id: &str) -> bool {
        self.state().held.contains(&(queue, id.to_owned()))
    }

    /// What is in hand of a queue.
    pub(super) fn ids(&self, queue: Queue) -> Vec<String> {
        self.state().held.iter().filter(|(of, _)| *of == queue).map(|(_, id)| id.clone()).collect()
    }

    /// True when `queue` may give out what it likes.
    pub(super) fn is_open(&self) -> bool {
        self.state().alone.is_none()
    }

    /// Asks for empty hands for one entry of `queue`; true once they are. Until [`Self::end_alone`] nobody else gives
    /// anything out.
    pub(super) fn ask_alone(&self, queue: Queue) -> bool {
        let mut state = self.state();
        *state.alone.get_or_insert(queue) == queue && state.held.is_empty()
    }

    /// True when it is `queue` that wants, or has, one entry alone in hand.
    pub(super) fn is_alone(&self, queue: Queue) -> bool {
        self.state().alone == Some(queue)
    }

    /// Others may give out again.
    pub(super) fn end_alone(&self, queue: Queue) {
        let mut state = self.state();
        if state.alone == Some(queue) {
            state.alone = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole: every change is one insert, remove or assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        Entry { id: id.to_owned(), data: bytes::Bytes::new(), deliveries: 1 }
    }

    #[test]
    fn nothing_is_given_out_twice_at_a_time() {
        let hands = Hands::default();
        assert_eq!(hands.take(Queue::Ingest, vec![entry("1-0"), entry("1-0")]).len(), 1);
        assert_eq!(hands.take(Queue::Notify, vec![entry("1-0")]).len(), 1, "another queue's");
        assert!(hands.take(Queue::Ingest, vec![entry("1-0")]).is_empty());
        hands.remove(Queue::Ingest, &["1-0".to_owned()]);
        assert_eq!(hands.take(Queue::Ingest, vec![entry("1-0")]).len(), 1);
    }

    #[test]
    fn one_queue_at_a_time_gets_empty_hands() {
        let hands = Hands::default();
        hands.take(Queue::Notify, vec![entry("1-0")]);
        assert!(!hands.ask_alone(Queue::Ingest) && !hands.is_open());
        assert!(hands.remove(Queue::Notify, &["1-0".to_owned()]));
        assert!(!hands.ask_alone(Queue::Notify), "ingest was first");
        assert!(hands.ask_alone(Queue::Ingest));
        hands.end_alone(Queue::Notify);
        assert!(!hands.is_open());
        hands.end_alone(Queue::Ingest);
        assert!(hands.is_open() && hands.ask_alone(Queue::Notify));
    }
}
