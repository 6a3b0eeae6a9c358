//! Clients that send events in every way clients do, and never a second time.

use std::collections::BTreeSet;
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
use tokio::time::{Instant, sleep, sleep_until};

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Event ids answered with 200.
    pub(super) acknowledged: BTreeSet<String>,
    /// Everything else, in words.
    pub(super) failures: Vec<String>,
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
            let mut told = told.unwrap();
            all.acknowledged.append(&mut told.acknowledged);
            all.failures.append(&mut told.failures);
        }
        all
    }
}

impl Target {
    fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// An event and its path.
    fn event(&self) -> (String, String, String) {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let body = format!(
            "{{\"event_id\":\"{id}\",\"platform\":\"other\",\"message\":\"under load\",\"fingerprint\":[\"load\"],\"extra\":{{\"a\":\"{}\"}}}}",
            "x".repeat(1_000)
        );
        (id, body, format!("/api/1/store/?sentry_key={}&sentry_version=7", self.key))
    }
}

impl Told {
    fn note(&mut self, kind: &str, id: String, result: Result<u16, String>) {
        match result {
            Ok(200) => drop(self.acknowledged.insert(id)),
            Ok(status) => self.failures.push(format!("{kind}: {status}")),
            Err(error) => self.failures.push(format!("{kind}: {error}")),
        }
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
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        due = Instant::now() + Duration::from_millis(gaps[0] + (step >> 33) % (gaps[1] - gaps[0] + 1));
        let (id, body, path) = target.event();
        let result = over_kept(&mut connection, target.address, &path, body).await;
        told.note("keep-alive", id, result);
    }
    told
}

async fn over_kept(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    address: SocketAddr,
    path: &str,
    body: String,
) -> Result<u16, String> {
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
    Ok(head.status.as_u16())
}

async fn new_connections(target: Target, number: u64, pause: Duration) -> Told {
    let mut told = Told::default();
    let mut due = Instant::now() + pause * u32::try_from(number).unwrap() / 4;
    while !target.is_over() {
        sleep_until(due).await;
        due += pause;
        let (id, body, path) = target.event();
        told.note("new connection", id, over_kept(&mut None, target.address, &path, body).await);
    }
    told
}

/// The head at once, then the body in ten pieces.
async fn slow_uploads(target: Target, number: u64) -> Told {
    let mut told = Told::default();
    sleep(Duration::from_millis(number * 170)).await;
    while !target.is_over() {
        let (id, body, path) = target.event();
        let result = upload(target.address, &path, body.as_bytes()).await.map_err(|error| error.to_string());
        told.note("slow upload", id, result);
    }
    told
}

async fn upload(address: SocketAddr, path: &str, body: &[u8]) -> std::io::Result<u16> {
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
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("no answer: {answer:?}")))
}
