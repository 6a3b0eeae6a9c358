//! The checked plan. Everything in it has been validated: indexes exist, durations are bounded, orders have no cycle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::limits::Confinement;
use crate::schedule::Schedule;
use crate::task::BackupRules;

/// All services, and the rules of the logs. A service's index is its number for as long as the supervisor runs, whatever
/// is reloaded. As read from a file, each comes after everything it depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The services.
    pub services: Vec<ServiceSpec>,
    /// Sizes of the log files.
    pub log: LogRules,
    /// Which backups are made and kept.
    pub backup: BackupRules,
    /// What is done by the clock.
    pub schedules: Vec<Schedule>,
    /// All settings beside the services' as they are written in the file.
    pub written: Vec<(String, String)>,
}

/// One service or one-shot task.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the plan file")]
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// Where the program comes from.
    pub run: Run,
    /// Runs to its end once, instead of staying.
    pub oneshot: bool,
    /// Indexes of those that must have been ready before the first start.
    pub after: Vec<usize>,
    /// What of `after` the first start goes without when that takes too long.
    pub start_without: Option<StartWithout>,
    /// How we learn that it is ready. A one-shot task is ready when it has ended with 0.
    pub ready: Ready,
    /// Time from start to readiness before the start counts as failed, in milliseconds; `None` waits for ever.
    pub ready_within_ms: Option<u64>,
    /// A start that is late is not counted as an attempt: what it waits for may be elsewhere.
    pub patient: bool,
    /// A service with a watchdog must report within each of these periods, in milliseconds; 0: it need not.
    pub watchdog_ms: u64,
    /// How it is asked whether it is well, if not in its own protocol.
    pub check: Option<Check>,
    /// A run that hangs is replaced; else that only shows.
    pub liveness: bool,
    /// Time between two probes of a service that is ready, in milliseconds.
    pub probe_every_ms: u64,
    /// When it is beyond repair, everything stops.
    pub essential: bool,
    /// A restart starts the next generation beside the old one and drains that once the next is ready.
    pub overlap: bool,
    /// Time an old generation has for draining, in milliseconds.
    pub drain_ms: u64,
    /// Inherits the listening socket.
    pub listen: bool,
    /// What becomes of its standard output.
    pub output: Output,
    /// When it is started again after a failure.
    pub backoff: Backoff,
    /// How it is stopped, first step at once, times ascending.
    pub stop: Vec<StopStep>,
    /// Where the times of `stop` count from while everything is being stopped.
    pub stop_clock: StopClock,
    /// The supervisor's exit code when this essential service or task has failed for good; `None` is 11 when it was
    /// not ready in time or not well, and else 10.
    pub fail_exit: Option<u8>,
    /// Exit codes of a task that the supervisor hands on as its own.
    pub pass_exit: Vec<u8>,
    /// Failures of a task after which it is tried again for as long as it takes.
    pub retry: Option<Retry>,
    /// What it may use and do.
    pub confinement: Confinement,
    /// Its settings as they are written in the file.
    pub written: Vec<(String, String)>,
    /// Its place among those shown, after a reload.
    pub rank: usize,
    /// A reload has taken it out; its number is kept for what is left of it, and for its return.
    pub removed: bool,
}

/// How a service is asked whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// In which way.
    pub how: CheckHow,
    /// Time between two checks of a service that is ready, in milliseconds.
    pub every_ms: u64,
    /// An answer that takes longer is a failure, in milliseconds.
    pub timeout_ms: u64,
    /// After so many failures in a row the service is replaced; 0: never.
    pub failures: u32,
}

/// The ways to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckHow {
    /// A GET there is answered with a code from 200 to 399.
    Http {
        /// Whom to ask; always of this machine, so that no name need be looked up.
        address: SocketAddr,
        /// `Host`, as written in the plan.
        host: String,
        /// Path and query.
        path: String,
    },
    /// A connection is taken there.
    Tcp(SocketAddr),
    /// A connection is taken at this socket, relative to the data directory unless absolute.
    Unix(PathBuf),
    /// This program, run like the service, ends with 0.
    Exec(Vec<String>),
}

/// What a service does not wait for for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartWithout {
    /// Indexes of those it can go without; all are in `after`.
    pub services: Vec<usize>,
    /// So long after the supervisor's own start, in milliseconds, it is started all the same.
    pub after_ms: u64,
    /// A file of the data directory without which this does not count.
    pub if_exists: String,
}

/// When a task that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The exit codes that say that another time may be better.
    pub exit: Vec<u8>,
    /// A file of the data directory without which this does not count.
    pub if_exists: String,
}

/// Where a service's program comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// PostgreSQL, Redis, or the preparation of their folders; the service's name says which.
    Bundled,
    /// A role of the application, named like the service.
    App,
    /// A command of the user's own.
    Exec {
        /// The program (looked up in `/usr/local/bin:/usr/bin:/bin` when it holds no slash) and its arguments.
        command: Vec<String>,
        /// Additions to its environment.
        env: BTreeMap<String, String>,
        /// Variables of the supervisor's own environment that are handed on.
        pass_env: Vec<String>,
        /// The user it runs as; `None` is the supervisor's own.
        user: Option<String>,
    },
}

/// How a service's readiness is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// By asking it in its own protocol (PostgreSQL and Redis).
    Probe,
    /// By its own `READY=1` on the notification socket.
    Notify,
    /// As soon as its program runs.
    Started,
    /// As soon as its check has succeeded once.
    Check,
}

/// What becomes of a service's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Log files and, tagged, the supervisor's own output.
    Log,
    /// Log files and, untouched, the supervisor's own output: words for the person at the terminal.
    Plain,
}

/// When a service that failed is started again. The first time is at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The second delay, in milliseconds; it doubles from then on.
    pub base_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_ms: u64,
    /// Ready for so many milliseconds, a service has recovered and the count begins anew.
    pub healthy_ms: u64,
    /// So many failures in a row, and the service is given up.
    pub attempts: u32,
}

/// One rung of the ladder by which a service is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopStep {
    /// The signal; every one is followed by CONT, KILL goes to the whole process group.
    pub signal: Signal,
    /// When, in milliseconds on the stop clock.
    pub at_ms: u64,
}

/// Where the times of a stop ladder count from while everything is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopClock {
    /// From this service's own first signal.
    Service,
    /// From the moment the ordered stop began, so that the whole stop keeps its deadline.
    Shutdown,
}

/// Bounds of the log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRules {
    /// A file that has reached this many bytes is rotated at the next line.
    pub max_bytes: u64,
    /// Files kept per stream, the current one included.
    pub files: u32,
    /// Bytes of all log files together, also those of services that are no longer in the plan.
    pub total_bytes: u64,
    /// Lines kept in memory per service for `supervisor logs`.
    pub tail_lines: usize,
}

impl Default for LogRules {
    fn default() -> Self {
        Self { max_bytes: 10 * 1024 * 1024, files: 5, total_bytes: 500 * 1024 * 1024, tail_lines: 500 }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 250, max_ms: 30_000, healthy_ms: 30_000, attempts: 10 }
    }
}

impl ServiceSpec {
    /// A service of that name by which every setting left out of the file is filled in.
    pub fn named(name: &str) -> Self {
        let terminate = StopStep { signal: Signal::SIGTERM, at_ms: 0 };
        Self {
            name: name.to_owned(),
            run: Run::App,
            oneshot: false,
            after: Vec::new(),
            start_without: None,
            ready: Ready::Started,
            ready_within_ms: Some(60_000),
            patient: false,
            watchdog_ms: 0,
            check: None,
            liveness: true,
            probe_every_ms: 10_000,
            essential: true,
            overlap: false,
            drain_ms: 35_000,
            listen: false,
            output: Output::Log,
            backoff: Backoff::default(),
            stop: vec![terminate, StopStep { signal: Signal::SIGKILL, at_ms: 2_000 }],
            stop_clock: StopClock::Service,
            fail_exit: None,
            pass_exit: Vec::new(),
            retry: None,
            confinement: Confinement::default(),
            written: Vec::new(),
            rank: 0,
            removed: false,
        }
    }

    /// What a service with a watchdog is told, in microseconds: two thirds of the true period. One that reports at half of
    /// that, as is the custom, has two reports to spare.
    pub fn watchdog_usec(&self) -> u64 {
        self.watchdog_ms * 1_000 * 2 / 3
    }

    /// Silence shows when a report is a quarter late, in milliseconds.
    pub fn silence_shows_ms(&self) -> u64 {
        self.watchdog_ms * 5 / 12
    }
}

impl Plan {
    /// Index of the service of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.services.iter().position(|service| service.name == name && !service.removed)
    }

    /// Takes a service out (because an external server is used in its place). What came after it comes after what it
    /// came after itself.
    pub fn remove(&mut self, name: &str) {
        let Some(gone) = self.find(name) else { return };
        let inherited = self.services.remove(gone).after;
        for service in &mut self.services {
            if service.after.contains(&gone) {
                service.after.extend(&inherited);
            }
            close_gap(&mut service.after, gone);
            if let Some(without) = &mut service.start_without {
                close_gap(&mut without.services, gone);
            }
        }
    }

    /// Takes out what depends on a file that is not there; `exists` says whether one is.
    pub fn settle(&mut self, exists: impl Fn(&str) -> bool) {
        for service in &mut self.services {
            service.start_without.take_if(|without| !exists(&without.if_exists));
            service.retry.take_if(|retry| !exists(&retry.if_exists));
        }
    }

    /// Whether the bundled service of that name is part of the plan.
    pub fn has_bundled(&self, name: &str) -> bool {
        self.services.iter().any(|service| service.run == Run::Bundled && service.name == name && !service.removed)
    }

    /// Whether any service is a role of the application.
    pub fn has_app(&self) -> bool {
        self.services.iter().any(|service| service.run == Run::App)
    }
}

/// Indexes after the service `gone` has been taken out.
fn close_gap(indexes: &mut Vec<usize>, gone: usize) {
    indexes.retain(|index| *index != gone);
    for index in indexes.iter_mut().filter(|index| **index > gone) {
        *index -= 1;
    }
    indexes.sort_unstable();
    indexes.dedup();
}
