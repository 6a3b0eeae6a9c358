//! Damaged requests to web and worker: none is answered 5xx, nothing panics, and the next good event is stored.
//!
//! The short form goes to the application inside of this process; the long one, of a million requests, to the appliance as
//! it is run. `FUZZ_ROUNDS` and `FUZZ_SEED` (decimal numbers) set how many and which; a failure names the seed and the round.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{eventually, rows, zlib};
use crate::appliance::Instance;
use crate::support::TestApp;
use crate::support::mutate::{Numbers, damage, recorded, setting};

const CAPTURED_KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

/// Requests of an ordinary run: seconds; and of a long one.
const ROUNDS: u64 = 3_000;
const LONG_ROUNDS: u64 = 1_000_000;

/// Requests at the same time, each over a connection that is kept.
const CONNECTIONS: u64 = 8;

/// Endpoints and content types that a damaged body is sent to, besides the one that it was made for.
const ENDPOINTS: &[(&str, &str)] = &[
    ("envelope", "application/x-sentry-envelope"),
    ("store", "application/json"),
    ("security", "application/csp-report"),
    ("nel", "application/reports+json"),
    ("minidump", "application/x-dmp"),
    ("minidump", "multipart/form-data; boundary=B"),
    ("events/0123456789abcdef0123456789abcdef/attachments", "multipart/form-data; boundary=B"),
    ("cron/job", "application/json"),
];

/// What is damaged, and by what key it is let in.
struct Target {
    address: SocketAddr,
    project: String,
    key: String,
    seed: u64,
    seeds: Vec<Vec<u8>>,
    rounds: u64,
    next: AtomicU64,
}

/// What was answered: how often each status, the latest of each with its round.
type Answers = BTreeMap<u16, u64>;

impl Target {
    fn new(address: SocketAddr, project: String, key: String, rounds: u64) -> Arc<Self> {
        let rounds = setting("FUZZ_ROUNDS").unwrap_or(rounds);
        let seed = setting("FUZZ_SEED").unwrap_or_else(rand::random);
        println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
        let seeds = bodies().into_iter().map(|body| with_key(&key, body)).collect();
        Arc::new(Self { address, project, key, seed, seeds, rounds, next: AtomicU64::new(0) })
    }

    /// The request of a round; the same for the same seed.
    fn request(&self, round: u64) -> hyper::Request<Full<Bytes>> {
        let mut numbers = Numbers::of(self.seed, round);
        let mut body = numbers.choose(&self.seeds).clone();
        if numbers.below(10) > 0 {
            damage(&mut numbers, &mut body, &self.seeds);
        }
        // Most often where it belongs.
        let (endpoint, content_type) = if numbers.below(10) < 7 { ENDPOINTS[0] } else { *numbers.choose(ENDPOINTS) };
        let mut query = format!("sentry_version=7&sentry_key={}&sentry_client=fuzz%2F1", self.key).into_bytes();
        if numbers.below(10) == 0 {
            damage(&mut numbers, &mut query, &[b"&status=ok&UserID=x&sentry_environment=%ff".to_vec()]);
        }
        // The client would not send anything else.
        let is_sound = |one: char| one.is_ascii_alphanumeric() || "&=%-_.~+/:;,@!'()*".contains(one);
        let query = String::from_utf8_lossy(&query).replace(|one| !is_sound(one), "%00");
        let mut request = hyper::Request::post(format!("/api/{}/{endpoint}/?{query}", self.project))
            .header("host", self.address.to_string())
            .header("content-type", content_type);
        match numbers.below(12) {
            0 => {
                body = zlib(&body);
                request = request.header("content-encoding", "deflate");
            }
            1 => {
                body = zstd::encode_all(body.as_slice(), 1).unwrap();
                damage(&mut numbers, &mut body, &self.seeds);
                request = request.header("content-encoding", "zstd");
            }
            2 => {
                let name = *numbers.choose(&["gzip", "br", "deflate", "zstd", "", "x"]);
                request = request.header("content-encoding", name);
            }
            _ => {}
        }
        request.body(Full::new(Bytes::from(body))).unwrap()
    }

    /// Sends one round after the other until all have been sent.
    async fn send_all(self: Arc<Self>) -> Answers {
        let mut answers = Answers::new();
        let mut kept: Option<SendRequest<Full<Bytes>>> = None;
        loop {
            let round = self.next.fetch_add(1, Ordering::Relaxed);
            if round >= self.rounds {
                return answers;
            }
            loop {
                let (status, text) = exchange(&mut kept, self.address, self.request(round)).await;
                assert!(
                    status < 500 && !text.contains("the decoder failed") && !text.contains("it could not be read"),
                    "FUZZ_SEED={}, round {round}: {status}: {text}",
                    self.seed
                );
                *answers.entry(status).or_default() += 1;
                if status != 429 {
                    break;
                }
                // No more room: the worker is behind.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn run(self: &Arc<Self>) -> Answers {
        let mut tasks = JoinSet::new();
        (0..CONNECTIONS).for_each(|_| drop(tasks.spawn(Arc::clone(self).send_all())));
        let mut all = Answers::new();
        while let Some(answers) = tasks.join_next().await {
            for (status, count) in answers.unwrap() {
                *all.entry(status).or_default() += count;
            }
        }
        all
    }
}

/// One request over the connection that is kept, or a new one if the server has hung up.
async fn exchange(
    kept: &mut Option<SendRequest<Full<Bytes>>>,
    address: SocketAddr,
    request: hyper::Request<Full<Bytes>>,
) -> (u16, String) {
    let mut sender = if let Some(sender) = kept.take().filter(|sender| !sender.is_closed()) {
        sender
    } else {
        let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap();
        tokio::spawn(connection);
        sender
    };
    sender.ready().await.unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    *kept = Some(sender);
    (head.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

/// What clients sent, and what nobody recorded.
fn bodies() -> Vec<Vec<u8>> {
    let form =
        "--B\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a\"\r\n\r\nMDMP\r\n--B--\r\n";
    let mut bodies = vec![form.as_bytes().to_vec(), b"{\"status\":\"ok\",\"check_in_id\":\"x\"}".to_vec()];
    bodies.extend(recorded());
    bodies
}

fn with_key(key: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(CAPTURED_KEY.as_bytes())).collect();
    for at in places {
        bytes[at..at + key.len()].copy_from_slice(key.as_bytes());
    }
    bytes
}

/// Why items were not stored, but for those that are no JSON.
const STRANGE: &str = "select detail, count(*) as n from rejected_item where detail not like '%is not a JSON object%'
     group by detail order by 2 desc limit 20";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_requests_harm_neither_web_nor_worker() {
    let app = TestApp::start().await;
    let target = Target::new(app.address(), app.project.id.to_string(), app.key.public_key.clone(), ROUNDS);
    // The worker works along.
    app.drain().await;
    let answers = target.run().await;
    assert!(answers[&200] > target.rounds / 10, "{answers:?}");
    let id = app.send_event(&json!({ "message": "good" })).await.expect(200).json()["id"].clone();
    let stored = format!("select 1 as n from event where event_id = {}", id.to_string().replace('"', "'"));
    eventually(&app, &stored, &json!([{ "n": 1 }])).await;
    assert_eq!(rows(&app, STRANGE).await, Vec::<Value>::new(), "FUZZ_SEED={}", target.seed);
    // All that went to the dead letters is told of.
    let told = rows(&app, "select count(*) as n from rejected_item").await;
    assert_eq!(app.redis.command("XLEN q:ingest:dead"), format!(":{}", told[0]["n"]), "FUZZ_SEED={}", target.seed);
}

/// The highest that the resident memory of a process has been, in MiB.
pub(super) fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Web and worker, by their process ids.
pub(super) fn services(instance: &Instance) -> Vec<(u32, String)> {
    let is_service = |(_, line): &(u32, String)| line.contains("glitchbox\0web") || line.contains("glitchbox\0worker");
    let mut services: Vec<_> = instance.processes().into_iter().filter(is_service).collect();
    services.sort();
    services
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn a_million_damaged_requests_harm_neither_web_nor_worker_long() {
    let instance = tokio::task::spawn_blocking(Instance::started).await.unwrap();
    let target = Target::new(instance.address(), "1".to_owned(), instance.public_key(), LONG_ROUNDS);
    let (before, begun) = (services(&instance), Instant::now());
    assert_eq!(before.len(), 2, "{before:?}");
    let answers = target.run().await;
    println!("answered in {:?}: {answers:?}", begun.elapsed());
    let id = uuid::Uuid::new_v4().simple().to_string();
    let envelope = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"good\"}}\n");
    let path = format!("/api/1/envelope/?sentry_key={}", target.key);
    instance.client().post(&path, &[], envelope).await.expect(200);
    let stored = format!("select count(*) from event where event_id = '{id}'");
    let deadline = Instant::now() + Duration::from_hours(2);
    while instance.sql(&stored) != "1" {
        assert!(Instant::now() < deadline, "the next good event is not stored; FUZZ_SEED={}", target.seed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("stored after {:?}", begun.elapsed());
    assert_eq!(services(&instance), before, "nothing was restarted; FUZZ_SEED={}", target.seed);
    for (pid, line) in &before {
        let peak = peak_mib(*pid);
        println!("{}: {peak} MiB at most", line.replace('\0', " "));
        assert!(peak < 1024, "{line}: {peak} MiB");
    }
    assert_eq!(instance.sql(STRANGE), "", "FUZZ_SEED={}", target.seed);
    let log = instance.log();
    assert!(!log.contains("panicked"), "FUZZ_SEED={}:\n{log}", target.seed);
}
