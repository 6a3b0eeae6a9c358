//! The load generator of `scripts/bench`: what it says of a server can be believed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ack_log::{AckLog, Told};
use corpus::Corpus;
use generator::{Answers, Clients, Load};

#[allow(dead_code, reason = "the benchmark uses all of it")]
#[path = "../../benches/load/ack_log.rs"]
mod ack_log;
#[path = "../../benches/load/books.rs"]
pub(crate) mod books;
#[allow(dead_code, reason = "the benchmark uses all of it")]
#[path = "../../benches/load/corpus.rs"]
mod corpus;
#[allow(dead_code, reason = "the benchmark uses all of it")]
#[path = "../../benches/load/generator.rs"]
mod generator;

/// What a server does with a request.
enum Deed {
    Answer(&'static str),
    AnswerAfter(Duration),
    Close,
}

/// A server of one thread for each connection, and what it has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

#[test]
fn a_stall_shows_in_every_request_it_delays() {
    // The 100th request is answered late, and so is whatever comes meanwhile.
    let stall = Duration::from_secs(1);
    let (address, seen) = serve(move |number| match number {
        100..104 => Deed::AnswerAfter(stall),
        _ => Deed::Answer("200 OK"),
    });
    let answers = send(address, 400, Some(200), Clients::kept(4), None);
    assert_eq!((answers.accepted, seen.requests.load(Ordering::Relaxed)), (400, 400));
    // 200 requests were due within the stall, and they waited half of it on average.
    assert!(answers.percentile(9_900) >= 900.0, "{}", answers.summary());
    assert!(answers.percentile(7_000) >= 200.0, "{}", answers.summary());

    // As fast as it is answered, only those four know.
    let (address, _) = serve(move |number| match number {
        100..104 => Deed::AnswerAfter(stall),
        _ => Deed::Answer("200 OK"),
    });
    let answers = send(address, 800, None, Clients::kept(4), None);
    assert!(answers.percentile(9_900) < 900.0 && answers.percentile(10_000) >= 900.0, "{}", answers.summary());
}

#[test]
fn nothing_is_sent_twice_and_each_answer_is_in_the_log() {
    let (address, seen) = serve(|number| match number % 10 {
        3 => Deed::Close,
        5 => Deed::Answer("429 Too Many Requests"),
        _ => Deed::Answer("200 OK"),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = AckLog::open(&path).unwrap();
    let answers = send(address, 200, Some(1_000), Clients::kept(5), Some(&log));
    assert_eq!(seen.requests.load(Ordering::Relaxed), 200);
    assert_eq!((answers.accepted, answers.refused.len()), (160, 40));
    let (text, mut told) = (std::fs::read_to_string(&path).unwrap(), Told::default());
    told.read(&path).unwrap();
    let account = told.account();
    assert_eq!((account.requests, account.receptions), (200, 160));
    assert_eq!((account.sent.len(), account.acknowledged.len()), (200, 160));
    assert_eq!(text.lines().filter(|line| line.ends_with("\t429")).count(), 20);
    assert_eq!(text.lines().filter(|line| line.ends_with("closed in place of an answer")).count(), 20);
}

#[test]
fn connections_are_kept_made_anew_and_left_idle() {
    let (address, seen) = serve(|_| Deed::Answer("200 OK"));
    let kept = send(address, 100, Some(1_000), Clients::kept(2), None);
    assert_eq!((kept.accepted, seen.connections.swap(0, Ordering::Relaxed)), (100, 2));
    let fresh = send(address, 100, Some(1_000), Clients { kept: 0, fresh: 2, idle: 0, uploads: 0 }, None);
    assert_eq!((fresh.accepted, seen.connections.swap(0, Ordering::Relaxed)), (100, 100));
    let idle = send(address, 30, Some(10), Clients { kept: 1, fresh: 0, idle: 20, uploads: 0 }, None);
    // Within these three seconds each idle client sends not at all, once or a few times.
    assert!((31..90).contains(&idle.accepted), "{}", idle.accepted);
    assert!((2..=21).contains(&seen.connections.load(Ordering::Relaxed)));
}

fn send(address: SocketAddr, events: usize, rate: Option<usize>, clients: Clients, log: Option<&AckLog>) -> Answers {
    let corpus = Corpus::new("event-3k", include_str!("../../benches/corpus/event-3k.json"), 2).unwrap();
    let dsn = format!("http://key@{address}/1");
    Load { corpus: &corpus, dsn: &dsn, events, rate, limit: None, clients, log, is_enough: None }.run().unwrap()
}

/// Answers by the number of the request.
fn serve(deed: impl Fn(usize) -> Deed + Send + Sync + 'static) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen, deed) = (listener.local_addr().unwrap(), Arc::new(Seen::default()), Arc::new(deed));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            counted.connections.fetch_add(1, Ordering::Relaxed);
            let (counted, deed) = (Arc::clone(&counted), Arc::clone(&deed));
            std::thread::spawn(move || while answer(&stream, &counted, deed.as_ref()).is_some() {});
        }
    });
    (address, seen)
}

fn answer(mut stream: &TcpStream, seen: &Seen, deed: &dyn Fn(usize) -> Deed) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).ok()?;
    let status = match deed(seen.requests.fetch_add(1, Ordering::Relaxed)) {
        Deed::Close => return None,
        Deed::Answer(status) => status,
        Deed::AnswerAfter(pause) => {
            std::thread::sleep(pause);
            "200 OK"
        }
    };
    stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).ok()
}
