//! What the machine wants to know about runs that hang, and what is shown of the one that ended everything.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, write};

use super::World;
use crate::snapshot;
use crate::state::{Event, Id, Level};
use crate::supervisor::Message;

/// Last lines of a service that hangs, in the supervisor's log.
const LINES_OF_HUNG: usize = 5;

/// Last lines of the service that ended everything.
const LINES_OF_BLAMED: usize = 20;

/// Whoever reads our standard error has so much time for them: the end must not wait for a reader that hangs.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// As much as a pipe takes at once when it takes anything.
const PIECE: usize = 4096;

impl World {
    /// The run whose main process this is.
    pub fn find_main(&self, pid: Pid) -> Option<Id> {
        self.runs.iter().find(|(_, run)| run.alive && run.trace.main == pid).map(|(id, _)| *id)
    }

    /// Writes down what a run is doing, in a thread of its own; the machine hears when that is done.
    pub(super) fn examine(&mut self, id: Id) {
        let name = self.name(id).to_owned();
        let Some(run) = self.runs.get(&id).filter(|run| run.alive) else {
            return self.pending.push_back(Event::Examined { id });
        };
        let (pid, log, messages) = (run.trace.main.as_raw(), self.log.clone(), self.messages.clone());
        drop(tokio::task::spawn_blocking(move || {
            for line in snapshot::take(pid) {
                log.say(Level::Warn, format!("{name}: process {pid}: {line}"));
            }
            for line in log.last(Some(&name), LINES_OF_HUNG) {
                log.say(Level::Warn, format!("{name}: said before: {line}"));
            }
            let _ = messages.send(Message::Event(Event::Examined { id }));
        }));
    }

    /// Shows the last lines of the service that ended everything on our standard error, after all else: whoever looks at
    /// the end of the container's log sees why.
    pub fn show_blame(&self) {
        let Some(service) = self.blamed.and_then(|index| self.plan.services.get(index)) else { return };
        let bytes = self.log.obituary(&service.name, LINES_OF_BLAMED);
        write_in_time(bytes, Instant::now() + LAST_WORDS);
    }
}

/// Writes to our standard error what it takes by then. From a thread: a terminal that is held up takes a part and blocks.
fn write_in_time(bytes: Vec<u8>, until: Instant) {
    let (done, end) = std::sync::mpsc::channel();
    let writer = std::thread::Builder::new().spawn(move || {
        write_until(io::stderr().as_fd(), &bytes, until);
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _in_time_or_not = end.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn write_until(output: impl AsFd, mut bytes: &[u8], until: Instant) {
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
        let left = PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX));
        match poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLOUT)], left) {
            Ok(1..) => {}
            Err(Errno::EINTR) => continue,
            Ok(_) | Err(_) => return,
        }
        match write(output.as_fd(), bytes.get(..PIECE).unwrap_or(bytes)) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_that_hangs_gets_what_fits_and_one_that_reads_gets_all() {
        let (reader, writer) = io::pipe().unwrap();
        let bytes = vec![b'x'; 300_000];
        let (began, limit) = (Instant::now(), Duration::from_millis(200));
        write_until(&writer, &bytes, began + limit);
        assert!(began.elapsed() >= limit, "it has waited");
        let mut reader = reader;
        let reading = std::thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read.len()
        });
        write_until(&writer, &bytes, Instant::now() + Duration::from_secs(30));
        drop(writer);
        let read = reading.join().unwrap();
        assert!(read > bytes.len() && read < 2 * bytes.len(), "{read}");
    }
}
