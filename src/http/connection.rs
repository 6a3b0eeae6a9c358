//! One client's connection, from its first request to its last.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::Service;

use super::allowed_hosts;
use super::client_info::ClientInfo;
use super::error::ApiError;
use super::server::Site;
use super::sub_path;
use super::timed_body::TimedBody;
use crate::shutdown::Shutdown;

/// A request's head must be complete this long after the connection, or the last answer.
const HEAD_LIMIT: Duration = Duration::from_secs(15);

/// Largest head of a request, and what is read ahead of a body.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// While draining, a connection without a request for this long is closed. Closing it at once would fail
/// the client that is just about to use it, and a client whose pause is exactly this long can still be unlucky: longer
/// than the pauses of busy clients, and short enough for a restart within 10 s.
const DRAIN_IDLE: Duration = Duration::from_secs(9);

/// Serves `stream` until the client leaves, or until `shutdown` and the rules for it end the connection.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, site: &Site, shutdown: &Shutdown) {
    let activity = Activity::default();
    let service = service_fn(|request: Request<Incoming>| {
        let activity = &activity;
        async move {
            let (busy, request_in_flight) = (activity.begin(), site.traffic.begin());
            let mut response = handle(request, peer, site).await;
            drop(busy);
            if shutdown.is_draining() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(request_in_flight.answered(response))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // An error here is the client's departure or a malformed request, which hyper has answered.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.draining() => {}
    }
    tokio::select! {
        // What has arrived in the last moment is read before the connection counts as idle.
        biased;
        _ = connection.as_mut() => return,
        () = activity.idle_for(DRAIN_IDLE) => {}
        () = shutdown.stopping() => {}
    }
    if activity.is_idle() && activity.is_unused() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ended = connection.await;
}

/// How many requests a connection has in hand, and how many it has had.
struct Activity {
    in_hand: watch::Sender<usize>,
    begun: AtomicUsize,
}

impl Default for Activity {
    fn default() -> Self {
        Self { in_hand: watch::Sender::new(0), begun: AtomicUsize::new(0) }
    }
}

struct Busy<'a>(&'a Activity);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.in_hand.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Activity {
    fn begin(&self) -> Busy<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_hand.send_modify(|count| *count += 1);
        Busy(self)
    }

    fn is_idle(&self) -> bool {
        *self.in_hand.borrow() == 0
    }

    fn is_unused(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }

    /// Completes when no request has been in hand for `span`.
    async fn idle_for(&self, span: Duration) {
        let mut changes = self.in_hand.subscribe();
        loop {
            if changes.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            if tokio::time::timeout(span, changes.changed()).await.is_err() {
                return;
            }
        }
    }
}

async fn handle(mut request: Request<Incoming>, peer: IpAddr, site: &Site) -> Response {
    collapse_slashes(request.uri_mut());
    sub_path::take_off(site.config.public_path(), request.uri_mut());
    let info = ClientInfo::resolve(peer, request.headers(), request.uri(), &site.config);
    let path = request.uri().path();
    let host_name = info.host_name();
    if !allowed_hosts::allows(&site.config, &host_name) && !allowed_hosts::is_exempt(path) {
        let detail = format!("Host `{host_name}` is not allowed: see GLITCHTIP_DOMAIN and ALLOWED_HOSTS");
        return ApiError::BadRequest(detail).into_response();
    }
    request.extensions_mut().insert(info);
    request.extensions_mut().insert(Arc::clone(&site.traffic));
    let request = request.map(|body| Body::new(TimedBody::new(body)));
    match AssertUnwindSafe(site.router.clone().call(request)).catch_unwind().await {
        Ok(Ok(response)) => sub_path::put_back(site.config.public_path(), response).await,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!("a request's handler panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `//api//7/envelope/` -> `/api/7/envelope/`: old clients join paths carelessly.
fn collapse_slashes(uri: &mut Uri) {
    if !uri.path().contains("//") {
        return;
    }
    let mut path = String::with_capacity(uri.path().len());
    for character in uri.path().chars() {
        if character != '/' || !path.ends_with('/') {
            path.push(character);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    if let Ok(collapsed) = path.parse() {
        *uri = collapsed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_slashes_collapse_in_the_path_only() {
        let mut uri = Uri::from_static("//api//7///envelope/?next=http://x");
        collapse_slashes(&mut uri);
        assert_eq!(uri, "/api/7/envelope/?next=http://x");
    }
}
