//! A receiver of webhooks that keeps what it is sent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Listens on a port of 127.0.0.1 until it is dropped. The path says how it answers: `/ok` 200 with `{"code":0}`,
/// `/refuse` 200 with another code, `/500`, `/redirect` to `/ok`, and `/hang` never; the others as the service of that
/// name does (see [`answer_of_service`]).
pub(crate) struct WebhookSink {
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    /// Without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl WebhookSink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posts);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| answer(request, Arc::clone(&kept)));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { port, posts, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn posts(&self, path: &str) -> Vec<Post> {
        self.posts.lock().unwrap().iter().filter(|post| post.path == path).cloned().collect()
    }

    /// The requests to this path, once there are so many.
    pub(crate) async fn wait_for(&self, path: &str, count: usize) -> Vec<Post> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.posts(path).len() < count {
            assert!(Instant::now() < deadline, "{count} requests to {path} wanted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.posts(path)
    }
}

impl Drop for WebhookSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Post {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn answer(request: Request<Incoming>, kept: Arc<Mutex<Vec<Post>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_first = !kept.lock().unwrap().iter().any(|post| post.path == path);
    let is_odd = body.windows(6).any(|part| part == b"Poison");
    kept.lock().unwrap().push(Post { path: path.clone(), query, headers: head.headers, body });
    let reply = Response::builder();
    let reply = match path.as_str() {
        "/refuse" => reply.body(Full::from(r#"{"code":19021,"msg":"sign match fail"}"#)),
        "/500" => reply.status(500).body(Full::default()),
        "/redirect" => reply.status(302).header("location", "/redirected").body(Full::default()),
        "/hang" => std::future::pending().await,
        "/discord/picky" if is_odd => {
            reply.status(400).body(Full::from(r#"{"message":"Invalid Form Body","code":50035}"#))
        }
        path => return Ok(answer_of_service(path, is_first)),
    };
    Ok(reply.unwrap())
}

/// What the services answer: `/dingtalk`, `/wecom`, `/discord`, `/teams`, `/bot1:x/sendMessage` (Telegram) and `/` (ntfy)
/// take it; `/discord/picky` takes no `Poison`; `/dingtalk/fast` and `/wecom/key` say no with 200, and `/discord/fast` the first time with 429.
fn answer_of_service(path: &str, is_first: bool) -> Response<Full<Bytes>> {
    let (status, body) = match path {
        "/dingtalk" | "/wecom" => (200, r#"{"errcode":0,"errmsg":"ok"}"#),
        "/dingtalk/fast" => (200, r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#),
        "/wecom/key" => (200, r#"{"errcode":93000,"errmsg":"invalid webhook url, hint: [1]"}"#),
        "/discord/fast" if is_first => {
            (429, r#"{"message":"You are being rate limited.","retry_after":7.5,"global":false}"#)
        }
        "/discord" | "/discord/fast" => (200, r#"{"id":"1"}"#),
        "/teams" => (202, ""),
        "/bot1:x/sendMessage" => (200, r#"{"ok":true,"result":{"message_id":1}}"#),
        "/" => (200, r#"{"id":"x","event":"message"}"#),
        _ => (200, r#"{"code":0}"#),
    };
    let reply = Response::builder().status(status);
    // In whole seconds, as its header is: the body is more exact.
    let reply = if status == 429 { reply.header("retry-after", "8") } else { reply };
    reply.body(Full::from(body)).unwrap()
}
