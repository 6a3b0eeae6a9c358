//! The accept loop: hyper owns the connections, axum only the routes, so that time limits, the number of
//! connections and the end of the process are in our hands.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::connection;
use super::traffic::Traffic;
use crate::config::Config;
use crate::shutdown::{DRAIN_LIMIT, STOP_LIMIT, Shutdown};

/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;

/// Pause after a failed accept, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is served: the routes, and the settings that decide about callers, and what is
/// counted.
pub(super) struct Site {
    pub(super) router: Router,
    pub(super) config: Arc<Config>,
    pub(super) traffic: Arc<Traffic>,
}

/// Serves `router` on `listener` until `shutdown`. Returns when every connection has ended, or the
/// time for that is over (2 s for a stop, 30 s for a drain). What passes is counted in `traffic`.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    config: Arc<Config>,
    traffic: Arc<Traffic>,
    shutdown: Shutdown,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let site = Arc::new(Site { router, config, traffic });
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some((stream, place)) = next_connection(&listener, &places, &shutdown).await {
        let (site, shutdown) = (Arc::clone(&site), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            if let Ok(peer) = stream.peer_addr() {
                // Answers are small and complete: waiting to fill a packet only delays them.
                let _still_works_without = stream.set_nodelay(true);
                connection::serve(stream, peer.ip(), &site, &shutdown).await;
            }
        });
    }
    drop(listener);
    connections.close();
    let limit = async {
        tokio::select! {
            () = tokio::time::sleep(DRAIN_LIMIT) => {}
            () = shutdown.stopping() => tokio::time::sleep(STOP_LIMIT).await,
        }
    };
    tokio::select! {
        () = connections.wait() => {}
        () = limit => {
            site.traffic.break_off();
            tracing::warn!(open = connections.len(), "connections cut off at the end of the time to stop");
        }
    }
    Ok(())
}

/// The next client, or `None` once nobody new is to be served.
async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &Shutdown,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let accepted = async {
            let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, place))
        };
        let result = tokio::select! {
            biased;
            () = shutdown.draining() => return None,
            result = accepted => result,
        };
        match result {
            Ok(connection) => return Some(connection),
            // The client gave up before we came to it.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
