//! Takes a request's body in, within the limit on what travels over the wire.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::reply::Refusal;

/// Largest body as sent, compressed or not.
pub(super) const MAX_WIRE_BYTES: usize = 20 * 1024 * 1024;

/// Of a body that is too large, so much more is read and thrown away: a client that is cut off while it
/// sends never reads the answer.
const MAX_DISCARDED_BYTES: usize = 100 * 1024 * 1024;

/// ... but not for longer than this.
const DISCARD_LIMIT: Duration = Duration::from_secs(10);

/// The whole body as sent.
pub(super) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_WIRE_BYTES) {
        // One that asks first is told now, and sends nothing.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large());
    }
    // Most bodies are one piece, which is kept as it is.
    let Some(first) = piece(&mut body).await? else { return Ok(Bytes::new()) };
    let Some(second) = piece(&mut body).await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(declared.unwrap_or(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(next) = piece(&mut body).await? {
        if whole.len() + next.len() > MAX_WIRE_BYTES {
            drop(whole);
            discard(body).await;
            return Err(too_large());
        }
        whole.extend_from_slice(&next);
    }
    Ok(whole.freeze())
}

async fn piece(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::bad_request("the request body could not be read", error))?;
        match frame.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // An empty piece, or trailers.
            _ => {}
        }
    }
    Ok(None)
}

async fn discard(mut body: Body) {
    let mut left = MAX_DISCARDED_BYTES;
    let reading = async {
        while let Ok(Some(data)) = piece(&mut body).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    if timeout(DISCARD_LIMIT, reading).await.is_err() {
        tracing::debug!("gave up on reading a body that is too large");
    }
}

fn too_large() -> Refusal {
    Refusal::too_large("the request body is too large", MAX_WIRE_BYTES)
}
