//! Requests that real SDKs sent, once more to us, with our own key and project in place of theirs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{send, stored, zlib};
use crate::support::{Reply, TestApp};

/// The key in all captures.
const CAPTURED_KEY: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9f";

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// `bytes` with our key, which is as long as theirs.
fn with_our_key(app: &TestApp, mut bytes: Vec<u8>) -> Vec<u8> {
    let key = app.key.public_key.as_bytes();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(CAPTURED_KEY.as_bytes())).collect();
    for at in places {
        bytes[at..at + key.len()].copy_from_slice(key);
    }
    bytes
}

/// A request whose head was kept, as it was but for the project.
async fn replay(app: &TestApp, request: Vec<u8>) -> Reply {
    let request = with_our_key(app, request);
    let end = request.windows(2).position(|window| window == b"\n\n").unwrap();
    let head = std::str::from_utf8(&request[..end]).unwrap();
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap();
    let (_, endpoint) = path.strip_prefix("/api/").unwrap().split_once('/').unwrap();
    let headers: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()))
        .collect();
    send(app, &format!("/api/{}/{endpoint}", app.project.id), &headers, request[end + 2..].to_vec()).await
}

/// A body that was kept unpacked, packed as its client packs it.
async fn resend(app: &TestApp, is_raven: bool, body: Vec<u8>) -> Reply {
    let auth = format!("Sentry sentry_key={}, sentry_version=7, sentry_client=x/1", app.key.public_key);
    let body = with_our_key(app, body);
    if is_raven {
        let path = format!("/api/{}/store/", app.project.id);
        let headers = [("x-sentry-auth", auth.as_str()), ("content-encoding", "deflate")];
        return send(app, &path, &headers, zlib(&body)).await;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&body).unwrap();
    let path = format!("/api/{}/envelope/", app.project.id);
    let headers = [
        ("x-sentry-auth", auth.as_str()),
        ("content-type", "application/x-sentry-envelope"),
        ("content-encoding", "gzip"),
    ];
    send(app, &path, &headers, gzip.finish().unwrap()).await
}

#[tokio::test]
async fn every_captured_event_is_accepted_and_stored_under_the_id_that_is_told() {
    let app = TestApp::start().await;
    let mut told = Vec::new();
    for file in captures() {
        let (name, bytes) = (file.file_name().unwrap().to_str().unwrap(), fs::read(&file).unwrap());
        let reply = if name.contains(".http") {
            replay(&app, bytes).await
        } else {
            resend(&app, name.starts_with("raven"), bytes).await
        };
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        told.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let mut found: Vec<String> = stored(&app).await.iter().map(|stored| stored.event_id.to_string()).collect();
    told.sort();
    found.sort();
    assert_eq!(found, told);
}
