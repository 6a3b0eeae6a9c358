//! Entries that nobody can store among many that are fine, and events that clients send again.

use super::{ONE, Rounds, TWENTY, Trial};
use crate::appliance::load::new_id;

/// Entries that no version of the edge has written.
const GARBAGE: [[&str; 2]; 4] =
    [["d", "garbage"], ["d", "\u{9}of a later version"], ["d", "\u{1}{\"no\":\"stamp\"}\n{}"], ["x", "no work at all"]];

/// Payloads that are no event, although their envelope is in order.
const NO_EVENTS: [&str; 3] = ["{\"message\":\"cut off", "[1,2,3]", "\u{0}\u{1}"];

/// Payloads that are strange, and events all the same.
const ODD: [&str; 5] = [
    "{\"message\":\"a nul: \\u0000\",\"tags\":{\"\\u0000\":\"\\u0000\"}}",
    "{\"message\":\"half a pair: \\ud800\",\"user\":{\"id\":\"\\udfff\"}}",
    "{\"message\":{\"formatted\":17},\"extra\":{\"n\":1e999},\"level\":[],\"timestamp\":\"never\"}",
    "{\"exception\":{\"values\":[{\"stacktrace\":{\"frames\":[null,{},[],{\"lineno\":-1e30}]}}]}}",
    "{\"fingerprint\":[\"{{ default }}\",null,{\"a\":[]}],\"release\":\"\",\"environment\":\"\\n\"}",
];

#[test]
fn poison_spoils_nothing_but_itself() {
    poison(2_000);
}

#[test]
#[ignore = "long"]
fn poison_spoils_nothing_but_itself_long() {
    poison(10_000);
}

#[test]
fn what_is_sent_again_is_stored_once_and_counted_as_duplicate() {
    repeated(ONE);
}

#[test]
#[ignore = "long"]
fn what_is_sent_again_is_stored_once_and_counted_as_duplicate_long() {
    repeated(TWENTY);
}

fn poison(events: usize) {
    let mut trial = Trial::new();
    let ids: Vec<String> = (0..events).map(|_| new_id()).collect();
    let (before, after) = ids.split_at(events / 2);
    trial.send(before, 16);
    for entry in GARBAGE {
        trial.redis(&[&["XADD", "q:ingest", "*"], entry.as_slice()].concat());
    }
    let mut rejected: Vec<String> = NO_EVENTS.iter().map(|payload| envelope(&mut trial, payload, false)).collect();
    for payload in ODD {
        envelope(&mut trial, payload, true);
    }
    trial.send(after, 16);
    let settled = trial.settle("poison among good events");
    rejected.sort();
    assert_eq!(settled.books.rejected, rejected.len());
    let rows = trial.instance.sql("select replace(event_id::text, '-', '') from rejected_item order by 1");
    assert_eq!(rows.lines().collect::<Vec<_>>(), rejected);
    let dead: usize = trial.redis(&["XLEN", "q:ingest:dead"]).parse().unwrap();
    assert_eq!(dead, GARBAGE.len() + rejected.len());
    assert_eq!(trial.service("worker").unwrap()["restarts"], 0, "{}", trial.instance.log());
}

/// Sends an envelope of one event; its id.
fn envelope(trial: &mut Trial, payload: &str, is_storable: bool) -> String {
    let (id, auth) = (new_id(), trial.auth());
    let body = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len());
    let headers = [("x-sentry-auth", auth.as_str())];
    let reply = trial.block_on(trial.instance.client().post("/api/1/envelope/", &headers, body));
    assert_eq!(reply.status, 200, "{payload}: {}", reply.text());
    if is_storable {
        trial.acknowledged(id.clone());
    } else {
        trial.sent_in_vain(id.clone());
    }
    id
}

/// Each event three times: two of them at once, the third when it has long been stored. The worker is killed
/// meanwhile, and an entry that it is given again is no duplicate.
fn repeated(rounds: Rounds) {
    rounds.run(Trial::new, |trial, round| {
        let ids: Vec<String> = (0..300).map(|_| new_id()).collect();
        // Each one's copy follows at once, on the other connection of a pair.
        let at_once = [ids.clone(), ids.clone()].concat();
        trial.send(&at_once, 2);
        trial.kill("worker");
        trial.send(&ids, 4);
        let books = trial.settle(&format!("round {round}: each event sent three times")).books;
        let events = trial.told().acknowledged.len();
        assert_eq!((books.events, books.duplicates), (events, 2 * events));
    });
}
