//! Damaged requests through every parser of the edge: whatever comes, each gives a result, and what holds for results holds.
//!
//! `FUZZ_ROUNDS` and `FUZZ_SEED` (decimal numbers) set how many and which; a failure names the seed and the round.

use axum::http::{HeaderMap, HeaderValue, Uri};
use bytes::Bytes;
use chrono::Utc;

use super::container::{self, Pieces};
use super::credentials::Credentials;
use super::{client_report, crash, head};
use crate::ids::ProjectId;
use crate::protocol::{
    Crash, Dsn, PublicKey, Tally, boundary_of, decode_store_body, event_of_form, parse_envelope, parse_envelope_header,
    parse_multipart, parse_security_reports, parse_sentry_auth, read_msgpack, read_msgpack_stream,
};

#[path = "../../tests/support/mutate.rs"]
mod mutate;

use mutate::{Numbers, damage, recorded, setting};

/// Rounds of an ordinary run: seconds.
const ROUNDS: u64 = 5_000;

/// ... and of a long one.
const LONG_ROUNDS: u64 = 1_000_000;

/// Forms and MessagePack, of which nothing was recorded, and heads of requests.
const OTHERS: &[&[u8]] = &[
    b"--B\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a.dmp\"\r\nContent-Type: x/y\r\n\r\nMDMP\r\n\
      --B\r\nContent-Disposition: form-data; name=sentry[tags][a]\r\n\r\nb\r\n--B\r\nContent-Disposition: form-data; \
      name=\"sentry__1\"\r\n\r\n{\"release\":\"1\"}\r\n--B--\r\n",
    b"\x83\xa7release\xa31.0\xa5level\xa5fatal\xa8contexts\x81\xa1a\x93\x01\xc0\xcb?\xf0\0\0\0\0\0\0",
    b"Sentry sentry_version=7, sentry_client=raven/1, sentry_key=a0b1c2d3e4f5061728394a5b6c7d8e9f, sentry_timestamp=1.5",
    b"sentry_version=7&sentry_key=a0b1c2d3e4f5061728394a5b6c7d8e9f&sentry_data=%7B%22a%22%3A1%7D&status=ok&duration=1.5",
    b"https://a0b1c2d3e4f5061728394a5b6c7d8e9f:secret@example.org:8443/errors/7",
    b"multipart/form-data; charset=utf-8; boundary=\"a b\"",
];

/// What clients sent, without heads.
fn seeds() -> Vec<Vec<u8>> {
    OTHERS.iter().map(|seed| seed.to_vec()).chain(recorded()).collect()
}

/// Every parser that reads what strangers send.
fn parse(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let mut inside = 0;
    if let Ok(envelope) = parse_envelope(&body) {
        assert!(!envelope.items.is_empty() || envelope.malformed.is_none(), "malformed at once is an error");
        for item in &envelope.items {
            inside += item.payload.len();
            let _read = head::read(&item.payload);
            let repaired = head::without_bare_numbers(&item.payload);
            assert!(repaired.len() <= 2 * item.payload.len(), "`NaN` becomes one letter longer, nothing more");
            if let Some(Pieces { pieces, .. }) = container::take_apart(&item.payload) {
                assert!(pieces.iter().all(|piece| container::take_apart(piece).is_some()), "pieces are containers");
            }
            let _completed = crash::completed(Crash::Minidump, &item.payload, std::slice::from_ref(item));
            let mut tally = Tally::default();
            let _counted = client_report::count(&item.payload, ProjectId(1), Utc::now(), &mut tally);
        }
        let _header = parse_envelope_header(&body).unwrap();
    }
    assert!(inside <= bytes.len(), "payloads are slices of the body");
    if let Ok(reports) = parse_security_reports(&body) {
        assert!(reports.violations.len() <= 100);
    }
    let inflate = |data: &[u8]| super::decompress::inflate(data, 64 * 1024);
    if let Ok(event) = decode_store_body(&body, inflate) {
        assert!(event.trim_ascii_start().starts_with(b"{"));
    }
    if let Ok(parts) = parse_multipart(&body, "B") {
        let fields = parts.into_iter().map(|part| (part.name, String::from_utf8_lossy(&part.content).into_owned()));
        let _event = event_of_form(serde_json::Map::new(), fields);
    }
    let _packed = (read_msgpack(bytes), read_msgpack_stream(bytes));
    // Of what stands in heads, there is never as much.
    let text = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes)).into_owned();
    let _texts = (parse_sentry_auth(&text), Dsn::parse(&text), PublicKey::parse(&text), boundary_of(&text));
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        headers.insert("x-sentry-auth", value.clone());
        headers.insert("authorization", value);
    }
    let uri = text.parse::<Uri>().or_else(|_| format!("/?{}", text.replace(' ', "+")).parse());
    let _credentials = Credentials::of_request(&headers, &uri.unwrap_or_default());
}

fn run(rounds: u64) {
    let seeds = seeds();
    let rounds = setting("FUZZ_ROUNDS").unwrap_or(rounds);
    let seed = setting("FUZZ_SEED").unwrap_or_else(rand::random);
    println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
    for round in 0..rounds {
        let mut numbers = Numbers::of(seed, round);
        let mut bytes = numbers.choose(&seeds).clone();
        damage(&mut numbers, &mut bytes, &seeds);
        let result = std::panic::catch_unwind(|| parse(&bytes));
        assert!(result.is_ok(), "FUZZ_SEED={seed}, round {round}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn damaged_requests_are_parsed_or_refused() {
    run(ROUNDS);
}

#[test]
#[ignore = "long"]
fn damaged_requests_are_parsed_or_refused_long() {
    run(LONG_ROUNDS);
}

#[test]
fn a_seed_gives_the_same_damage_again() {
    let seeds = seeds();
    let damaged = |round| {
        let mut numbers = Numbers::of(7, round);
        let mut bytes = numbers.choose(&seeds).clone();
        damage(&mut numbers, &mut bytes, &seeds);
        bytes
    };
    assert_eq!(damaged(1), damaged(1));
    assert_ne!(damaged(1), damaged(2));
}
