//! The load generator: keep-alive connections, no silent retries, and latency counted from when a
//! request was due, so that a stall of the server shows in every request it delays.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::corpus::{Corpus, Variation};

/// What to send, and how.
pub(crate) struct Load<'a> {
    /// The bodies.
    pub(crate) corpus: &'a Corpus,
    /// `http://KEY@HOST:PORT/PROJECT`
    pub(crate) dsn: &'a str,
    /// How many events.
    pub(crate) events: usize,
    /// Events due each second (open loop); none: each connection sends as fast as it is answered.
    pub(crate) rate: Option<usize>,
    /// Connections kept alive, one thread each.
    pub(crate) connections: usize,
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
    /// Due to answered, of the accepted ones, sorted.
    latencies: Vec<Duration>,
}

impl Answers {
    /// The latency that `per_mille` of the accepted requests did not exceed.
    pub(crate) fn percentile(&self, per_mille: usize) -> Duration {
        let index = (self.latencies.len() * per_mille / 1000).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }
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
}

impl Load<'_> {
    /// Sends everything and waits for every answer.
    pub(crate) fn run(&self) -> Result<Answers> {
        let target = Target::parse(self.dsn)?;
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new((Vec::with_capacity(self.events), Vec::new()));
        let started = Instant::now() + Duration::from_millis(20);
        std::thread::scope(|scope| {
            for _ in 0..self.connections {
                let (target, next, outcome) = (&target, &next, &outcome);
                scope.spawn(move || {
                    let (latencies, refused) = self.one_connection(target, next, started);
                    if let Ok(mut outcome) = outcome.lock() {
                        outcome.0.extend(latencies);
                        outcome.1.extend(refused);
                    }
                });
            }
        });
        let took = started.elapsed();
        let (mut latencies, refused) = outcome.into_inner().ok().context("a connection's thread panicked")?;
        latencies.sort_unstable();
        Ok(Answers { started, took, accepted: latencies.len(), refused, latencies })
    }

    fn one_connection(&self, target: &Target, next: &AtomicUsize, started: Instant) -> (Vec<Duration>, Vec<String>) {
        let mut random = Variation::new();
        let (mut latencies, mut refused, mut stream) = (Vec::new(), Vec::new(), None);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.events {
                return (latencies, refused);
            }
            let Ok((_, body)) = self.corpus.envelope(number, &mut random) else {
                refused.push("the corpus cannot be varied".to_owned());
                continue;
            };
            let due = match self.rate {
                Some(rate) => started + Duration::from_secs(1).mul_f64(as_f64(number) / as_f64(rate)),
                None => Instant::now(),
            };
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match send(&mut stream, target, &body) {
                Ok(200) => latencies.push(due.elapsed()),
                Ok(status) => refused.push(status.to_string()),
                Err(error) => {
                    stream = None;
                    refused.push(format!("{error:#}"));
                }
            }
        }
    }
}

/// One request on the connection, which is opened when there is none.
fn send(kept: &mut Option<TcpStream>, target: &Target, body: &str) -> Result<u16> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => connect(target)?,
    };
    let (path, host, auth, length) = (&target.path, &target.address, &target.auth, body.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Sentry-Auth: {auth}\r\n\
         Content-Type: application/x-sentry-envelope\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).context("send")?;
    let (status, keep_alive) = read_answer(&mut stream)?;
    if keep_alive {
        *kept = Some(stream);
    }
    Ok(status)
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
