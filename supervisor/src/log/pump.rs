//! Reads one pipe of a service to its end.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use tokio::net::unix::pipe;
use tokio::time::sleep;

use super::Stream;
use super::hub::{Log, Source};
use super::lines::{Splitter, lines_of};
use crate::plan::Output;

/// What a pipe takes before its writer waits, in bytes. The system may grant less.
const PIPE: i32 = 256 * 1024;

/// A stream that was read so short a time ago is busy...
const BUSY: Duration = Duration::from_millis(3);

/// ...and given this time to gather more: a flood costs a thousand reads a second, not one for each line.
const GATHER: Duration = Duration::from_millis(1);

/// So many bytes at once are enough of a flood not to wait for more.
const PLENTY: usize = 32 * 1024;

/// Writes what a service says to the log, until every process that holds the other end is gone.
pub async fn pump(log: Log, service: Arc<str>, stream: Stream, output: Output, pipe: OwnedFd) {
    let counters = log.counters().service(&service);
    let source = Source::new(service, stream, output);
    let take = |run: &[u8]| {
        let ends = memchr::memchr_iter(b'\n', run).count();
        counters.lines(stream, ends + 1, run.len() - ends);
        log.write_run(&source, run);
    };
    read(&log, source.stream(), pipe, take).await;
}

/// Hands every line of a task to `take`, which writes it to the log, until every process that holds the other end is gone.
pub async fn pump_lines(log: &Log, task: &str, pipe: OwnedFd, mut take: impl FnMut(&[u8])) {
    let stream = format!("{task}.log");
    read(log, &stream, pipe, |run| lines_of(&String::from_utf8_lossy(run)).for_each(|line| take(line.as_bytes())))
        .await;
}

async fn read(log: &Log, stream: &str, pipe: OwnedFd, mut take: impl FnMut(&[u8])) {
    let _ = fcntl(pipe.as_fd(), FcntlArg::F_SETPIPE_SZ(PIPE));
    let Ok(pipe) = pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut splitter = Splitter::default();
    let (mut last, mut plenty) = (None::<Instant>, false);
    while pipe.readable().await.is_ok() {
        if !plenty && last.is_some_and(|last| last.elapsed() < BUSY) {
            sleep(GATHER).await;
        }
        match pipe.try_read_buf(splitter.room()) {
            Ok(0) => break,
            Ok(count) => plenty = count >= PLENTY,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                splitter.tidy();
                continue;
            }
            Err(_) => break,
        }
        while let Some(run) = splitter.next_run() {
            log.room(stream).await;
            take(run);
        }
        splitter.tidy();
        last = Some(Instant::now());
        // Others have their turn between two reads.
        tokio::task::yield_now().await;
    }
    if let Some(rest) = splitter.finish() {
        log.room(stream).await;
        take(&rest);
    }
}
