//! A queue between the loop and a thread that may block: bounded in bytes. Whoever floods it is held up while the thread
//! is quick and loses lines while it is not; whoever says little has room kept for it and does not wait for others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::metrics::Loss;

/// How long a writer may take for [`QUICK`] bytes before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a writer that is worth waiting for gets done in [`PATIENCE`], in bytes. A good disk does ten times as much.
const QUICK: u64 = 4 * 1024 * 1024;

/// So many bytes in a row are enough to tell that a slow writer has become quick again.
const ENOUGH: u64 = 64 * 1024;

/// A writer that was slow so long ago gets another chance.
const MEMORY: Duration = Duration::from_secs(10);

/// Small pieces for one place are put together up to this size, in bytes.
const PIECE: usize = 32 * 1024;

/// Whole lines on their way to a slow place.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The name of the file they are for.
    pub(super) to: Arc<str>,
    /// The stream that said them.
    pub(super) from: Arc<str>,
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
    items: VecDeque<Item>,
    /// Bytes waiting, those being written included: all, and of each stream.
    bytes: usize,
    of: HashMap<Arc<str>, usize>,
    in_hand: Option<(Arc<str>, usize)>,
    /// Lines dropped since [`Item::Gap`] was put in, and whose they are.
    dropped: u64,
    cut_off: HashSet<Arc<str>>,
    loss: Loss,
    /// How few bytes somebody waits for.
    awaited: Option<usize>,
    /// Bytes written since `since`, when the writer was last judged or had nothing to do.
    written: u64,
    since: Instant,
    /// When it was last found to be slow.
    slow: Option<Instant>,
    closed: bool,
    finished: bool,
}

#[derive(Debug)]
enum Item {
    Chunk(Chunk),
    /// Here lines were dropped: at most one of these stands in the queue.
    Gap,
}

/// What a writer is handed.
#[derive(Debug)]
pub(super) enum Next {
    /// To be written.
    Chunk(Chunk),
    /// So many lines belong here, but there was no room for them. They are counted.
    Dropped(u64),
}

impl Queue {
    /// A queue of at most `limit` bytes that counts what it loses.
    pub(super) fn new(limit: usize, loss: Loss) -> Self {
        let inner = Inner {
            items: VecDeque::new(),
            bytes: 0,
            of: HashMap::new(),
            in_hand: None,
            dropped: 0,
            cut_off: HashSet::new(),
            loss,
            awaited: None,
            written: 0,
            since: Instant::now(),
            slow: None,
            closed: false,
            finished: false,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), room: Notify::new(), limit }
    }

    /// Puts lines in, or drops and counts them when there is no room. Whoever has lost lines loses all until the writer
    /// comes to the gap, so that each gap is told once and in its place.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut inner = self.lock();
        let size = chunk.bytes.len();
        let most = if inner.floods(&chunk.from, self.limit) { self.limit / 4 * 3 } else { self.limit };
        if inner.bytes + size > most || inner.cut_off.contains(&chunk.from) {
            inner.drop_lines(chunk);
            drop(inner);
            self.changed.notify_all();
            return;
        }
        if inner.bytes == 0 {
            inner.begin();
        }
        inner.bytes += size;
        if let Some(bytes) = inner.of.get_mut(&chunk.from) {
            *bytes += size;
        } else {
            inner.of.insert(Arc::clone(&chunk.from), size);
        }
        match inner.items.back_mut() {
            Some(Item::Chunk(last))
                if last.bytes.len() + size <= PIECE && last.to == chunk.to && last.from == chunk.from =>
            {
                last.bytes.extend_from_slice(&chunk.bytes);
                last.lines += chunk.lines;
            }
            _ => inner.items.push_back(Item::Chunk(chunk)),
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// Counts lines that the writer could not write.
    pub(super) fn lost(&self, lines: u64) {
        self.lock().loss.add(lines);
    }

    /// Holds up a stream that floods while the queue is more than half full and its writer quick; any other one only
    /// while many together have used up what is kept for them. True if there was a wait.
    pub(super) async fn room(&self, from: &str) -> bool {
        let mut waited = false;
        loop {
            let notified = self.room.notified();
            let mut notified = std::pin::pin!(notified);
            notified.as_mut().enable();
            let left = {
                let mut inner = self.lock();
                inner.judge();
                let floods = inner.floods(from, self.limit);
                let full = if floods { self.limit / 2 } else { self.limit / 8 * 7 };
                if inner.bytes <= full || inner.is_slow() {
                    return waited;
                }
                let few = if floods { self.limit / 4 } else { self.limit / 4 * 3 };
                inner.awaited = inner.awaited.max(Some(few));
                PATIENCE.saturating_sub(inner.since.elapsed())
            };
            let _ = timeout(left, notified).await;
            waited = true;
        }
    }

    /// Waits for the next lines. `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Next> {
        let mut inner = self.lock();
        loop {
            inner.settle(&self.room);
            match inner.items.pop_front() {
                Some(Item::Chunk(chunk)) => {
                    inner.in_hand = Some((Arc::clone(&chunk.from), chunk.bytes.len()));
                    return Some(Next::Chunk(chunk));
                }
                Some(Item::Gap) => {
                    inner.cut_off.clear();
                    return Some(Next::Dropped(std::mem::take(&mut inner.dropped)));
                }
                None => {}
            }
            inner.items = VecDeque::new();
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
    /// Whether a stream has more waiting than is kept for one that says little.
    fn floods(&self, from: &str, limit: usize) -> bool {
        self.of.get(from).is_some_and(|bytes| *bytes >= limit / 16)
    }

    fn is_slow(&self) -> bool {
        self.slow.is_some_and(|since| since.elapsed() < MEMORY)
    }

    fn drop_lines(&mut self, chunk: Chunk) {
        if self.dropped == 0 {
            self.items.push_back(Item::Gap);
        }
        self.dropped += chunk.lines;
        self.loss.add(chunk.lines);
        self.cut_off.insert(chunk.from);
    }

    /// What was in the writer's hand is written.
    fn settle(&mut self, room: &Notify) {
        if let Some((from, done)) = self.in_hand.take() {
            self.bytes -= done;
            self.written += done as u64;
            if let Some(bytes) = self.of.get_mut(&from) {
                *bytes -= done;
                if *bytes == 0 {
                    self.of.remove(&from);
                }
            }
            self.judge();
        }
        if self.awaited.is_some_and(|few| self.bytes <= few) {
            // Who needs more room than that says so again.
            self.awaited = None;
            room.notify_waiters();
        }
    }

    /// Looks at what the writer has got done lately.
    fn judge(&mut self) {
        let elapsed = self.since.elapsed();
        let is_quick = || u128::from(self.written) * PATIENCE.as_micros() >= u128::from(QUICK) * elapsed.as_micros();
        if self.bytes == 0 {
            // What comes next begins a new stretch.
            if self.written > 0 {
                if self.written >= ENOUGH && self.slow.is_some() {
                    self.slow = (!is_quick()).then(Instant::now);
                }
                self.begin();
            }
        } else if elapsed >= PATIENCE {
            self.slow = (!is_quick()).then(Instant::now);
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.written = 0;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::Ordering::Relaxed;

    use crate::metrics::Counters;

    fn queue(limit: usize) -> (Queue, Arc<Counters>) {
        let counters = Arc::default();
        (Queue::new(limit, Loss::of_files(&counters, &Arc::default())), counters)
    }

    fn chunk(to: &str, text: &str) -> Chunk {
        Chunk { to: to.into(), from: to.into(), bytes: text.as_bytes().to_vec(), lines: text.lines().count() as u64 }
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
    fn what_does_not_fit_is_counted_at_once_and_told_where_it_belongs() {
        let (queue, counters) = queue(16);
        for text in ["one\n", "two\n", "six\n", "ten\nten\n"] {
            queue.push(chunk("a", text));
        }
        assert_eq!(counters.lost_file_lines.load(Relaxed), 2);
        queue.push(chunk("b", "b\n"));
        queue.push(chunk("a", "a\n"));
        assert_eq!(counters.lost_file_lines.load(Relaxed), 3, "whoever has lost lines goes on after the gap");
        assert_eq!(taken(&queue), "a 3 one\ntwo\nsix\n");
        queue.push(chunk("c", "lost, for what is being written still counts\n"));
        assert_eq!(taken(&queue), "dropped 4");
        queue.push(chunk("a", "a\n"));
        assert_eq!(taken(&queue), "b 1 b\n");
        assert_eq!(taken(&queue), "a 1 a\n");
        queue.close(Duration::ZERO);
        assert_eq!(taken(&queue), "closed");
    }

    #[tokio::test]
    async fn a_flooder_waits_for_a_quick_writer_and_not_for_a_slow_one_and_the_others_never() {
        // Too big to be put together.
        let big = "x".repeat(24 * 1024);
        let (queue, counters) = queue(big.len() * 16);
        let queue = Arc::new(queue);
        for _ in 0..9 {
            assert!(!queue.room("a").await);
            queue.push(chunk("a", &big));
        }
        // The writer has done nothing yet, but has time left: only who floods is held up.
        assert!(!queue.room("b").await);
        let writer = Arc::clone(&queue);
        let waited = tokio::join!(queue.room("a"), async move {
            for _ in 0..7 {
                assert!(matches!(writer.take(), Some(Next::Chunk(_))));
            }
        });
        assert!(waited.0);
        // A writer that gets on, but slowly.
        for _ in 0..6 {
            queue.push(chunk("a", &big));
        }
        queue.lock().since = Instant::now().checked_sub(PATIENCE).unwrap();
        queue.lock().written = QUICK / 2;
        assert!(!queue.room("a").await && queue.lock().is_slow());
        for _ in 0..9 {
            queue.push(chunk("a", &big));
        }
        assert!(queue.lock().bytes <= queue.limit / 4 * 3, "the rest is for others");
        let lost = counters.lost_file_lines.load(Relaxed);
        assert!(lost > 0);
        queue.push(chunk("b", &big));
        assert_eq!(counters.lost_file_lines.load(Relaxed), lost);
        // It proves to be quick when it has caught up.
        while queue.lock().bytes > 0 {
            queue.take();
            let mut inner = queue.lock();
            if inner.items.is_empty() {
                let Some((_, size)) = inner.in_hand else { break };
                inner.written = QUICK;
                inner.since = Instant::now();
                assert_eq!(inner.bytes, size);
                inner.settle(&queue.room);
            }
        }
        assert!(!queue.lock().is_slow());
    }
}
