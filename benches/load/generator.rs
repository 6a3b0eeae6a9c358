//! The load generator: open and closed loop, no silent retries, and latency counted from when a request was due, so
//! that a stall of the server shows in every request it delays.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::ack_log::AckLog;
use super::corpus::{Corpus, Variation};

/// The pauses of an idle client, in milliseconds.
const IDLE: std::ops::Range<u64> = 1_000..8_000;

/// A slow upload is sent in so many pieces, with this pause between two.
const PIECES: usize = 20;
const PIECE_PAUSE: Duration = Duration::from_millis(100);

/// Steps in which an idle client waits, so that the end of a load does not wait for the longest pause.
const STEP: Duration = Duration::from_millis(250);

/// What to send, and how.
pub(crate) struct Load<'a> {
    /// The bodies.
    pub(crate) corpus: &'a Corpus,
    /// `http://KEY@HOST:PORT/PROJECT`
    pub(crate) dsn: &'a str,
    /// How many events, those of idle clients not counted.
    pub(crate) events: usize,
    /// Events due each second (open loop); none: each connection sends as fast as it is answered.
    pub(crate) rate: Option<usize>,
    /// Nothing is begun after so long, however few events that makes.
    pub(crate) limit: Option<Duration>,
    /// Who sends them.
    pub(crate) clients: Clients,
    /// Where each answer is noted.
    pub(crate) log: Option<&'a AckLog>,
    /// Nothing more is begun once this is set.
    pub(crate) is_enough: Option<&'a AtomicBool>,
}

/// Clients, one thread each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    /// With a connection that is kept and used for the next event that is due.
    pub(crate) kept: usize,
    /// With a new connection for each event that is due.
    pub(crate) fresh: usize,
    /// With a connection that is kept and used after pauses of 1 to 8 s, beside the rate.
    pub(crate) idle: usize,
    /// With a new connection for each event, whose body they send slowly, beside the rate.
    pub(crate) uploads: usize,
}

impl Clients {
    /// Busy clients only.
    pub(crate) const fn kept(kept: usize) -> Self {
        Self { kept, fresh: 0, idle: 0, uploads: 0 }
    }
}

/// What came of it.
pub(crate) struct Answers {
    /// When the first request was due.
    pub(crate) started: Instant,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Events answered 200.
    pub(crate) accepted: usize,
    /// Status of every other answer, or the error in place of one.
    pub(crate) refused: Vec<String>,
    /// Of the accepted ones, in the order of their latencies.
    answered: Vec<Answered>,
}

/// One accepted event; slow uploads are not among them.
#[derive(Debug, Clone, Copy)]
struct Answered {
    latency: Duration,
    /// When it was due.
    due: Instant,
}

impl Answers {
    /// Milliseconds that so many of 10,000 accepted requests did not exceed.
    pub(crate) fn percentile(&self, of_ten_thousand: usize) -> f64 {
        percentile(&self.answered, of_ten_thousand)
    }

    /// The same of those that were due in one of these spans, with their number.
    pub(crate) fn percentile_within(&self, of_ten_thousand: usize, spans: &[(Instant, Instant)]) -> (f64, usize) {
        let is_within = |due: Instant| spans.iter().any(|(from, to)| (*from..*to).contains(&due));
        let chosen: Vec<Answered> = self.answered.iter().copied().filter(|it| is_within(it.due)).collect();
        (percentile(&chosen, of_ten_thousand), chosen.len())
    }

    /// The latencies in words.
    pub(crate) fn summary(&self) -> String {
        format!(
            "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, worst {:.2} ms",
            self.percentile(5_000),
            self.percentile(9_900),
            self.percentile(9_990),
            self.percentile(10_000),
        )
    }
}

fn percentile(sorted: &[Answered], of_ten_thousand: usize) -> f64 {
    let index = (sorted.len() * of_ten_thousand / 10_000).min(sorted.len().saturating_sub(1));
    sorted.get(index).map(|it| it.latency).unwrap_or_default().as_secs_f64() * 1000.0
}

struct Target {
    address: String,
    path: String,
    auth: String,
}

impl Target {
    fn parse(dsn: &str) -> Result<Self> {
        let rest = dsn.strip_prefix("http://").context("an http DSN")?;
        let (key, rest) = rest.split_once('@').context("a key in the DSN")?;
        let (address, project) = rest.split_once('/').context("a project in the DSN")?;
        let auth = format!("Sentry sentry_version=7, sentry_client=glitchbox-bench/1, sentry_key={key}");
        Ok(Self { address: address.to_owned(), path: format!("/api/{project}/envelope/"), auth })
    }

    /// What goes before a body of so many bytes.
    fn head(&self, length: usize) -> String {
        let Self { address, path, auth } = self;
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Sentry-Auth: {auth}\r\n\
             Content-Type: application/x-sentry-envelope\r\nContent-Length: {length}\r\n\r\n"
        )
    }
}

/// What the clients of one load have in common.
struct Run<'a> {
    load: &'a Load<'a>,
    target: Target,
    started: Instant,
    /// Number of the next event of the rate.
    next: AtomicUsize,
    /// Set when all events of the rate are on their way.
    is_over: AtomicBool,
}

#[derive(Default)]
struct Told {
    answered: Vec<Answered>,
    /// Slow uploads answered 200.
    uploads: usize,
    refused: Vec<String>,
}

impl Load<'_> {
    /// Sends everything and waits for every answer.
    pub(crate) fn run(&self) -> Result<Answers> {
        let run = Run {
            load: self,
            target: Target::parse(self.dsn)?,
            started: Instant::now() + Duration::from_millis(20),
            next: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        };
        let all = Mutex::new(Told::default());
        std::thread::scope(|scope| {
            let Clients { kept, fresh, idle, uploads } = self.clients;
            for client in 0..kept + fresh + idle + uploads {
                let (run, all) = (&run, &all);
                scope.spawn(move || {
                    let told = match client {
                        busy if busy < kept + fresh => run.busy(busy < kept),
                        idle if idle < kept + fresh + self.clients.idle => run.idle(),
                        _ => run.uploads(),
                    };
                    if let Ok(mut all) = all.lock() {
                        all.uploads += told.uploads;
                        all.answered.extend(told.answered);
                        all.refused.extend(told.refused);
                    }
                });
            }
        });
        let took = run.started.elapsed();
        let Told { mut answered, uploads, refused } = all.into_inner().ok().context("a client's thread panicked")?;
        answered.sort_unstable_by_key(|it| it.latency);
        Ok(Answers { started: run.started, took, accepted: answered.len() + uploads, refused, answered })
    }
}

impl Run<'_> {
    /// Takes the next event of the rate as soon as the last one is answered.
    fn busy(&self, is_kept: bool) -> Told {
        let (mut random, mut told, mut stream) = (Variation::new(), Told::default(), None);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let is_enough = self.load.is_enough.is_some_and(|enough| enough.load(Ordering::Relaxed));
            let is_late = self.load.limit.is_some_and(|limit| self.started.elapsed() >= limit);
            if number >= self.load.events || is_late || is_enough {
                self.is_over.store(true, Ordering::Relaxed);
                return told;
            }
            let due = match self.load.rate {
                Some(rate) => self.started + Duration::from_secs(1).mul_f64(as_f64(number) / as_f64(rate)),
                None => Instant::now(),
            };
            self.one(number, due, &mut stream, &mut random, &mut told);
            if !is_kept {
                stream = None;
            }
        }
    }

    /// Keeps a connection and seldom uses it.
    fn idle(&self) -> Told {
        let (mut random, mut told, mut stream) = (Variation::new(), Told::default(), None);
        let mut due = self.started + Duration::from_millis(random.within(0..IDLE.end));
        while !self.is_over.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left.min(STEP));
                continue;
            }
            let number = usize::try_from(random.within(0..1_000)).unwrap_or(0);
            self.one(number, due, &mut stream, &mut random, &mut told);
            // From when this one was due: a server that lets us wait is asked the sooner then.
            due += Duration::from_millis(random.within(IDLE));
        }
        told
    }

    /// Sends one event after another, each slowly.
    fn uploads(&self) -> Told {
        let (mut random, mut told) = (Variation::new(), Told::default());
        // Not all at the same time.
        std::thread::sleep(Duration::from_millis(random.within(0..2_000)));
        while !self.is_over.load(Ordering::Relaxed) {
            let number = usize::try_from(random.within(0..1_000)).unwrap_or(0);
            let Ok((id, body)) = self.load.corpus.envelope(number, &mut random) else { return told };
            let begun = Instant::now();
            let result = upload(&self.target, &body).map_err(|error| format!("slow upload: {error:#}"));
            if let Some(log) = self.load.log
                && let Err(error) = log.note(&id, &result, begun, Instant::now())
            {
                told.refused.push(format!("the answer could not be noted: {error:#}"));
            }
            match result {
                Ok(200) => told.uploads += 1,
                Ok(status) => told.refused.push(format!("slow upload: {status}")),
                Err(error) => told.refused.push(error),
            }
        }
        told
    }

    /// One event, once.
    fn one(
        &self,
        number: usize,
        due: Instant,
        stream: &mut Option<TcpStream>,
        random: &mut Variation,
        told: &mut Told,
    ) {
        let Ok((id, body)) = self.load.corpus.envelope(number, random) else {
            told.refused.push("the corpus cannot be varied".to_owned());
            return;
        };
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let result = send(stream, &self.target, &body).map_err(|error| format!("{error:#}"));
        let answered = Instant::now();
        if result.is_err() {
            *stream = None;
        }
        if let Some(log) = self.load.log
            && let Err(error) = log.note(&id, &result, due, answered)
        {
            told.refused.push(format!("the answer could not be noted: {error:#}"));
        }
        match result {
            Ok(200) => told.answered.push(Answered { latency: answered.saturating_duration_since(due), due }),
            Ok(status) => told.refused.push(status.to_string()),
            Err(error) => told.refused.push(error),
        }
    }
}

/// One request on the connection, which is opened when there is none.
fn send(kept: &mut Option<TcpStream>, target: &Target, body: &str) -> Result<u16> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => connect(target)?,
    };
    stream.write_all(format!("{}{body}", target.head(body.len())).as_bytes()).context("send")?;
    let (status, keep_alive) = read_answer(&mut stream)?;
    if keep_alive {
        *kept = Some(stream);
    }
    Ok(status)
}

/// One request on a connection of its own, piece by piece.
fn upload(target: &Target, body: &str) -> Result<u16> {
    let mut stream = connect(target)?;
    stream.write_all(target.head(body.len()).as_bytes()).context("send")?;
    for piece in body.as_bytes().chunks(body.len().div_ceil(PIECES)) {
        std::thread::sleep(PIECE_PAUSE);
        stream.write_all(piece).context("send")?;
    }
    Ok(read_answer(&mut stream)?.0)
}

fn connect(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect(&target.address).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// The status, and whether the connection may be used again.
fn read_answer(stream: &mut TcpStream) -> Result<(u16, bool)> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).context("answer")?;
        if read == 0 {
            bail!("the connection was closed in place of an answer");
        }
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status line")?;
            return Ok((status, !head.contains("connection: close")));
        }
    }
}

/// For rates and averages; exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "counts of events and bytes stay far below 2^53")]
pub(crate) fn as_f64(number: usize) -> f64 {
    number as f64
}
