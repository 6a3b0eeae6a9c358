//! A receiver of reports on this machine, which may be in a bad mood.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// What it does with one request.
#[derive(Debug, Clone)]
pub(super) enum Mood {
    /// This status and body.
    Answers(u16, &'static str),
    /// Nothing at all.
    Hangs,
}

/// What came in: the headers and the body of each request.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

/// Its moods in turn, then it takes everything.
pub(super) async fn receiver(moods: Vec<Mood>) -> (SocketAddr, Received) {
    let received = Received::default();
    let state = (received.clone(), Arc::new(Mutex::new(VecDeque::from(moods))));
    let router = Router::new().fallback(take).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
        }
    });
    (address, received)
}

type Moods = Arc<Mutex<VecDeque<Mood>>>;

async fn take(State((received, moods)): State<(Received, Moods)>, headers: HeaderMap, body: Bytes) -> Response {
    received.0.lock().unwrap().push((headers, body));
    let mood = moods.lock().unwrap().pop_front();
    match mood.unwrap_or(Mood::Answers(200, "{\"code\":0,\"msg\":\"success\"}")) {
        Mood::Answers(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            StatusCode::OK.into_response()
        }
    }
}

impl Received {
    /// Everything so far.
    pub(super) fn all(&self) -> Vec<(HeaderMap, Bytes)> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for the first request.
    pub(super) async fn first(&self) -> (HeaderMap, Bytes) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(first) = self.0.lock().unwrap().first() {
                return first.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "nothing was received");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
