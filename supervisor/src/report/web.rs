//! Asking web: by the public port as everybody does, and one generation of it by its private socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::app;

/// Longest answer read, in bytes.
const LONGEST: usize = 64 * 1024;

/// What one generation of web has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counts {
    pub(super) served: u64,
    pub(super) failed: u64,
    pub(super) in_flight: u64,
    /// Since the last look.
    pub(super) max_latency_ms: u64,
}

/// `GET /_health/` on the public port; the caller sets the time limit.
///
/// # Errors
/// What is wrong, in one line.
pub(super) async fn health(port: u16) -> Result<String, String> {
    let (status, body) = public(port, "/_health/").await?;
    let body = String::from_utf8_lossy(&body).trim().to_owned();
    if status == StatusCode::OK { Ok(body) } else { Err(format!("{} {body}", status.as_u16())) }
}

/// What web itself says of its parts, `database` or `redis`: `up` or `down`.
///
/// # Errors
/// What is wrong, in one line.
pub(super) async fn component(port: u16, name: &str) -> Result<String, String> {
    let (_, body) = public(port, "/readyz").await?;
    let parts: serde_json::Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    match parts.get(name).and_then(serde_json::Value::as_str) {
        Some("up") => Ok("web reaches it".to_owned()),
        Some(_) => Err("web cannot reach it".to_owned()),
        None => Err("web does not say".to_owned()),
    }
}

/// The counts of one generation, now.
///
/// # Errors
/// When that generation is not there or does not count.
pub(super) async fn counts(generation: u64) -> Result<Counts, String> {
    private(generation, "/status").await
}

/// The counts of one generation, as soon as its last request is over: only then is this answered.
///
/// # Errors
/// When that generation ends without a word.
pub(super) async fn last_counts(generation: u64) -> Result<Counts, String> {
    private(generation, "/status/last").await
}

async fn private(generation: u64, path: &str) -> Result<Counts, String> {
    let stream = UnixStream::connect(format!("run/{}", app::status_path("web", generation)))
        .await
        .map_err(|error| told(&error))?;
    let (status, body) = get(stream, path).await?;
    if status != StatusCode::OK {
        return Err(format!("{} for {path}", status.as_u16()));
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

async fn public(port: u16, path: &str) -> Result<(StatusCode, Bytes), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    get(TcpStream::connect(address).await.map_err(|error| told(&error))?, path).await
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<(StatusCode, Bytes), String> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").header("connection", "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let (head, body) = sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| error.to_string())?;
    Ok((head.status, body.to_bytes()))
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "nobody answers".to_owned(),
        _ => error.to_string(),
    }
}
