//! The private socket of web: the numbers of exactly this process, to the end of its last request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glitchbox::cli::web_routes;
use glitchbox::http::status_socket::StatusSocket;
use glitchbox::http::{Traffic, health, server};
use glitchbox::shutdown::Shutdown;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{Client, TestApp};

async fn ask(socket: &Path, path: &str) -> (u16, Bytes) {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", "web").body(Empty::<Bytes>::new()).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    (head.status.as_u16(), body.collect().await.unwrap().to_bytes())
}

async fn numbers(socket: &Path, path: &str) -> Value {
    let (status, body) = ask(socket, path).await;
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_process_tells_its_numbers_until_its_last_request_is_over() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("web.1.status");
    std::fs::write(&socket, "left behind").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (traffic, shutdown) = (Arc::new(Traffic::default()), Shutdown::new());
    let health = health::router().with_state(Arc::clone(&app.app));
    let status = StatusSocket::open(&socket, Arc::clone(&traffic), health).unwrap();
    let routes = web_routes(Arc::clone(&app.edge)).with_state(Arc::clone(&app.app));
    let config = Arc::new(app.app.config.clone());
    let serving = tokio::spawn(server::serve(listener, routes, config, traffic, shutdown.clone()));

    Client::new(address).get("/livez").await.expect(200);
    Client::new(address).get("/no/such/page").await.expect(404);
    assert_eq!(ask(&socket, "/_health/").await, (200, Bytes::from_static(b"ok")));
    let counts = numbers(&socket, "/status").await;
    assert_eq!((&counts["served"], &counts["failed"], &counts["in_flight"]), (&2.into(), &0.into(), &0.into()));

    // A slow upload is under way when the process is told to drain.
    let mut upload = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/1/store/?sentry_key={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{",
        app.key.public_key
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while numbers(&socket, "/status").await["in_flight"] != 1 {
        assert!(tokio::time::Instant::now() < deadline, "the upload is not seen");
    }
    shutdown.drain();
    let last = tokio::spawn({
        let socket = socket.clone();
        async move { numbers(&socket, "/status/last").await }
    });
    assert_eq!(ask(&socket, "/_health/").await.0, 200, "still there while draining");
    assert!(!last.is_finished());
    upload.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    serving.await.unwrap().unwrap();
    status.close().await;
    let last = last.await.unwrap();
    assert_eq!((&last["served"], &last["failed"], &last["in_flight"]), (&3.into(), &0.into(), &0.into()));
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_cut_off_at_the_end_of_the_time_to_stop_counts_as_failed() {
    let app = TestApp::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (traffic, shutdown) = (Arc::new(Traffic::default()), Shutdown::new());
    let routes = web_routes(Arc::clone(&app.edge)).with_state(Arc::clone(&app.app));
    let config = Arc::new(app.app.config.clone());
    let serving = tokio::spawn(server::serve(listener, routes, config, Arc::clone(&traffic), shutdown.clone()));
    let mut upload = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/1/store/?sentry_key={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{",
        app.key.public_key
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while traffic.look().in_flight != 1 {
        assert!(tokio::time::Instant::now() < deadline, "the upload is not seen");
        tokio::task::yield_now().await;
    }
    shutdown.stop();
    serving.await.unwrap().unwrap();
    let counts = traffic.look();
    assert_eq!((counts.served, counts.failed), (0, 1));
}
