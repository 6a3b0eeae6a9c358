//! The spool: what was accepted, on disk, until it is stored.
//!
//! ```text
//! request -> append -> writer thread -> segment -> 200
//!                                          |
//!                                       keeper -> q:ingest -> worker -> PostgreSQL
//!                                          ^                               |
//!                                          +--- done: the segment goes ----+
//! ```
//!
//! * A 200 means that the entry is written (`write(2)`) to a segment of ours: no kill can take it back. With
//!   `INGEST_FSYNC=always` it is on the disk itself.
//! * The **keeper** ships entries to the queue in their order, outside of any request; so a queue that is slow, full, away
//!   or still loading shows in no answer. It ships no more than the queue has room for: the others wait here.
//! * A segment stays until the queue is done with all its entries. When another Redis answers, or one that has lost its
//!   data, everything that is not done is shipped again; the worker knows a reception that comes twice.
//! * What is counted (the tally) lies beside its entry. A segment that is closed sends its counts after its entries, as an
//!   entry of their own that counts once.
//! * Each segment is locked by its process. One whose process is gone belongs to whoever gets the lock.

mod find;
mod frame;
mod keeper;
mod segment;
mod shelf;
mod space;
mod writer;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

pub use find::{Spooled, find};
pub use shelf::SpoolState;

use crate::config::Config;
use crate::protocol::Tally;
use crate::queue::Shipping;
use shelf::Shelf;
use space::Space;
use writer::{Append, Order};

/// Appends that may wait for the writer.
const MAX_WAITING: usize = 1024;

/// KiB that all appends which wait may take together: a disk that hangs must not fill the memory.
const MAX_WAITING_KIB: usize = 32 * 1024;

static ROOM: Semaphore = Semaphore::const_new(MAX_WAITING_KIB);

/// How long an append may wait for the disk; SDKs give up later than this.
const APPEND_LIMIT: Duration = Duration::from_secs(10);

/// Seconds after which a client may try again when there is no room.
const RETRY_AFTER: u64 = 30;

/// Why something was not taken in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpoolError {
    /// No room, on the disk or within the limit; worth trying again after so many seconds.
    #[error("there is no room to keep more events")]
    Full(u64),
    /// The disk does not answer, or with an error.
    #[error("the spool cannot be written: {0}")]
    Broken(String),
}

/// Where accepted items are kept. Its keeper ends with it.
#[derive(Debug)]
pub(super) struct Spool {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    max_bytes: u64,
    keeper: AbortOnDropHandle<()>,
}

/// What the writer, the keeper and those who append have in common.
#[derive(Debug)]
struct Shared {
    shelf: Mutex<Shelf>,
    /// Something was written.
    grown: Notify,
    space: Space,
    /// Bytes in segments of other processes.
    foreign_bytes: AtomicU64,
    damaged: AtomicU64,
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Every change of the shelf is whole: a panic elsewhere leaves it in order.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> u64 {
        self.shelf().bytes() + self.foreign_bytes.load(Ordering::Relaxed)
    }
}

impl Spool {
    /// Opens the spool in the data directory and starts its keeper, which takes over what others have left behind.
    /// Succeeds with Redis away. Call inside the runtime.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let directory = directory(&config.data_dir);
        make_directory(&directory)?;
        let shared = Arc::new(Shared {
            shelf: Mutex::default(),
            grown: Notify::new(),
            space: Space::new(directory.clone()),
            foreign_bytes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
        });
        let (orders, received) = mpsc::channel(MAX_WAITING);
        let (folder, for_writer, is_synced) = (directory.clone(), Arc::clone(&shared), config.ingest_fsync_always);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer::run(folder, is_synced, for_writer, received))?;
        let shipping = Shipping::connect(config)?;
        let keeper = keeper::run(directory, Arc::clone(&shared), orders.clone(), shipping);
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper));
        Ok(Self { orders, shared, max_bytes: config.spool_max_bytes, keeper })
    }

    /// Returns when `entries` (if there are any) and their counts are in a segment, all of it or nothing.
    pub(super) async fn append(&self, entries: Vec<Bytes>, tally: Tally) -> Result<(), SpoolError> {
        if let Some(retry_after) = self.refuses_for() {
            return Err(SpoolError::Full(retry_after));
        }
        match append(&self.orders, entries, tally).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                self.shared.space.ran_full();
                Err(SpoolError::Full(RETRY_AFTER))
            }
            Err(error) => Err(SpoolError::Broken(error.to_string())),
        }
    }

    /// When nothing more is taken in for want of room: seconds after which a client may try again.
    pub(super) fn refuses_for(&self) -> Option<u64> {
        let bytes = self.shared.bytes();
        (self.shared.space.is_full(bytes) || bytes >= self.max_bytes).then_some(RETRY_AFTER)
    }

    /// How it stands.
    pub(super) fn state(&self) -> SpoolState {
        self.shared.shelf().state()
    }

    /// Stretches of segments that could not be read, since the start.
    pub(super) fn damaged(&self) -> u64 {
        self.shared.damaged.load(Ordering::Relaxed)
    }

    /// Waits up to `limit` for the queue to be done with everything, now that nobody appends any more. What is left then
    /// is for the next process.
    pub(super) async fn close(&self, limit: Duration) {
        let emptied = async {
            self.shared.shelf().end();
            self.shared.grown.notify_one();
            while !self.shared.shelf().is_empty() && !self.keeper.is_finished() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(limit, emptied).await.is_err() {
            let left = self.state();
            tracing::info!(segments = left.segments, bytes = left.bytes, "the next process goes on with the spool");
        }
    }
}

async fn append(orders: &mpsc::Sender<Order>, entries: Vec<Bytes>, tally: Tally) -> io::Result<()> {
    let (done, answer) = oneshot::channel();
    let gone = || io::Error::other("its writer has ended");
    let written = async {
        let bytes: usize = entries.iter().map(Bytes::len).sum();
        let kib = u32::try_from(bytes.div_ceil(1024).min(MAX_WAITING_KIB)).unwrap_or(1);
        let room = ROOM.acquire_many(kib).await.map_err(|_| gone())?;
        orders.send(Order::Append(Append { entries, tally, done, _room: room })).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    };
    match timeout(APPEND_LIMIT, written).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::from(ErrorKind::TimedOut)),
    }
}

/// Where segments lie.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("spool")
}

fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
