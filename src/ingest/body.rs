//! Takes a request's body in, within the limit on what travels over the wire.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::reply::Refusal;

/// Of a body that is too large, so much more is read and thrown away: a client that is cut off while it
/// sends never reads the answer.
const MAX_DISCARDED_BYTES: usize = 100 * 1024 * 1024;

/// ... but not for longer than this.
const DISCARD_LIMIT: Duration = Duration::from_secs(10);

/// A body of up to this many bytes is taken in at once; a larger one needs room.
const SMALL_BYTES: usize = 64 * 1024;

/// KiB that all larger bodies may take together.
const ROOM_KIB: usize = 256 * 1024;

static ROOM: Semaphore = Semaphore::const_new(ROOM_KIB);

/// How long a larger body waits for room.
const ROOM_LIMIT: Duration = Duration::from_secs(10);

/// Held as long as a larger body is in use.
pub(super) type Room = SemaphorePermit<'static>;

/// True when the body says that it is large. One that does not say its length may be small.
pub(super) fn is_large(headers: &HeaderMap) -> bool {
    declared_length(headers).is_some_and(|length| length > SMALL_BYTES)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
}

/// Refuses a request whose body has not been read.
pub(super) async fn refuse(headers: &HeaderMap, body: Body, refusal: Refusal) -> Refusal {
    // One that asks before it sends is told now, and sends nothing.
    if !headers.contains_key(header::EXPECT) {
        discard(body).await;
    }
    refusal
}

/// The whole body as sent, at most `limit` bytes of it; keep the room until it is done with.
pub(super) async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<(Bytes, Option<Room>), Refusal> {
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limit) {
        return Err(refuse(headers, body, too_large(limit)).await);
    }
    let mut room = match declared {
        Some(length) if length > SMALL_BYTES => Some(make_room(length).await?),
        _ => None,
    };
    // Most bodies are one piece, which is kept as it is.
    let Some(first) = piece(&mut body).await? else { return Ok((Bytes::new(), room)) };
    let Some(second) = piece(&mut body).await? else { return Ok((first, room)) };
    let mut whole = BytesMut::with_capacity(declared.unwrap_or(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(next) = piece(&mut body).await? {
        if room.is_none() && whole.len() + next.len() > SMALL_BYTES {
            // It does not say how large it will be.
            room = Some(make_room(limit).await?);
        }
        if whole.len() + next.len() > limit {
            drop((whole, room));
            discard(body).await;
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&next);
    }
    Ok((whole.freeze(), room))
}

/// Bounds the memory of all bodies together: nobody makes us keep more than that, slow as they may send.
async fn make_room(bytes: usize) -> Result<Room, Refusal> {
    let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
    match timeout(ROOM_LIMIT, ROOM.acquire_many(kib)).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_)) | Err(_) => Err(Refusal::unavailable("too many large requests at the moment")),
    }
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

fn too_large(limit: usize) -> Refusal {
    Refusal::too_large("the request body is too large", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 20 * 1024 * 1024;

    #[tokio::test]
    async fn a_large_body_takes_room_until_it_is_done_with() {
        let declared = |length: usize| HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())]);
        let (bytes, room) = read(&declared(10), Body::from(vec![b'x'; 10]), LIMIT).await.unwrap();
        assert!(room.is_none() && bytes.len() == 10);
        let size = 3 * 1024 * 1024;
        let (_, room) = read(&declared(size), Body::from(vec![b'x'; size]), LIMIT).await.unwrap();
        assert_eq!(room.as_ref().map(SemaphorePermit::num_permits), Some(3 * 1024));
        assert!(ROOM.available_permits() <= ROOM_KIB - 3 * 1024);
        // One that does not say its size takes the most.
        let pieces = futures_util::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(vec![b'x'; SMALL_BYTES])));
        let (bytes, room) = read(&HeaderMap::new(), Body::from_stream(pieces), LIMIT).await.unwrap();
        assert_eq!(room.as_ref().map(SemaphorePermit::num_permits), Some(LIMIT / 1024));
        assert_eq!(bytes.len(), 3 * SMALL_BYTES);
    }
}
