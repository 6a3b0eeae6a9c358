//! The only `waitpid`, and the list of what a service leaves behind.
//!
//! As PID 1 or as a sub-reaper we inherit every orphan, so whatever a service has started is below us for as long as it
//! lives. Whose an orphan is decides this, the first that applies:
//!
//! 1. **The tag.** Every run gets a number of its own in a resource limit that means nothing to the kernel any more
//!    ([`tag`]). It is handed on by fork and exec and cannot be raised again: a double fork, a session of its own, an
//!    empty environment, another name or another user do not take it off. A tag names one run and clears all others.
//! 2. **The session, the process group or the mark.** A process without a tag (our own limit was lowered, so there are
//!    none) belongs to the run whose session or group it is in, or whose mark is in its environment.
//! 3. **The name and the user** of the main process, where there are no tags at all, no other live run has both, and
//!    the mark cannot be read: PostgreSQL writes its process titles over it.
//!
//! What descends from an orphan is its run's too. What none of this gives to a run (somebody's `docker exec`) is left
//! alone until the supervisor itself ends.
//!
//! **Nothing outruns us.** Only we reap our children, and a process that ends hands its own to us; so at any moment the
//! topmost process of a run is among our children, alive or dead and not yet reaped. A look that finds neither proves
//! that none existed when it began, however fast they fork. Until then, what is found is killed, reaped, and looked for
//! again ([`Left`]), at once and without a look at what is known already ([`Burst`]), so that each look is shorter than
//! the life of what it looks for.

mod table;
mod tag;
mod trace;

use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

pub use tag::{Tags, holder, holder_of};
pub use trace::{Burst, Left, Trace};

use crate::state::Exit;

/// The environment variable every service is marked with: `NAME#GENERATION`.
pub const MARK: &str = "GLITCHBOX_SERVICE";

/// Makes us inherit orphans, also when we are not PID 1.
///
/// # Errors
/// On a kernel without sub-reapers.
pub fn become_subreaper() -> io::Result<()> {
    prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// So many ended children are collected at once. Under a storm of forks there is always one more, and the end of a main
/// process must not wait until the storm is over.
const BATCH: usize = 128;

/// Collects the children that have ended, the oldest first; true if there may be more.
pub fn reap() -> (Vec<(Pid, Exit)>, bool) {
    let mut ended = Vec::new();
    while ended.len() < BATCH {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push((pid, Exit::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => ended.push((pid, Exit::Signal(signal))),
            Ok(WaitStatus::StillAlive) => return (ended, false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return (ended, false),
        }
    }
    (ended, true)
}

/// Collects one child, whose exit nobody waits for; false while it lives.
fn collect(orphan: Pid) -> bool {
    matches!(waitpid(orphan, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)))
}

/// Every child that a signal has stopped since the last look, with that signal, and every one that runs again.
pub fn stopped() -> Vec<(Pid, Option<Signal>)> {
    let mut found = Vec::new();
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    loop {
        match waitid(Id::All, flags) {
            Ok(WaitStatus::Stopped(pid, signal)) => found.push((pid, Some(signal))),
            Ok(WaitStatus::Continued(pid)) => found.push((pid, None)),
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return found,
        }
    }
}

/// Waits for one child, for as long as it takes: only before the loop begins.
pub fn wait(pid: Pid) -> Exit {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) => return Exit::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Exit::Signal(signal),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Exit::Code(127),
        }
    }
}

/// Every live process below us.
pub fn descendants() -> Vec<Pid> {
    let table = table::Table::read();
    let tops: Vec<i32> = table.children(std::process::id().cast_signed());
    tops.into_iter().flat_map(|top| table.family(top)).map(Pid::from_raw).collect()
}

/// Kills whatever lives below us, and reaps it: for the very end. True once nothing is left.
pub fn kill_descendants() -> bool {
    if getpid() == Pid::from_raw(1) {
        // All of the namespace but us, in one stroke that no fork escapes.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    }
    let left = descendants();
    kill_all(&left);
    // As long as there was something to reap, something may have come after it.
    reap().0.is_empty() && left.is_empty()
}

/// Kills these processes. One that is gone already is fine.
pub fn kill_all(processes: &[Pid]) {
    for pid in processes {
        let _ = kill(*pid, Signal::SIGKILL);
    }
}

/// Sends a signal to a main process (KILL: to its whole process group) and wakes it, should it be stopped.
pub fn signal(main: Pid, signal: Signal) {
    if signal == Signal::SIGKILL {
        let _ = killpg(main, signal);
    }
    let _ = kill(main, signal);
    let _ = kill(main, Signal::SIGCONT);
}
