//! Answers that go on for as long as there is news.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::TaskLine;
use crate::log::Follow;
use crate::task::News;

/// The news of a task as they come. It goes on when the reader has gone.
pub(super) struct Progress {
    pub(super) news: mpsc::Receiver<News>,
}

impl hyper::body::Body for Progress {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.news.poll_recv(context).map(|news| {
            let line = match news? {
                News::Progress(progress) => TaskLine::Progress { progress },
                News::End(outcome) => TaskLine::End(outcome),
            };
            let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
            bytes.push(b'\n');
            Some(Ok(Frame::data(bytes.into())))
        })
    }
}

/// Lines as they come. When the reader goes this is dropped, and with it its end of the log.
pub(super) struct Lines {
    pub(super) first: Option<String>,
    pub(super) next: Next,
}

/// Where they come from.
pub(super) enum Next {
    /// One at a time, without its end.
    Events(mpsc::Receiver<Arc<str>>),
    /// Several at a time, each with its end.
    Log(Follow),
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        match &mut self.next {
            Next::Events(next) => {
                next.poll_recv(context).map(|line| Some(Ok(Frame::data(format!("{}\n", line?).into()))))
            }
            Next::Log(next) => {
                next.poll_next(context).map(|run| Some(Ok(Frame::data(Bytes::copy_from_slice(run?.as_bytes())))))
            }
        }
    }
}
