//! How long one event takes: `cargo test --release --lib timing -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;

/// The median of many runs.
pub(in crate::process) fn median(run: impl Fn() -> Processed) -> Duration {
    let mut runs: Vec<Duration> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            let processed = run();
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
fn timing_of_both_bodies() {
    for (name, body, budget) in [
        ("3k", &include_bytes!("../../../benches/corpus/event-3k.json")[..], Duration::from_micros(60)),
        ("25k", &include_bytes!("../../../benches/corpus/event-25k.json")[..], Duration::from_micros(300)),
    ] {
        let stamp = stamp();
        let taken = median(|| process(Incoming { stamp: &stamp, payload: body }).unwrap());
        println!("{name}: {taken:?} (budget {budget:?})");
        // Twice the budget, since machines differ.
        assert!(taken < budget * 2, "{name} took {taken:?}");
    }
}
