//! Reads one pipe of a service to its end, line by line.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::Stream;
use super::hub::Log;
use super::lines::Splitter;
use crate::plan::Output;

/// A service is held up by a slow log at most this long; then lines are dropped instead.
const PATIENCE: Duration = Duration::from_millis(250);

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Writes what a service says to the log, until every process that holds the other end is gone.
pub async fn pump(log: Log, service: Arc<str>, stream: Stream, output: Output, pipe: OwnedFd) {
    let counters = log.counters().service(&service);
    let take = |line: &[u8]| {
        counters.line(stream, line.len());
        log.line(&service, stream, output, line);
    };
    pump_lines(&log, pipe, take).await;
}

/// Hands every line to `take`, which writes it to the log, until every process that holds the other end is gone.
pub async fn pump_lines(log: &Log, pipe: OwnedFd, mut take: impl FnMut(&[u8])) {
    let Ok(mut pipe) = pipe::Receiver::from_owned_fd(pipe) else {
        return;
    };
    let mut splitter = Splitter::default();
    // Given back between reads: a pipe that is silent should cost nothing.
    let mut patient = true;
    while pipe.readable().await.is_ok() {
        let mut buffer = vec![0; CHUNK];
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or(&[]);
                splitter.push(bytes, &mut take);
            }
        }
        drop(buffer);
        patient = wait_for_room(log, patient).await;
    }
    splitter.finish(take);
}

/// Waits while the writers lag. Whoever has lost patience once gets it back when they have caught up.
async fn wait_for_room(log: &Log, patient: bool) -> bool {
    let since = Instant::now();
    while log.is_tight() {
        if !patient || since.elapsed() >= PATIENCE {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}
