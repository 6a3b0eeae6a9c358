//! A request body that may not stall: a client that stops sending is cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest pause between two pieces of a body.
const FRAME_LIMIT: Duration = Duration::from_secs(20);

/// Longest time for a whole body: 20 MiB at about 1 Mbit/s.
const TOTAL_LIMIT: Duration = Duration::from_mins(3);

/// A body whose reads time out.
pub(super) struct TimedBody {
    inner: Incoming,
    started: Instant,
    // Made only when a read has to wait: most bodies arrive with their head.
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming) -> Self {
        Self { inner, started: Instant::now(), timer: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|result| result.map_err(Into::into)));
        }
        let deadline = (Instant::now() + FRAME_LIMIT).min(self.started + TOTAL_LIMIT);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        let stalled = io::Error::new(io::ErrorKind::TimedOut, "the request's body did not arrive in time");
        Poll::Ready(Some(Err(stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
