//! What is sent to do harm: each is refused or kept as far as it makes sense, in bounded time, and good events go on.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fuzz::{peak_mib, services};
use super::{envelope, eventually, rows, send};
use crate::appliance::Instance;
use crate::support::TestApp;

const MIB: usize = 1024 * 1024;

/// The longest that a good event may wait for its answer while harm is being done. Answers take a millisecond; this is a
/// program without optimisation on a machine that other tests share.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a good event, which must be answered in time; gives back its id.
async fn good(app: &TestApp) -> String {
    let begun = Instant::now();
    let reply = app.send_event(&json!({ "message": "good" })).await.expect(200);
    assert!(begun.elapsed() < PATIENCE, "a good event waited for {:?}", begun.elapsed());
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// Waits until a good event, sent after all else, is stored.
async fn goes_on(app: &TestApp) {
    let id = good(app).await;
    let query = format!("select 1 as stored from event where event_id = '{id}'");
    eventually(app, &query, &json!([{ "stored": 1 }])).await;
}

fn path(app: &TestApp, endpoint: &str) -> String {
    format!("/api/{}/{endpoint}/?sentry_key={}", app.project.id, app.key.public_key)
}

/// A megabyte of zeros as a piece of raw deflate that any number of the same may follow.
fn deflated_megabyte() -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * 1024);
    Compress::new(Compression::best(), false).compress_vec(&vec![0; MIB], &mut out, FlushCompress::Full).unwrap();
    out
}

/// The first piece of brotli, which begins the stream, and one that any number of the same may follow.
fn brotli_megabytes() -> (Vec<u8>, Vec<u8>) {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
    let mut ends = Vec::new();
    for _ in 0..3 {
        writer.write_all(&vec![0; MIB]).unwrap();
        writer.flush().unwrap();
        ends.push(writer.get_ref().len());
    }
    let bytes = writer.get_ref().clone();
    let (second, third) = (bytes[ends[0]..ends[1]].to_vec(), &bytes[ends[1]..ends[2]]);
    assert_eq!(second, third, "pieces repeat");
    (bytes[..ends[0]].to_vec(), second)
}

/// Bombs of 120 MiB, a few KiB on the wire.
fn bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![0; MIB]).unwrap();
    let (first, more) = brotli_megabytes();
    let zstd = zstd::encode_all(vec![0; 120 * MIB].as_slice(), 1).unwrap();
    let twice = zstd::encode_all(zstd.as_slice(), 1).unwrap();
    vec![
        ("gzip", "gzip", gzip.finish().unwrap().repeat(120)),
        ("deflate", "deflate", [b"\x78\x9c".as_slice(), &deflated_megabyte().repeat(120)].concat()),
        ("raw deflate", "deflate", deflated_megabyte().repeat(120)),
        ("br", "br", [first, more.repeat(119)].concat()),
        ("zstd", "zstd", zstd),
        ("zstd twice", "zstd, zstd", twice),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_of_every_encoding_are_413_and_delay_nobody() {
    let app = TestApp::start().await;
    let mut sent = Vec::new();
    for (name, encoding, body) in bombs() {
        assert!(body.len() < 200 * 1024, "{name}: {} bytes", body.len());
        let (client, path) = (app.client(), path(&app, if name == "br" { "store" } else { "envelope" }));
        sent.push(tokio::spawn(async move {
            let reply = client.post(&path, &[("content-encoding", encoding)], body).await;
            assert_eq!(reply.status, 413, "{name}: {}", reply.text());
        }));
    }
    let mut answered = 0;
    while answered < 20 || sent.iter().any(|bomb| !bomb.is_finished()) {
        good(&app).await;
        answered += 1;
    }
    for bomb in sent {
        bomb.await.unwrap();
    }
    goes_on(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_take_no_memory() {
    let instance = tokio::task::spawn_blocking(Instance::started).await.unwrap();
    let path = format!("/api/1/envelope/?sentry_key={}", instance.public_key());
    let web = services(&instance).into_iter().find(|(_, line)| line.contains("\0web")).unwrap().0;
    let before = peak_mib(web);
    let sent: Vec<_> = std::iter::repeat_with(bombs)
        .take(3)
        .flatten()
        .map(|(name, encoding, body)| {
            let (client, path) = (instance.client(), path.clone());
            tokio::spawn(async move {
                let reply = client.post(&path, &[("content-encoding", encoding)], body).await;
                assert_eq!(reply.status, 413, "{name}: {}", reply.text());
            })
        })
        .collect();
    for bomb in sent {
        bomb.await.unwrap();
    }
    let grown = peak_mib(web) - before;
    println!("18 bombs of 120 MiB: {grown} MiB");
    assert!(grown < 64, "18 bombs take {grown} MiB");
}

/// Sends a beginning and nothing more; gives back what comes until the server hangs up.
async fn dribble(app: &TestApp, beginning: String) -> String {
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    assert!(ended.is_ok(), "the connection is kept for more than 40 s");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_in_the_middle_are_cut_off_and_delay_nobody() {
    let app = TestApp::start().await;
    let path = path(&app, "envelope");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n");
    let beginnings = [
        ("within the head", head.clone()),
        ("within a small body", format!("{head}content-length: 100\r\n\r\n{{}}\n")),
        ("within a large body", format!("{head}content-length: 15000000\r\n\r\n{{}}\n")),
        ("within a chunk", format!("{head}transfer-encoding: chunked\r\n\r\n100\r\n{{}}\n")),
    ];
    let many = beginnings.iter().flat_map(|(name, beginning)| vec![(*name, beginning.clone()); 50]);
    let slow = futures_util::future::join_all(many.map(|(name, beginning)| {
        let app = &app;
        async move { (name, dribble(app, beginning).await) }
    }));
    let meanwhile = async {
        for _ in 0..50 {
            good(&app).await;
        }
    };
    let (answers, ()) = tokio::join!(slow, meanwhile);
    for (name, answer) in answers {
        let status = answer.split(' ').nth(1).unwrap_or("none");
        // Large ones beyond what memory there is for them do not get to their first piece.
        let wanted: &[&str] = match name {
            "within the head" => &["none", "408"],
            "within a large body" => &["400", "503"],
            _ => &["400"],
        };
        assert!(wanted.contains(&status), "{name}: {answer}");
    }
    goes_on(&app).await;
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let app = TestApp::start().await;
    let path = path(&app, "envelope");
    for (name, flood) in [
        ("a thousand headers", numbered(1000, "", &|number| format!("x-{number}: 1\r\n"))),
        ("a header of 100 KiB", format!("x: {}\r\n", "x".repeat(100 * 1024))),
        ("an address of 100 KiB", String::new()),
    ] {
        let long = if flood.is_empty() { format!("{path}&x={}", "x".repeat(100 * 1024)) } else { path.clone() };
        let answer =
            dribble(&app, format!("POST {long} HTTP/1.1\r\nhost: x\r\n{flood}content-length: 0\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(["400", "414", "431", "none"].contains(&status), "{name}: {answer}");
    }
    goes_on(&app).await;
}

/// So many of something.
fn numbered(count: usize, between: &str, one: &dyn Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(between)
}

/// Events that are too much of something, and still are events: all are stored.
fn events() -> Vec<(&'static str, String)> {
    let numbered = |count, one: &dyn Fn(usize) -> String| numbered(count, ",", one);
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let frame = |vars: &str| {
        format!("{{\"exception\":{{\"values\":[{{\"type\":\"E\",\"stacktrace\":{{\"frames\":[{vars}]}}}}]}}}}")
    };
    vec![
        ("100,000 tags", format!("{{\"tags\":{{{}}}}}", numbered(100_000, &|number| format!("\"{number:x}\":1")))),
        ("70,000 tags as pairs", format!("{{\"tags\":[{}]}}", numbered(70_000, &|number| format!("[\"{number}\",1]")))),
        ("a megabyte of locals", frame(&format!("{{\"vars\":{{{}}}}}", numbered(10_000, &|number| format!("\"{number}\":\"{}\"", "x".repeat(80)))))),
        ("a local of a megabyte", frame(&format!("{{\"vars\":{{\"a\":\"{}\"}}}}", "x".repeat(MIB - 200)))),
        ("50,000 frames", frame(&numbered(50_000, &|number| format!("{{\"lineno\":{number}}}")))),
        ("100,000 breadcrumbs", format!("{{\"breadcrumbs\":[{}]}}", numbered(100_000, &|_| "{}".to_owned()))),
        ("100,000 exceptions", format!("{{\"exception\":[{}]}}", numbered(100_000, &|_| "{}".to_owned()))),
        ("lists nested 100,000 deep", format!("{{\"extra\":{}}}", nested("[", "]", 100_000))),
        ("objects nested 100,000 deep", format!("{{\"extra\":{}}}", nested("{\"a\":", "}", 100_000))),
        ("lists that never end", format!("{{\"extra\":{}", "[".repeat(500_000))),
        ("gigantic integers", format!("{{\"timestamp\":{0},\"level\":{0},\"extra\":{{\"a\":{0},\"b\":-{0},\"c\":1e{0},\"d\":0.{0}}}}}", "9".repeat(100_000))),
        ("lone surrogates", r#"{"message":"\ud800 \udfff \udc00\ud800","tags":{"\ud83d":"\ude00"}}"#.to_owned()),
        ("NUL", "{\"message\":\"a\\u0000b\",\"tags\":{\"\\u0000\":\"\\u0000\"},\"user\":{\"id\":\"\\u0000\"},\"extra\":{\"a\\u0000\":\"\u{0}\"}}".to_owned()),
        ("a fingerprint of 100,000 parts", format!("{{\"message\":\"m\",\"fingerprint\":[{}]}}", numbered(100_000, &|_| "\"a\"".to_owned()))),
        ("a key of a megabyte", format!("{{\"{}\":1}}", "k".repeat(MIB - 100))),
        ("the same key 100,000 times", format!("{{{}}}", numbered(100_000, &|_| "\"tags\":1".to_owned()).replacen("1,", "{},", 1))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_of_anything_is_cut_and_the_event_is_stored() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (name, event) in events() {
        assert!(event.len() <= MIB, "{name}: {} bytes", event.len());
        let begun = Instant::now();
        let sent = format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len());
        let reply = send(&app, &path(&app, "envelope"), &[], sent).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert!(begun.elapsed() < PATIENCE, "{name} took {:?}", begun.elapsed());
        ids.push((name, reply.json()["id"].as_str().unwrap().to_owned()));
        good(&app).await;
    }
    goes_on(&app).await;
    let stored = rows(&app, "select replace(event_id::text, '-', '') as id from event").await;
    for (name, id) in ids {
        // One that never ends is no JSON, however kindly it is read: rejected, and its reason is told.
        let is_stored = stored.iter().any(|row| row["id"] == *id);
        assert_eq!(is_stored, name != "lists that never end", "{name}");
    }
    let locals = format!("{{}}\n{{\"type\":\"event\"}}\n{{\"vars\":\"{}\"}}\n", "x".repeat(10 * MIB));
    send(&app, &path(&app, "envelope"), &[], locals).await.expect(413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_made_to_cost_much_cost_little() {
    let app = TestApp::start().await;
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let many = |item: &str| format!("{{}}\n{}", item.repeat(100_000));
    let long = "x".repeat(10 * MIB);
    let pairs = numbered(100_000, "", &|number| format!("\"{number}\":{number},"));
    for (name, body, status) in [
        ("100,000 items of an unknown type", many("{\"type\":\"x\"}\n\n"), 200),
        ("100,000 events", many("{\"type\":\"event\"}\n{}\n"), 200),
        ("100,000 reports", many("{\"type\":\"raw_security\"}\n{}\n"), 200),
        ("100,000 client reports", many("{\"type\":\"client_report\"}\n{}\n"), 200),
        ("100,000 empty lines", format!("{{}}\n{}", "\n".repeat(100_000)), 200),
        ("a million new lines within white space", format!("{{}}\n{}{{\"type\":\"x\"}}", " \n".repeat(1_000_000)), 200),
        (
            "a header of an item of 10 MiB",
            format!("{{}}\n{{\"type\":\"attachment\",\"filename\":\"{long}\"}}\nx\n"),
            200,
        ),
        ("a type of 10 MiB", format!("{{}}\n{{\"type\":\"{long}\"}}\nx\n"), 200),
        ("an item's header of 100,000 keys", format!("{{}}\n{{{pairs}\"type\":\"event\"}}\n{{}}\n"), 200),
        ("an item's header nested deep", format!("{{}}\n{{\"type\":\"event\",\"a\":{nested}}}\n{{}}\n"), 200),
        ("a header nested deep", format!("{{\"a\":{nested}}}\n"), 200),
        ("a header that never ends", format!("{{\"a\":{}\n", "[".repeat(200_000)), 400),
        (
            "an item's header of 10 MiB of cut characters",
            format!("{{}}\n{{\"type\":\"x\",\"filename\":\"{}\"}}\n", "\\ud800".repeat(10 * MIB / 6)),
            200,
        ),
        ("a header of 10 MiB", envelope(&format!("{{\"dsn\":\"{long}\"}}")), 200),
        ("a length beyond all", "{}\n{\"type\":\"event\",\"length\":18446744073709551615}\n{}\n".to_owned(), 400),
        ("a length below none", "{}\n{\"type\":\"event\",\"length\":-1}\n{}\n".to_owned(), 400),
        ("a length of a fraction", "{}\n{\"type\":\"event\",\"length\":1e2}\n{}\n".to_owned(), 400),
        ("a count beyond all", "{}\n{\"type\":\"log\",\"item_count\":18446744073709551615}\n{}\n".to_owned(), 200),
        ("a time beyond all", envelope("{\"sent_at\":\"9999-12-31T23:59:59Z\"}"), 200),
        ("NUL in a header", envelope("{\"dsn\":\"\\u0000\",\"sdk\":\"\\u0000\"}"), 200),
        ("a lone surrogate in a header", envelope("{\"dsn\":\"\\ud800\"}"), 200),
    ] {
        let begun = Instant::now();
        let reply = send(&app, &path(&app, "envelope"), &[], body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        assert!(begun.elapsed() < 2 * PATIENCE, "{name} took {:?}", begun.elapsed());
        good(&app).await;
    }
    goes_on(&app).await;
}
