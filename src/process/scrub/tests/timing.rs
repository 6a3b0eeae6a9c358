//! What scrubbing costs: `cargo test --release --lib scrub::tests::timing -- --ignored --nocapture`.

use crate::process::tests::stamp;
use crate::process::tests::timing::median;
use crate::process::{Incoming, ScrubRules, process_with};

#[test]
#[ignore = "a measurement; means something only in a release build"]
fn timing_with_and_without() {
    for (name, body) in [
        ("3k", &include_bytes!("../../../../benches/corpus/event-3k.json")[..]),
        ("25k", &include_bytes!("../../../../benches/corpus/event-25k.json")[..]),
    ] {
        let (stamp, off, on) = (stamp(), ScrubRules::default().without_defaults(), ScrubRules::default());
        let timed = |rules| median(|| process_with(Incoming { stamp: &stamp, payload: body }, rules).unwrap());
        let (without, with) = (timed(&off), timed(&on));
        println!("{name}: {without:?} without scrubbing, {with:?} with it");
        assert!(with < without * 2, "{name}: scrubbing took more than everything else");
    }
}
