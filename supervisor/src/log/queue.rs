//! A queue between the loop and a thread that may block: bounded in bytes, and whoever fills it waits only while the
//! thread gets on.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

/// A writer is stuck when it has not written [`STEP`] bytes for so long: then nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// The least a writer has to get on in [`PATIENCE`], in bytes.
const STEP: u64 = 64 * 1024;

/// Small pieces for one place are put together up to this size, in bytes.
const PIECE: usize = 32 * 1024;

/// Whole lines on their way to a slow place.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The name of the file they are for.
    pub(super) to: Arc<str>,
    /// The lines, each with its end.
    pub(super) bytes: Vec<u8>,
    /// How many they are.
    pub(super) lines: u64,
}

/// Chunks in their order, at most so many bytes of them.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    room: Notify,
    limit: usize,
}

#[derive(Debug)]
struct Inner {
    chunks: VecDeque<Chunk>,
    /// Bytes waiting, the one being written included.
    bytes: usize,
    in_hand: usize,
    /// Lines dropped since the reader last heard of it.
    dropped: u64,
    /// Somebody waits for room.
    awaited: bool,
    /// Bytes written since `since`, which is when the writer last got on.
    written: u64,
    since: Instant,
    closed: bool,
    finished: bool,
}

/// What a writer is handed.
#[derive(Debug)]
pub(super) enum Next {
    /// To be written.
    Chunk(Chunk),
    /// So many lines would have come next, but there was no room for them.
    Dropped(u64),
}

impl Queue {
    /// A queue of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        let inner = Inner {
            chunks: VecDeque::new(),
            bytes: 0,
            in_hand: 0,
            dropped: 0,
            awaited: false,
            written: 0,
            since: Instant::now(),
            closed: false,
            finished: false,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), room: Notify::new(), limit }
    }

    /// Puts lines in, or drops and counts them when there is no room.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut inner = self.lock();
        let size = chunk.bytes.len();
        if inner.bytes + size > self.limit {
            inner.dropped += chunk.lines;
            return;
        }
        if inner.bytes == 0 {
            inner.written = 0;
            inner.since = Instant::now();
        }
        inner.bytes += size;
        match inner.chunks.back_mut() {
            Some(last) if last.bytes.len() + size <= PIECE && last.to == chunk.to => {
                last.bytes.extend_from_slice(&chunk.bytes);
                last.lines += chunk.lines;
            }
            _ => inner.chunks.push_back(chunk),
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits while the queue is more than half full and its writer gets on: true if there was a wait.
    pub(super) async fn room(&self) -> bool {
        let mut waited = false;
        loop {
            let notified = self.room.notified();
            let mut notified = std::pin::pin!(notified);
            notified.as_mut().enable();
            let left = {
                let mut inner = self.lock();
                let left = PATIENCE.saturating_sub(inner.since.elapsed());
                if inner.bytes <= self.limit / 2 || left.is_zero() {
                    return waited;
                }
                inner.awaited = true;
                left
            };
            let _ = timeout(left, notified).await;
            waited = true;
        }
    }

    /// Waits for the next lines. `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Next> {
        let mut inner = self.lock();
        loop {
            inner.settle(self.limit, &self.room);
            // What was dropped came after all that waits.
            if let Some(chunk) = inner.chunks.pop_front() {
                inner.in_hand = chunk.bytes.len();
                return Some(Next::Chunk(chunk));
            }
            if inner.dropped > 0 {
                return Some(Next::Dropped(std::mem::take(&mut inner.dropped)));
            }
            inner.chunks = VecDeque::new();
            if inner.closed {
                inner.finished = true;
                self.changed.notify_all();
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the queue and waits for its reader to finish, at most `patience`.
    pub(super) fn close(&self, patience: Duration) {
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

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What was in the writer's hand is written.
    fn settle(&mut self, limit: usize, room: &Notify) {
        let done = std::mem::take(&mut self.in_hand);
        self.bytes -= done;
        self.written += done as u64;
        if self.written >= STEP {
            self.written = 0;
            self.since = Instant::now();
        }
        if self.awaited && self.bytes <= limit / 4 {
            self.awaited = false;
            room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(to: &str, text: &str) -> Chunk {
        Chunk { to: to.into(), bytes: text.as_bytes().to_vec(), lines: text.lines().count() as u64 }
    }

    fn taken(queue: &Queue) -> String {
        match queue.take() {
            Some(Next::Chunk(chunk)) => {
                format!("{} {} {}", chunk.to, chunk.lines, String::from_utf8(chunk.bytes).unwrap())
            }
            Some(Next::Dropped(lines)) => format!("dropped {lines}"),
            None => "closed".to_owned(),
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let queue = Queue::new(13);
        for text in ["one\n", "two\n", "six\n", "ten\nten\n"] {
            queue.push(chunk("a", text));
        }
        queue.push(chunk("b", ""));
        assert_eq!(taken(&queue), "a 3 one\ntwo\nsix\n");
        queue.push(chunk("a", "lost, for what is being written still counts\n"));
        assert_eq!(taken(&queue), "b 0 ");
        assert_eq!(taken(&queue), "dropped 3");
        queue.close(Duration::ZERO);
        assert_eq!(taken(&queue), "closed");
    }

    #[tokio::test]
    async fn one_waits_for_a_writer_that_gets_on_and_not_for_one_that_is_stuck() {
        let big = "x".repeat(STEP.try_into().unwrap());
        let queue = Arc::new(Queue::new(big.len() * 2));
        assert!(!queue.room().await);
        queue.push(chunk("a", &big));
        queue.push(chunk("b", &big));
        let writer = Arc::clone(&queue);
        let waited = tokio::join!(queue.room(), async move {
            for _ in 0..2 {
                assert!(matches!(writer.take(), Some(Next::Chunk(_))));
            }
            writer.push(chunk("c", "after the second was begun"));
            writer.take();
        });
        assert!(waited.0);
        // Nobody takes these.
        queue.push(chunk("a", &big));
        queue.push(chunk("b", &big));
        queue.lock().since = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(!queue.room().await);
    }
}
