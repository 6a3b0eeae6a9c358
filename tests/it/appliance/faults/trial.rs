//! An instance under load that things are done to, and what it owes its clients afterwards.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::appliance::Instance;
use crate::appliance::instance::signal;
use crate::appliance::load::{Answer, Failure, Load, Told, burst, new_id};
use crate::load_generator::books::{Account, Books, QUERY, STORED};

/// How long it may take until all that was accepted is settled.
const DRAINED_WITHIN: Duration = Duration::from_mins(1);

/// How long a service may take to come back.
const BACK_WITHIN: Duration = Duration::from_mins(1);

/// One of these tests at a time: each wants the machine's two cores for itself.
static ALONE: Mutex<()> = Mutex::new(());

/// An instance, its clients, and what they were told.
pub(super) struct Trial {
    pub(super) instance: Instance,
    key: String,
    runtime: Runtime,
    loads: Vec<Load>,
    told: Told,
    /// When connections could be broken off, since web was killed or nobody listened.
    broken: Vec<(Instant, Instant)>,
    /// Whether 429 with a valid Retry-After is an answer to be expected.
    may_refuse: bool,
    _alone: MutexGuard<'static, ()>,
}

/// What was found after the load.
pub(super) struct Settled {
    pub(super) books: Books,
    /// Requests answered with 429.
    pub(super) refused: usize,
}

impl Trial {
    /// A fresh instance without load.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A fresh instance that is prepared before it starts.
    pub(super) fn with(prepare: impl FnOnce(&mut Instance)) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut instance = Instance::new();
        prepare(&mut instance);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        instance.start();
        Self {
            key: instance.public_key(),
            instance,
            runtime,
            loads: Vec::new(),
            told: Told::default(),
            broken: Vec::new(),
            may_refuse: false,
            _alone: alone,
        }
    }

    /// Begins to send about 200 events a second.
    pub(super) fn load(&mut self) {
        self.load_at(self.instance.address());
    }

    /// The same to another web of the instance.
    pub(super) fn load_at(&mut self, address: SocketAddr) {
        let _context = self.runtime.enter();
        self.loads.push(Load::start(address, &self.key));
    }

    /// Sends these events at once, over so many connections.
    pub(super) fn send(&mut self, ids: &[String], connections: usize) {
        let told = self.runtime.block_on(burst(self.instance.address(), &self.key, ids, connections));
        self.told.append(told);
    }

    /// Sends one event; why it was not taken, if it was not.
    pub(super) fn send_one(&mut self) -> Result<(), Result<Answer, String>> {
        let told = self.runtime.block_on(burst(self.instance.address(), &self.key, &[new_id()], 1));
        let failure = told.failures.first().map(|failure| failure.result.clone());
        self.told.append(told);
        failure.map_or(Ok(()), Err)
    }

    /// Where events of a test's own go, and the value of `x-sentry-auth` they need.
    pub(super) fn auth(&self) -> String {
        format!("Sentry sentry_version=7, sentry_key={}", self.key)
    }

    /// Runs a future of a test.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Counts an event of a test's own that was answered with 200.
    pub(super) fn acknowledged(&mut self, id: String) {
        self.told.acknowledged.insert(id.clone());
        self.sent_in_vain(id);
    }

    /// Counts an event that was answered with 200 and can never be stored.
    pub(super) fn sent_in_vain(&mut self, id: String) {
        self.told.sent.insert(id);
        self.told.latencies.push(Duration::ZERO);
    }

    /// From now on 429 with a Retry-After is a good answer.
    pub(super) fn may_refuse(&mut self) {
        self.may_refuse = true;
    }

    /// Does something that breaks connections to web off.
    pub(super) fn break_connections<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let begun = Instant::now();
        let result = act(self);
        self.broken.push((begun, Instant::now()));
        result
    }

    /// The row of `supervisor status`; none while nobody answers.
    pub(super) fn service(&self, name: &str) -> Option<Value> {
        // It fails when something is not as it should be, and says so all the same.
        let output = self.instance.command("supervisor", &["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    /// The process id of a service that runs.
    pub(super) fn pid(&self, name: &str) -> u32 {
        let service = self.service(name);
        let pid = service.as_ref().and_then(|service| service["pid"].as_u64());
        u32::try_from(pid.unwrap_or_else(|| panic!("{name} does not run: {service:?}"))).unwrap()
    }

    /// Kills a process of a service (kill -9) and waits until a new one serves.
    pub(super) fn kill(&self, name: &str) {
        let old = self.pid(name);
        signal("KILL", old);
        self.wait_for(name, |service| service["pid"].as_u64().is_some_and(|pid| pid != u64::from(old)));
    }

    /// Waits until a service is ready and `is_it` holds for its row.
    pub(super) fn wait_for(&self, name: &str, is_it: impl Fn(&Value) -> bool) {
        self.until(&format!("{name} to be back"), BACK_WITHIN, || {
            self.service(name).is_some_and(|service| service["state"] == "ready" && is_it(&service))
        });
    }

    /// Stops (SIGSTOP) all processes whose program is called so; gives them back.
    pub(super) fn freeze(&self, program: &str) -> Frozen {
        let mut pids = Vec::new();
        // The first process of PostgreSQL makes others until it is stopped itself.
        for _ in 0..2 {
            for (pid, command) in self.instance.processes() {
                if is_named(&command, program) && !pids.contains(&pid) {
                    signal("STOP", pid);
                    pids.push(pid);
                }
            }
        }
        assert!(!pids.is_empty(), "{program} does not run: {:?}", self.instance.processes());
        Frozen(pids)
    }

    /// Waits until something holds.
    pub(super) fn until(&self, what: &str, within: Duration, mut is_it: impl FnMut() -> bool) {
        let deadline = Instant::now() + within;
        while !is_it() {
            assert!(Instant::now() < deadline, "waited {within:?} for {what}:\n{}", self.instance.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the load, waits until all that was accepted is settled, and demands that everything adds up.
    pub(super) fn settle(&mut self, what: &str) -> Settled {
        for load in std::mem::take(&mut self.loads) {
            let told = self.runtime.block_on(load.end());
            self.told.append(told);
        }
        let (refused, broken_off, unexplained) = self.explain();
        let (acknowledged, count) = (self.told.acknowledged.len(), self.told.failures.len());
        let (p99, worst) = (self.told.percentile(990), self.told.percentile(1000));
        println!(
            "{what}: {acknowledged} acknowledged (p99 {p99:.1?}, worst {worst:.1?}), {refused} refused, {broken_off} broken off"
        );
        let log = self.instance.log();
        assert!(
            unexplained.is_empty(),
            "{what}: {} of {count} failures have no explanation: {:?}\n{log}",
            unexplained.len(),
            &unexplained[..unexplained.len().min(20)]
        );
        let deadline = Instant::now() + DRAINED_WITHIN;
        let books = loop {
            let (books, mut complaints) = compare(&self.instance, &self.told);
            complaints.extend(self.waiting());
            if complaints.is_empty() {
                break books;
            }
            let log = if Instant::now() < deadline { String::new() } else { self.instance.log() };
            assert!(Instant::now() < deadline, "{what}: {complaints:#?}\n{books:?}\n{log}");
            std::thread::sleep(Duration::from_millis(250));
        };
        Settled { books, refused }
    }

    /// A complaint when something waits in the queue.
    fn waiting(&self) -> Option<String> {
        let count = self.redis(&["XLEN", "q:ingest"]);
        (count != "0").then(|| {
            let pending = self.redis(&["XPENDING", "q:ingest", "workers"]);
            format!("entries wait in the queue: {count}; pending: {}", pending.replace('\n', " "))
        })
    }

    /// What Redis answers, or why it does not.
    pub(super) fn redis(&self, command: &[&str]) -> String {
        let arguments = [&["redis-cli", "--"], command].concat();
        let output = self.instance.command("supervisor", &arguments).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    }

    /// Requests that were refused, that were broken off, and those that should have been neither.
    fn explain(&self) -> (usize, usize, Vec<&Failure>) {
        let (mut refused, mut broken_off, mut unexplained) = (0, 0, Vec::new());
        for failure in &self.told.failures {
            match &failure.result {
                Ok(answer) if answer.status == 429 && self.may_refuse => {
                    let pause = answer.retry_after.as_deref().and_then(|text| text.parse::<u64>().ok());
                    assert!(pause.is_some_and(|pause| pause > 0), "429 without a Retry-After: {answer:?}");
                    refused += 1;
                }
                Err(_) if self.broken.iter().any(|(from, to)| failure.begun <= *to && failure.ended >= *from) => {
                    broken_off += 1;
                }
                _ => unexplained.push(failure),
            }
        }
        (refused, broken_off, unexplained)
    }

    /// What the clients of all loads that have ended were told.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// The latency that 99 of 100 acknowledgements did not exceed.
    pub(super) fn p99(&self) -> Duration {
        self.told.percentile(990)
    }
}

/// What the database says, and what is wrong with it.
pub(super) fn compare(instance: &Instance, told: &Told) -> (Books, Vec<String>) {
    let rows = instance.sql(STORED);
    let books: Books = serde_json::from_str(&instance.sql(QUERY)).unwrap();
    let stored: Vec<String> = rows.lines().map(str::to_owned).collect();
    let receptions = told.latencies.len();
    let account = Account {
        sent: &told.sent,
        acknowledged: &told.acknowledged,
        receptions,
        requests: receptions + told.failures.len(),
    };
    let complaints = books.complaints(&stored, account);
    (books, complaints)
}

/// Stopped processes; they go on when this is dropped.
pub(super) struct Frozen(Vec<u32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            signal("CONT", *pid);
        }
    }
}

/// Whether a command line (words ended by NUL, or what a server shows in their place) is that of a program.
fn is_named(command: &str, program: &str) -> bool {
    let path = command.split(['\0', ' ', ':']).next().unwrap_or_default();
    path.rsplit('/').next() == Some(program)
}
