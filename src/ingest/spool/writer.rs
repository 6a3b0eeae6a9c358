//! The thread that writes segments. What comes while it writes is written together next, and with `INGEST_FSYNC=always`
//! put onto the disk together.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{SemaphorePermit, mpsc, oneshot};

use super::segment::Segment;
use super::{Shared, make_directory};
use crate::protocol::Tally;

/// Bytes written at once, besides the last append's.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the thread is asked to do.
pub(super) enum Order {
    /// Write these, and say how it went.
    Append(Append),
    /// Write nothing more to the open segment.
    Close,
}

/// What belongs together: all of it is written or nothing.
pub(super) struct Append {
    /// Entries for the queue; none: there is only something to count.
    pub(super) entries: Vec<Bytes>,
    /// What is to be counted, the entries included.
    pub(super) tally: Tally,
    /// Where to say how it went.
    pub(super) done: oneshot::Sender<io::Result<()>>,
    /// Held until it is written.
    pub(super) _room: SemaphorePermit<'static>,
}

struct Writer {
    directory: PathBuf,
    is_synced: bool,
    shared: Arc<Shared>,
    open: Option<(Arc<Segment>, u64)>,
    buffer: Vec<u8>,
}

/// Works until the last sender is gone.
pub(super) fn run(directory: PathBuf, is_synced: bool, shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    let mut writer = Writer { directory, is_synced, shared, open: None, buffer: Vec::new() };
    let mut next = orders.blocking_recv();
    while let Some(order) = next.take() {
        let Order::Append(first) = order else {
            writer.close();
            next = orders.blocking_recv();
            continue;
        };
        let mut batch = vec![first];
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            match orders.try_recv() {
                Ok(Order::Append(append)) => {
                    bytes += append.entries.iter().map(Bytes::len).sum::<usize>();
                    batch.push(append);
                }
                Ok(close) => {
                    next = Some(close);
                    break;
                }
                Err(_) => break,
            }
        }
        writer.append(batch);
        if next.is_none() {
            next = orders.blocking_recv();
        }
    }
    writer.close();
}

impl Writer {
    fn append(&mut self, batch: Vec<Append>) {
        let mut tally = Tally::default();
        let mut waiting = Vec::with_capacity(batch.len());
        let written = self.write(batch, &mut tally, &mut waiting);
        match written {
            Ok(length) => {
                self.shared.shelf().grown(length, tally);
                self.shared.grown.notify_one();
                for done in waiting {
                    // Whoever has left does not need to know.
                    drop(done.send(Ok(())));
                }
            }
            Err(error) => {
                for done in waiting {
                    drop(done.send(Err(io::Error::new(error.kind(), error.to_string()))));
                }
            }
        }
        let full_bytes = self.shared.shelf().full_bytes();
        if self.open.as_ref().is_some_and(|(_, length)| *length >= full_bytes) {
            self.close();
        }
    }

    /// Writes the batch to the open segment; its length after that.
    fn write(
        &mut self,
        batch: Vec<Append>,
        tally: &mut Tally,
        waiting: &mut Vec<oneshot::Sender<io::Result<()>>>,
    ) -> io::Result<u64> {
        self.buffer.clear();
        let opened = self.segment();
        let marker = opened.as_ref().ok().map(|(segment, _)| segment.marker());
        for append in batch {
            if let Some(marker) = marker {
                let counts = if append.tally.is_empty() { Bytes::new() } else { append.tally.encode() };
                let mut entries = append.entries.iter().map(Bytes::as_ref);
                marker.write(&mut self.buffer, &counts, entries.next().unwrap_or_default());
                for entry in entries {
                    marker.write(&mut self.buffer, &[], entry);
                }
            }
            tally.merge(append.tally);
            waiting.push(append.done);
        }
        let (segment, length) = opened?;
        let mut file = segment.file();
        let grown = length + self.buffer.len() as u64;
        let written =
            file.write_all(&self.buffer).and_then(|()| if self.is_synced { file.sync_data() } else { Ok(()) });
        if self.buffer.capacity() > 2 * BATCH_BYTES {
            self.buffer = Vec::new();
        }
        if let Err(error) = written {
            // What is half written was promised to nobody. If it cannot be taken back, or nobody knows what of it is on the
            // disk, nothing more goes behind it.
            if file.set_len(length).is_err() || self.is_synced {
                self.close();
            }
            return Err(error);
        }
        self.open = Some((segment, grown));
        Ok(grown)
    }

    fn segment(&mut self) -> io::Result<(Arc<Segment>, u64)> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        let segment = match Segment::create(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody has cleared away more than they should.
                make_directory(&self.directory)?;
                Segment::create(&self.directory)?
            }
            made => made?,
        };
        let segment = Arc::new(segment);
        if self.is_synced {
            std::fs::File::open(&self.directory)?.sync_all()?;
        }
        self.shared.shelf().open(Arc::clone(&segment));
        self.open = Some((Arc::clone(&segment), 0));
        Ok((segment, 0))
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.shared.shelf().close_open();
        }
    }
}
