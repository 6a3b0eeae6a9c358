//! A queue between the loop and a thread that may block: bounded in bytes, never waited for by the one who fills it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines on their way to a slow place.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    /// Bytes waiting, those the reader has taken but not yet written included.
    bytes: usize,
    in_hand: usize,
    dropped: u64,
    closed: bool,
    finished: bool,
}

/// What a reader takes out at once.
#[derive(Debug)]
pub struct Batch<T> {
    /// In the order they were put in; empty only when the queue is closed.
    pub items: Vec<T>,
    /// How many were dropped since the last batch because the queue was full.
    pub dropped: u64,
}

impl<T> Queue<T> {
    /// A queue of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let inner = Inner { items: VecDeque::new(), bytes: 0, in_hand: 0, dropped: 0, closed: false, finished: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), limit }
    }

    /// Puts an item of `size` bytes in, or drops and counts it when there is no room.
    pub fn push(&self, item: T, size: usize) {
        let mut inner = self.lock();
        if inner.bytes + size > self.limit {
            inner.dropped += 1;
            return;
        }
        inner.bytes += size;
        inner.items.push_back((item, size));
        drop(inner);
        self.changed.notify_all();
    }

    /// Whether it is more than half full, so that whoever can wait a moment should.
    pub fn is_tight(&self) -> bool {
        self.lock().bytes > self.limit / 2
    }

    /// Waits for items and takes all of them. `None` once the queue is closed and empty.
    pub fn take(&self) -> Option<Batch<T>> {
        let mut inner = self.lock();
        inner.bytes -= inner.in_hand;
        inner.in_hand = 0;
        while inner.items.is_empty() && inner.dropped == 0 {
            if inner.closed {
                inner.finished = true;
                self.changed.notify_all();
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.in_hand = inner.bytes;
        let items = std::mem::take(&mut inner.items).into_iter().map(|(item, _)| item).collect();
        Some(Batch { items, dropped: std::mem::take(&mut inner.dropped) })
    }

    /// Closes the queue and waits at most `patience` for its reader to finish.
    pub fn close(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut inner = self.lock();
        inner.closed = true;
        self.changed.notify_all();
        while !inner.finished {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let queue = Queue::new(13);
        for number in 0..5 {
            queue.push(number, 3);
        }
        assert!(queue.is_tight());
        let batch = queue.take().unwrap();
        assert_eq!((batch.items, batch.dropped), (vec![0, 1, 2, 3], 1));
        queue.push(9, 1);
        assert!(queue.is_tight(), "what is being written still counts");
        assert_eq!(queue.take().unwrap().items, [9]);
        queue.close(Duration::ZERO);
        assert!(queue.take().is_none());
    }
}
