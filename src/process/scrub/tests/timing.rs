//! What scrubbing costs: `cargo test --release --lib scrub::tests::timing -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::process::tests::stamp;
use crate::process::{Incoming, ScrubRules, process_with};

/// The median of many runs.
fn median(body: &[u8], rules: &ScrubRules) -> Duration {
    let stamp = stamp();
    let mut runs: Vec<Duration> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            let processed = process_with(Incoming { stamp: &stamp, payload: body }, rules).unwrap();
            let taken = start.elapsed();
            drop(processed);
            taken
        })
        .collect();
    runs.sort();
    runs[runs.len() / 2]
}

#[test]
#[ignore = "a measurement; means something only in a release build"]
fn timing_with_and_without() {
    for (name, body) in [
        ("3k", &include_bytes!("../../../../benches/corpus/event-3k.json")[..]),
        ("25k", &include_bytes!("../../../../benches/corpus/event-25k.json")[..]),
    ] {
        let without = median(body, &ScrubRules::default().without_defaults());
        let with = median(body, &ScrubRules::default());
        println!("{name}: {without:?} without scrubbing, {with:?} with it");
        assert!(with < without * 2, "{name}: scrubbing took more than everything else");
    }
}
