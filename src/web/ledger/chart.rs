//! The chart of a period: what became of the items of each hour or day, as stacked bars.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::figures::outcome;
use super::period::Period;
use crate::store::ledger::LedgerSum;
use crate::store::outcome::Outcome;
use crate::web::text::{Lang, grouped};

/// Height of the drawing area, in its own units.
const HEIGHT: i64 = 96;
/// Width of a bar and of the gap behind it.
const BAR: usize = 8;
const GAP: usize = 2;

/// What is drawn, from the bottom up.
const DRAWN: [Outcome; 4] = [Outcome::Stored, Outcome::Filtered, Outcome::Rejected, Outcome::RateLimited];

/// What became of the items of one step of time, in the order of [`DRAWN`].
type Bar = [i64; DRAWN.len()];

/// The bars of a period that ends with the step `now` lies in.
pub(super) fn show(lang: Lang, period: Period, now: DateTime<Utc>, sums: &[LedgerSum]) -> Markup {
    let bars = bars(period.count(), sums);
    let highest = bars.iter().map(|bar| bar.iter().sum::<i64>()).max().unwrap_or(0);
    let total: i64 = bars.iter().flatten().sum();
    let width = (bars.len() * (BAR + GAP)).saturating_sub(GAP).max(1);
    let start = period.start(now);
    let at = |index: usize| start + period.step() * i32::try_from(index).unwrap_or_default();
    html! {
        div.stack-y { (grouped(highest)) }
        svg.bars viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label=(lang.ledger_chart(total, grouped(highest))) {
            @for (index, bar) in bars.iter().enumerate() {
                g {
                    title { (label(lang, period, at(index), bar)) }
                    // What can be pointed at is the whole column, whatever little stands in it.
                    rect.hit x=(index * (BAR + GAP)) y="0" width=(BAR + GAP) height=(HEIGHT) {}
                    @for (y, height, outcome) in pieces(bar, highest) {
                        rect x=(index * (BAR + GAP)) y=(y) width=(BAR) height=(height) class=(class(outcome)) {}
                    }
                    @if bar.iter().all(|count| *count <= 0) {
                        rect.zero x=(index * (BAR + GAP)) y=(HEIGHT - 1) width=(BAR) height="1" {}
                    }
                }
            }
        }
        div.chart-x {
            span { (period.label(start)) }
            span { (period.label(at(bars.len() / 2))) }
            span { (period.label(at(bars.len().saturating_sub(1)))) " UTC" }
        }
        ul.legend {
            @for outcome in DRAWN { li { span class={ "dot " (class(outcome)) } {} (name(lang, outcome)) } }
        }
    }
}

fn bars(count: usize, sums: &[LedgerSum]) -> Vec<Bar> {
    let mut bars = vec![Bar::default(); count];
    for sum in sums {
        let drawn = sum.outcome.as_deref().and_then(outcome);
        let place = DRAWN.iter().position(|one| Some(*one) == drawn);
        let bar = usize::try_from(sum.slot).ok().and_then(|slot| bars.get_mut(slot));
        if let Some(count) = bar.zip(place).and_then(|(bar, place)| bar.get_mut(place)) {
            *count += sum.quantity;
        }
    }
    bars
}

/// The pieces of a bar: top, height and what they stand for. What happened is to be seen however rare it was.
fn pieces(bar: &Bar, highest: i64) -> Vec<(i64, i64, Outcome)> {
    let mut top = HEIGHT;
    let mut pieces = Vec::new();
    for (count, outcome) in bar.iter().zip(DRAWN).filter(|(count, _)| **count > 0) {
        let height = (count.saturating_mul(HEIGHT) / highest.max(1)).max(2);
        top = (top - height).max(0);
        pieces.push((top, height, outcome));
    }
    pieces
}

fn label(lang: Lang, period: Period, at: DateTime<Utc>, bar: &Bar) -> String {
    let counts = bar.iter().zip(DRAWN).filter(|(count, outcome)| **count > 0 || *outcome == Outcome::Stored);
    let counts = counts.map(|(count, outcome)| format!("{} {}", name(lang, outcome), grouped(*count)));
    format!("{} UTC · {}", period.label(at), counts.collect::<Vec<_>>().join(" · "))
}

/// What an outcome is called on the page.
pub(super) fn name(lang: Lang, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => lang.ledger_accepted(),
        Outcome::Stored => lang.ledger_stored(),
        Outcome::Filtered => lang.ledger_filtered(),
        Outcome::Rejected => lang.ledger_rejected(),
        Outcome::RateLimited => lang.ledger_rate_limited(),
        Outcome::Discarded => lang.ledger_discarded(),
    }
}

const fn class(outcome: Outcome) -> &'static str {
    outcome.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(slot: i64, outcome: &str, quantity: i64) -> LedgerSum {
        let outcome = Some(outcome.to_owned());
        LedgerSum { project_id: None, category: None, outcome, reason: None, slot, quantity }
    }

    #[test]
    fn bars_are_stacked_and_what_is_rare_is_still_seen() {
        let sums = [sum(0, "stored", 1000), sum(0, "rejected", 1), sum(1, "filtered", 500), sum(9, "stored", 5)];
        let bars = bars(2, &sums);
        assert_eq!(bars, [[1000, 0, 1, 0], [0, 500, 0, 0]]);
        assert_eq!(pieces(&bars[0], 1001), [(1, 95, Outcome::Stored), (0, 2, Outcome::Rejected)]);
        assert_eq!(pieces(&bars[1], 1001), [(49, 47, Outcome::Filtered)]);
        assert!(pieces(&Bar::default(), 0).is_empty());
        assert_eq!(pieces(&[i64::MAX, 0, 0, 0], i64::MAX).len(), 1, "no overflow");
    }
}
