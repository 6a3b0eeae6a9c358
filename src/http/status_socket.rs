//! The private socket of one web process: whoever started it can ask exactly this one, while others of its kind share
//! the public listener, and while it drains and accepts nobody there.
//!
//! ```text
//! GET /_health/      as on the public listener
//! GET /status        {"served", "failed", "in_flight", "max_latency_ms"}
//! GET /status/last   the same, answered when the last public request is over
//! ```

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::traffic::{Counts, Traffic};

/// A request's head must be complete within this time.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Pause after a failed accept, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time to hand over the last answers.
const FAREWELL: Duration = Duration::from_millis(500);

/// The socket, open until it is told that everything is over. Dropping it removes the file.
#[derive(Debug)]
pub struct StatusSocket {
    path: PathBuf,
    over: CancellationToken,
    connections: TaskTracker,
}

#[derive(Clone)]
struct Desk {
    traffic: Arc<Traffic>,
    over: CancellationToken,
}

impl StatusSocket {
    /// Listens on `path` (relative to the working directory), in the place of whatever lies there; only this
    /// process's user may connect. `health` answers `/_health/`.
    pub fn open(path: &Path, traffic: Arc<Traffic>, health: Router) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let over = CancellationToken::new();
        let desk = Desk { traffic, over: over.clone() };
        let routes = Router::new().route("/status", get(now)).route("/status/last", get(last)).with_state(desk);
        let connections = TaskTracker::new();
        tokio::spawn(accept(listener, routes.merge(health), over.clone(), connections.clone()));
        Ok(Self { path: path.to_owned(), over, connections })
    }

    /// The last public request is over: answers those who waited for that, and ends.
    pub async fn close(self) {
        self.over.cancel();
        self.connections.close();
        let _whoever_still_reads_is_late = tokio::time::timeout(FAREWELL, self.connections.wait()).await;
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, routes: Router, over: CancellationToken, connections: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = over.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, routes.clone(), over.clone()))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the status socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, routes: Router, over: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = over.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

async fn now(State(desk): State<Desk>) -> Json<Counts> {
    Json(desk.traffic.look())
}

async fn last(State(desk): State<Desk>) -> Json<Counts> {
    desk.over.cancelled().await;
    Json(desk.traffic.look())
}
