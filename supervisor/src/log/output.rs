//! The thread that writes our standard output.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::hub::Shared;
use super::queue::Next;
use crate::state::Level;

/// Writes what comes. Ends when the queue is closed.
pub(super) fn write_output(shared: &Shared) {
    let mut output = Output::new(|bytes: &[u8]| write(io::stdout().as_fd(), bytes));
    let mut untold = None::<(u64, Errno)>;
    while let Some(next) = shared.output.take() {
        match next {
            Next::Chunk(chunk) => match output.write(&chunk.bytes) {
                Ok(()) => {
                    let Some((lines, error)) = untold.take() else { continue };
                    let text = format!("{lines} lines are missing on standard output, which failed: {}", error.desc());
                    let _ = output.write(&shared.own_output_lines(Level::Error, &text));
                    shared.tell_files(Level::Error, text);
                }
                Err((lines, error)) => {
                    shared.output.lost(lines);
                    if untold.is_none() {
                        let text = format!("lines are being lost on standard output, which fails: {}", error.desc());
                        shared.tell_files(Level::Error, text);
                    }
                    untold = Some((untold.map_or(0, |(lines, _)| lines) + lines, error));
                }
            },
            Next::Dropped(lines) => {
                let text = format!("{lines} lines are missing on standard output: whoever reads it is too slow");
                let _ = output.write(&shared.own_output_lines(Level::Warn, &text));
                shared.tell_files(Level::Warn, text);
            }
        }
    }
}

/// An output that may fail and recover.
struct Output<W> {
    write: W,
    /// The last that was written is the beginning of a line whose rest is lost.
    is_torn: bool,
}

impl<W: FnMut(&[u8]) -> nix::Result<usize>> Output<W> {
    fn new(write: W) -> Self {
        Self { write, is_torn: false }
    }

    /// Writes all of these lines, also to an output that somebody has made non-blocking. A closed output is nobody's
    /// fault. What follows a line that is torn begins on a line of its own.
    ///
    /// # Errors
    /// How many lines are not there whole, and why.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (u64, Errno)> {
        let lost = |rest: &[u8], error| match error {
            Errno::EPIPE | Errno::EBADF => Ok(()),
            _ => Err((memchr::memchr_iter(b'\n', rest).count() as u64, error)),
        };
        if self.is_torn {
            if let Err((_, error)) = self.write_all(b"\n") {
                return lost(bytes, error);
            }
            self.is_torn = false;
        }
        let Err((written, error)) = self.write_all(bytes) else { return Ok(()) };
        let (done, rest) = bytes.split_at_checked(written).unwrap_or((bytes, &[]));
        self.is_torn = done.last().is_some_and(|last| *last != b'\n');
        lost(rest, error)
    }

    /// Or how many bytes are written.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, Errno)> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match (self.write)(rest) {
                Ok(count) => written += count,
                Err(Errno::EAGAIN) => {
                    let output = io::stdout();
                    let _ = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failing_output_loses_is_counted_and_no_line_continues_another() {
        let mut written = Vec::new();
        let mut room = 6;
        let mut output = Output::new(|bytes: &[u8]| {
            let count = bytes.len().min(room);
            // Room again after the second failure.
            room = if count == 0 { 100 } else { room - count };
            written.extend_from_slice(bytes.get(..count).unwrap());
            if count == 0 { Err(Errno::ENOSPC) } else { Ok(count) }
        });
        assert_eq!(output.write(b"one\ntwo\nsix\n"), Err((2, Errno::ENOSPC)));
        assert_eq!(output.write(b"ten\n"), Ok(()));
        assert_eq!(written, b"one\ntw\nten\n");
        let mut closed = Output::new(|_: &[u8]| Err(Errno::EPIPE));
        assert_eq!(closed.write(b"one\n"), Ok(()));
    }
}
