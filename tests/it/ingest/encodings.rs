//! A.6 of the protocol, row by row: every content encoding, with and without a length, by every wrapping.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Write;
use tokio::net::TcpStream;

use super::{ID, envelope, send, zlib};
use crate::support::TestApp;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*plain, &mut out, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    out
}

/// What the row is called, its header (none: no header), and how a body becomes what is sent.
type Row = (&'static str, Option<&'static str>, fn(&[u8]) -> Vec<u8>);

const ROWS: &[Row] = &[
    ("absent", None, <[u8]>::to_vec),
    ("empty string", Some(""), <[u8]>::to_vec),
    ("identity", Some("identity"), <[u8]>::to_vec),
    ("gzip", Some("gzip"), gzip),
    ("x-gzip", Some("x-gzip"), gzip),
    ("GZip, in any case", Some("GZip"), gzip),
    ("gzip of several members", Some("gzip"), |plain| {
        let (one, other) = plain.split_at(plain.len() / 2);
        [gzip(one), gzip(other)].concat()
    }),
    ("br", Some("br"), brotli),
    ("deflate, zlib-wrapped", Some("deflate"), zlib),
    ("deflate, raw", Some("deflate"), raw_deflate),
    ("zstd", Some("zstd"), |plain| zstd::encode_all(plain, 1).unwrap()),
    ("two, the last one outermost", Some("deflate, gzip"), |plain| gzip(&zlib(plain))),
];

/// The status of a request whose body comes in pieces without a length.
async fn chunked(app: &TestApp, path: &str, encoding: Option<&str>, body: &[u8]) -> u16 {
    let stream = TcpStream::connect(app.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = hyper::Request::post(path).header("host", app.address().to_string());
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let pieces: Vec<_> =
        body.chunks(7).map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    sender.send_request(request.body(body).unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_encoding_is_undone_with_a_length_and_in_chunks() {
    let app = TestApp::start().await;
    let (project, key) = (app.project.id, &app.key.public_key);
    let event = "{\"message\":\"hello\"}".to_owned();
    for (name, encoding, encode) in ROWS {
        let headers: Vec<(&str, &str)> = encoding.iter().map(|value| ("content-encoding", *value)).collect();
        for (endpoint, body) in
            [("envelope", envelope(&format!("{{\"event_id\":\"{ID}\"}}"))), ("store", event.clone())]
        {
            let (path, sent) = (format!("/api/{project}/{endpoint}/?sentry_key={key}"), encode(body.as_bytes()));
            assert_eq!(send(&app, &path, &headers, sent.clone()).await.status, 200, "{name} to {endpoint}");
            assert_eq!(chunked(&app, &path, *encoding, &sent).await, 200, "{name} to {endpoint} in chunks");
        }
    }
    assert_eq!(app.queued_events().await, ROWS.len() * 4);
}

#[tokio::test]
async fn what_is_corrupt_is_400_and_what_is_unknown_415_with_a_length_and_in_chunks() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/envelope/?sentry_key={}", app.project.id, app.key.public_key);
    let plain = envelope("{}");
    for (name, encoding, encode) in ROWS.iter().filter(|(_, encoding, _)| encoding.is_some_and(|name| name.len() > 1)) {
        let mut cut = encode(plain.repeat(20).as_bytes());
        cut.truncate(cut.len() * 2 / 3);
        let (cut, what) = if *name == "identity" { (vec![b'{'; 9], "malformed") } else { (cut, "cut short") };
        let encoding = encoding.unwrap();
        assert_eq!(
            send(&app, &path, &[("content-encoding", encoding)], cut.clone()).await.status,
            400,
            "{name} {what}"
        );
        assert_eq!(chunked(&app, &path, Some(encoding), &cut).await, 400, "{name} {what} in chunks");
    }
    for unknown in ["compress", "lzma", "gzip, gzip, gzip", "aes128gcm", "gzip;q=1"] {
        let reply = send(&app, &path, &[("content-encoding", unknown)], plain.clone()).await.expect(415);
        assert_eq!(reply.header("x-sentry-error"), reply.json()["detail"]);
        assert_eq!(chunked(&app, &path, Some(unknown), plain.as_bytes()).await, 415, "{unknown} in chunks");
    }
    assert_eq!(app.queued_events().await, 0);
}

#[tokio::test]
async fn a_stored_event_is_unwrapped_whatever_it_is_wrapped_in() {
    let app = TestApp::start().await;
    let path = format!("/api/{}/store/?sentry_key={}", app.project.id, app.key.public_key);
    let event = "{\"message\":\"hello\"}";
    for (name, body) in [
        ("json", event.as_bytes().to_vec()),
        ("json behind white space", format!(" \r\n{event}\n").into_bytes()),
        ("base64(json)", STANDARD.encode(event).into_bytes()),
        ("base64(zlib(json))", STANDARD.encode(zlib(event.as_bytes())).into_bytes()),
    ] {
        for (encoding, packed) in [("", body.clone()), ("gzip", gzip(&body)), ("br", brotli(&body))] {
            let reply = send(&app, &path, &[("content-encoding", encoding)], packed).await;
            assert_eq!(reply.status, 200, "{name} in {encoding:?}: {}", reply.text());
        }
    }
    for (name, body) in [
        ("nothing", Vec::new()),
        ("neither", b"<html>".to_vec()),
        ("base64 of neither", STANDARD.encode("<html>").into_bytes()),
        ("base64(zlib(a list))", STANDARD.encode(zlib(b"[]")).into_bytes()),
        ("base64(a bomb)", STANDARD.encode(zlib(&vec![b' '; 1024 * 1024 + 1])).into_bytes()),
    ] {
        let status = if name.contains("bomb") { 413 } else { 400 };
        assert_eq!(send(&app, &path, &[], body).await.status, status, "{name}");
    }
    assert_eq!(app.queued_events().await, 12);
}
