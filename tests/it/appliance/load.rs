//! Clients that send events in every way clients do, and never a second time.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// No client waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the requests.
#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    /// Event ids of all requests.
    pub(super) sent: BTreeSet<String>,
    /// Those answered with 200.
    pub(super) acknowledged: BTreeSet<String>,
    /// Everything else.
    pub(super) failures: Vec<Failure>,
    /// From when a request was due (an upload: when it was complete) to its 200.
    pub(super) latencies: Vec<Duration>,
}

/// A request that was not answered with 200.
#[derive(Clone)]
pub(super) struct Failure {
    kind: &'static str,
    /// An answer, or in words why there is none.
    pub(super) result: Result<Answer, String>,
    /// When it was due (an upload: when it began), and when its fate was known.
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.ended.duration_since(self.begun);
        match &self.result {
            Ok(answer) => write!(f, "{}: {} after {took:.1?}", self.kind, answer.status),
            Err(error) => write!(f, "{}: {error} after {took:.1?}", self.kind),
        }
    }
}

/// Clients that go on until they are told to end.
pub(super) struct Load {
    clients: JoinSet<Told>,
    end: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Target {
    address: SocketAddr,
    key: String,
    end: Arc<AtomicBool>,
}

impl Load {
    /// About 200 requests a second: 16 busy connections (8/s each), 40 with idle gaps of 1 to 8 s (about 9/s), 60 new
    /// connections a second, and 12 uploads that take two seconds each.
    pub(super) fn start(address: SocketAddr, key: &str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let target = Target { address, key: key.to_owned(), end: Arc::clone(&end) };
        let mut clients = JoinSet::new();
        for number in 0..16 {
            clients.spawn(keep_alive(target.clone(), number, [125, 125]));
        }
        for number in 0..40 {
            clients.spawn(keep_alive(target.clone(), number, [1_000, 8_000]));
        }
        for number in 0..4 {
            clients.spawn(new_connections(target.clone(), number, Duration::from_millis(66)));
        }
        for number in 0..12 {
            clients.spawn(slow_uploads(target.clone(), number));
        }
        Self { clients, end }
    }

    /// Lets every request end, and adds up.
    pub(super) async fn end(mut self) -> Told {
        self.end.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        while let Some(told) = self.clients.join_next().await {
            all.append(told.unwrap());
        }
        all
    }
}

/// Sends these events, each once, as fast as they are answered over so many kept connections.
pub(super) async fn burst(address: SocketAddr, key: &str, ids: &[String], connections: usize) -> Told {
    let target = Target { address, key: key.to_owned(), end: Arc::default() };
    let mut clients = JoinSet::new();
    for share in ids.chunks(ids.len().div_ceil(connections)) {
        let (target, share) = (target.clone(), share.to_vec());
        clients.spawn(async move {
            let (mut told, mut connection) = (Told::default(), None);
            for id in share {
                let due = Instant::now();
                let body = Target::body(&id);
                let result = over_kept(&mut connection, target.address, &target.path(), body).await;
                told.note("burst", id, due, result);
            }
            told
        });
    }
    let mut all = Told::default();
    while let Some(told) = clients.join_next().await {
        all.append(told.unwrap());
    }
    all
}

/// A new event's id.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Target {
    fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// An event and its path.
    fn event(&self) -> (String, String, String) {
        let id = new_id();
        let body = Self::body(&id);
        (id, body, self.path())
    }

    fn body(id: &str) -> String {
        format!(
            "{{\"event_id\":\"{id}\",\"platform\":\"other\",\"message\":\"under load\",\"fingerprint\":[\"load\"],\"extra\":{{\"a\":\"{}\"}}}}",
            "x".repeat(1_000)
        )
    }

    fn path(&self) -> String {
        format!("/api/1/store/?sentry_key={}&sentry_version=7", self.key)
    }
}

impl Told {
    /// Adds what other clients were told.
    pub(super) fn append(&mut self, mut other: Self) {
        self.sent.append(&mut other.sent);
        self.acknowledged.append(&mut other.acknowledged);
        self.failures.append(&mut other.failures);
        self.latencies.append(&mut other.latencies);
    }

    fn note(&mut self, kind: &'static str, id: String, begun: Instant, result: Result<Answer, String>) {
        let ended = Instant::now();
        self.sent.insert(id.clone());
        if result.as_ref().is_ok_and(|answer| answer.status == 200) {
            self.acknowledged.insert(id);
            self.latencies.push(ended.duration_since(begun));
        } else {
            self.failures.push(Failure { kind, result, begun, ended });
        }
    }

    /// The latency that `per_mille` of the acknowledged requests did not exceed.
    pub(super) fn percentile(&self, per_mille: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }
}

/// One connection for all requests, as long as the server keeps it; pauses between two requests from `gaps` ms.
async fn keep_alive(target: Target, number: u64, gaps: [u64; 2]) -> Told {
    let mut told = Told::default();
    let mut connection: Option<SendRequest<Full<Bytes>>> = None;
    let mut step = number;
    let mut due = Instant::now() + Duration::from_millis(number * 97 % gaps[1]);
    while !target.is_over() {
        // Short steps, so that the end of the load does not wait for the longest gap.
        if due > Instant::now() {
            sleep_until(due.min(Instant::now() + Duration::from_millis(250))).await;
            continue;
        }
        let (id, body, path) = target.event();
        let result = over_kept(&mut connection, target.address, &path, body).await;
        told.note("keep-alive", id, due, result);
        // From when this one was due: a server that lets us wait is asked the sooner then.
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        due += Duration::from_millis(gaps[0] + (step >> 33) % (gaps[1] - gaps[0] + 1));
    }
    told
}

type Kept = Option<SendRequest<Full<Bytes>>>;

async fn over_kept(kept: &mut Kept, address: SocketAddr, path: &str, body: String) -> Result<Answer, String> {
    let answer = timeout(PATIENCE, request(kept, address, path, body)).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
}

async fn request(connection: &mut Kept, address: SocketAddr, path: &str, body: String) -> Result<Answer, String> {
    let mut sender = if let Some(sender) = connection.take().filter(|sender| !sender.is_closed()) {
        sender
    } else {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender
    };
    sender.ready().await.map_err(|error| format!("ready: {error}"))?;
    let request = hyper::Request::post(path).header("host", address.to_string());
    let request = request.header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap();
    let reply = sender.send_request(request).await.map_err(|error| format!("send: {error:?}"))?;
    let (head, body) = reply.into_parts();
    body.collect().await.map_err(|error| format!("answer: {error:?}"))?;
    if head.headers.get("connection").is_none_or(|value| value != "close") {
        *connection = Some(sender);
    }
    let retry_after = head.headers.get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answer { status: head.status.as_u16(), retry_after })
}

async fn new_connections(target: Target, number: u64, pause: Duration) -> Told {
    let mut told = Told::default();
    let mut due = Instant::now() + pause * u32::try_from(number).unwrap() / 4;
    while !target.is_over() {
        sleep_until(due).await;
        let (id, body, path) = target.event();
        told.note("new connection", id, due, over_kept(&mut None, target.address, &path, body).await);
        due += pause;
    }
    told
}

/// The head at once, then the body in ten pieces.
async fn slow_uploads(target: Target, number: u64) -> Told {
    let mut told = Told::default();
    sleep(Duration::from_millis(number * 170)).await;
    while !target.is_over() {
        let (begun, (id, body, path)) = (Instant::now(), target.event());
        let (complete, result) = slow_upload(begun, target.address, &path, body.as_bytes()).await;
        let was_answered = result.as_ref().is_ok_and(|answer| answer.status == 200);
        told.note("slow upload", id, if was_answered { complete } else { begun }, result);
        // Where nobody listens, the next one would begin at once.
        if complete == begun {
            sleep(Duration::from_secs(1)).await;
        }
    }
    told
}

/// When the body was complete (or begun, if it never was), and what was answered.
async fn slow_upload(
    begun: Instant,
    address: SocketAddr,
    path: &str,
    body: &[u8],
) -> (Instant, Result<Answer, String>) {
    let mut since = begun;
    let answer = timeout(PATIENCE, upload(address, path, body, &mut since)).await;
    let answer = answer.unwrap_or_else(|_| Err(std::io::Error::other(format!("no answer within {PATIENCE:?}"))));
    (since, answer.map_err(|error| error.to_string()))
}

async fn upload(address: SocketAddr, path: &str, body: &[u8], complete: &mut Instant) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    for piece in body.chunks(body.len().div_ceil(10)) {
        stream.write_all(piece).await?;
        sleep(Duration::from_millis(200)).await;
    }
    *complete = Instant::now();
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {text:?}")))?;
    let retry_after = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("retry-after").then(|| value.to_owned())
    });
    Ok(Answer { status, retry_after })
}
