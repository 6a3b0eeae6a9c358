//! What passed the public listener of this process, in numbers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;

/// Counts since the start of the process. Cheap enough for every request.
#[derive(Debug, Default)]
pub struct Traffic {
    served: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    max_latency_ms: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests answered, whatever the answer.
    pub served: u64,
    /// Answers of 500 and above, and requests we broke off at the end of the time to stop.
    pub failed: u64,
    /// Requests whose head has arrived and whose answer has not been handed over in full.
    pub in_flight: u64,
    /// The longest time from a request's head to its answer since the last look, in milliseconds: a slow upload counts
    /// with the time its client took.
    pub max_latency_ms: u64,
}

impl Traffic {
    /// The counts. The longest time begins anew with each look.
    pub fn look(&self) -> Counts {
        Counts { max_latency_ms: self.max_latency_ms.swap(0, Ordering::Relaxed), ..self.counts() }
    }

    /// The counts, for who is not the one that looks regularly: the longest time goes on.
    pub fn counts(&self) -> Counts {
        Counts {
            served: self.served.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            max_latency_ms: self.max_latency_ms.load(Ordering::Relaxed),
        }
    }

    /// Counts a request whose head has arrived.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { traffic: Arc::clone(self), begun: Instant::now() }
    }

    /// Counts what is in flight as failed: nobody will finish it.
    pub(super) fn break_off(&self) {
        self.failed.fetch_add(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// One request, in flight until this is dropped.
pub(super) struct InFlight {
    traffic: Arc<Traffic>,
    begun: Instant,
}

impl InFlight {
    /// Counts the answer, which is in flight until it has been handed over or the client has left.
    pub(super) fn answered(self, response: Response<Body>) -> Response<CountedBody> {
        let status: StatusCode = response.status();
        let latency = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.traffic.max_latency_ms.fetch_max(latency, Ordering::Relaxed);
        self.traffic.served.fetch_add(1, Ordering::Relaxed);
        if status.is_server_error() {
            self.traffic.failed.fetch_add(1, Ordering::Relaxed);
        }
        response.map(|body| CountedBody { body, _request: self })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body that keeps its request in flight.
pub(super) struct CountedBody {
    body: Body,
    _request: InFlight,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_and_leaves_when_it_has_been_handed_over() {
        let traffic = Arc::new(Traffic::default());
        let good = traffic.begin().answered(Response::new(Body::empty()));
        let mut bad = Response::new(Body::empty());
        *bad.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        drop(traffic.begin().answered(bad));
        // The client leaves before it is answered: nobody failed.
        drop(traffic.begin());
        let counts = traffic.look();
        assert_eq!((counts.served, counts.failed, counts.in_flight), (2, 1, 1));
        traffic.break_off();
        drop(good);
        let counts = traffic.look();
        assert_eq!((counts.served, counts.failed, counts.in_flight), (2, 2, 0));
    }

    #[test]
    fn the_longest_time_is_that_since_the_last_look() {
        let traffic = Arc::new(Traffic::default());
        let mut request = traffic.begin();
        request.begun -= std::time::Duration::from_millis(300);
        drop(request.answered(Response::new(Body::empty())));
        assert!(traffic.look().max_latency_ms >= 300);
        assert_eq!(traffic.look().max_latency_ms, 0);
    }
}
