//! The thread that writes our standard output.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::hub::Shared;
use super::queue::Next;
use crate::metrics::Loss;
use crate::state::Level;

/// Writes what comes. Ends when the queue is closed.
pub(super) fn write_output(shared: &Shared, mut missed: Loss) {
    while let Some(next) = shared.output.take() {
        match next {
            Next::Chunk(chunk) => write_patiently(&chunk.bytes),
            Next::Dropped(lines) => {
                missed.add(lines);
                let text = format!("{lines} lines are missing on standard output: whoever reads it is too slow");
                write_patiently(&shared.own_output_lines(Level::Warn, &text));
                shared.tell_files(Level::Warn, text);
            }
        }
    }
}

/// Writes all of it, also to an output that somebody has made non-blocking. A closed output is nobody's fault.
fn write_patiently(mut bytes: &[u8]) {
    let output = io::stdout();
    while !bytes.is_empty() {
        match write(output.as_fd(), bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
