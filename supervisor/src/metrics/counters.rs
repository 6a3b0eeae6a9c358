//! What is counted while it happens: lines, probes, exits, tasks. Everything else is looked up when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::log::Stream;
use crate::state::Exit;

/// The counts of one supervisor, from its start.
#[derive(Debug, Default)]
pub struct Counters {
    services: Mutex<BTreeMap<Arc<str>, Arc<ServiceCounters>>>,
    tasks: Mutex<BTreeMap<&'static str, TaskCount>>,
    /// Lines that did not get into a log file: the disk was too slow, or full.
    pub lost_file_lines: AtomicU64,
    /// Lines that did not get onto our own output: whoever reads it was too slow.
    pub lost_output_lines: AtomicU64,
}

/// The counts of one service, all its generations together.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    lines: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
    exits: [AtomicU64; 3],
    probes: AtomicU64,
    failed_probes: AtomicU64,
    probe_micros: AtomicU64,
    last_probe_micros: AtomicU64,
}

/// What [`ServiceCounters`] have come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines on standard output and on standard error.
    pub lines: [u64; 2],
    /// Their bytes, without the ends of the lines.
    pub bytes: [u64; 2],
    /// Ends of main processes: with 0, with another code, by a signal.
    pub exits: [u64; 3],
    /// Probes that have come to an end.
    pub probes: u64,
    /// Those of them that found something wrong.
    pub failed_probes: u64,
    /// Time that all probes took.
    pub probe_time: Duration,
    /// Time that the last one took.
    pub last_probe: Duration,
}

/// What has become of the tasks of one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCount {
    /// Those that ended with 0.
    pub done: u64,
    /// Those that ended otherwise.
    pub failed: u64,
    /// Time that all of them took.
    pub time: Duration,
    /// Time that the last one took.
    pub last: Duration,
    /// The exit code of the last one.
    pub last_exit: u8,
}

impl Counters {
    /// The counts of one service. Whoever counts often should look this up once.
    pub fn service(&self, name: &Arc<str>) -> Arc<ServiceCounters> {
        Arc::clone(lock(&self.services).entry(Arc::clone(name)).or_default())
    }

    /// A task has ended.
    pub fn task(&self, name: &'static str, exit: u8, took: Duration) {
        let mut tasks = lock(&self.tasks);
        let count = tasks.entry(name).or_default();
        count.done += u64::from(exit == 0);
        count.failed += u64::from(exit != 0);
        count.time += took;
        count.last = took;
        count.last_exit = exit;
    }

    /// All services that have been counted for, in the order of their names.
    pub fn services(&self) -> Vec<(Arc<str>, Totals)> {
        lock(&self.services).iter().map(|(name, counters)| (Arc::clone(name), counters.totals())).collect()
    }

    /// All tasks that have ended, in the order of their names.
    pub fn tasks(&self) -> Vec<(&'static str, TaskCount)> {
        lock(&self.tasks).iter().map(|(name, count)| (*name, *count)).collect()
    }
}

impl ServiceCounters {
    /// So many lines were read, of so many bytes together.
    pub fn lines(&self, stream: Stream, count: usize, bytes: usize) {
        let [out, err] = &self.lines;
        let [out_bytes, err_bytes] = &self.bytes;
        let (lines, sizes) = if stream == Stream::Err { (err, err_bytes) } else { (out, out_bytes) };
        lines.fetch_add(count as u64, Relaxed);
        sizes.fetch_add(bytes as u64, Relaxed);
    }

    /// A probe has ended.
    pub fn probe(&self, took: Duration, healthy: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.probes.fetch_add(1, Relaxed);
        self.failed_probes.fetch_add(u64::from(!healthy), Relaxed);
        self.probe_micros.fetch_add(micros, Relaxed);
        self.last_probe_micros.store(micros, Relaxed);
    }

    /// A main process has ended.
    pub fn exit(&self, exit: Exit) {
        let [clean, code, signal] = &self.exits;
        let count = match exit {
            Exit::Code(0) => clean,
            Exit::Code(_) => code,
            Exit::Signal(_) => signal,
        };
        count.fetch_add(1, Relaxed);
    }

    fn totals(&self) -> Totals {
        let read = |count: &AtomicU64| count.load(Relaxed);
        Totals {
            lines: self.lines.each_ref().map(read),
            bytes: self.bytes.each_ref().map(read),
            exits: self.exits.each_ref().map(read),
            probes: read(&self.probes),
            failed_probes: read(&self.failed_probes),
            probe_time: Duration::from_micros(read(&self.probe_micros)),
            last_probe: Duration::from_micros(read(&self.last_probe_micros)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_counted_by_service_and_kind() {
        let counters = Counters::default();
        let web = counters.service(&"web".into());
        web.lines(Stream::Out, 1, 10);
        web.lines(Stream::Err, 2, 10);
        web.exit(Exit::Code(0));
        web.exit(Exit::Code(3));
        web.exit(Exit::Signal(nix::sys::signal::Signal::SIGKILL));
        web.probe(Duration::from_millis(2), true);
        web.probe(Duration::from_millis(1), false);
        counters.task("backup", 0, Duration::from_secs(2));
        counters.task("backup", 1, Duration::from_secs(1));
        let services = counters.services();
        let (name, totals) = &services[0];
        assert_eq!((name.as_ref(), totals.lines, totals.bytes, totals.exits), ("web", [1, 2], [10, 10], [1, 1, 1]));
        assert_eq!((totals.probes, totals.failed_probes), (2, 1));
        assert_eq!((totals.probe_time, totals.last_probe), (Duration::from_millis(3), Duration::from_millis(1)));
        let (_, backup) = counters.tasks()[0];
        assert_eq!((backup.done, backup.failed, backup.time, backup.last_exit), (1, 1, Duration::from_secs(3), 1));
    }
}
