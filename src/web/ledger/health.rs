//! Whether the ledger adds up, and whether the way into the database is open.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::figures::{Balance, Summary};
use crate::store::canary_run::CanaryRun;
use crate::store::outcome::hour_of;
use crate::web::component::time;
use crate::web::text::{Lang, grouped};

/// One canary sets out each minute: after this long without one, something is in its way.
const CANARY_OVERDUE: TimeDelta = TimeDelta::minutes(5);

/// What is known besides the ledger itself.
pub(super) struct Health {
    /// The newest canary that has arrived.
    pub(super) canary: Option<CanaryRun>,
    /// Items of all projects in the queue at this moment; none: Redis did not say.
    pub(super) waiting: Option<u64>,
}

/// From when on one side of the ledger may be ahead of the other for a moment: items and their counts travel apart.
pub(super) fn recent(now: DateTime<Utc>) -> DateTime<Utc> {
    hour_of(now) - TimeDelta::hours(1)
}

/// What the comparison of both sides comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Both sides are the same.
    Balanced,
    /// They are, with what is still on its way.
    OnTheirWay(i64),
    /// They will be when the edge's count of the newest items has arrived.
    Ahead(i64),
    /// Items accepted more than an hour ago are not settled, and the queue is empty.
    Missing(i64),
    /// More is settled than was ever accepted.
    Surplus(i64),
}

impl Verdict {
    fn of(balance: &Balance, waiting: Option<u64>) -> Self {
        let open = balance.queued + balance.overdue;
        match balance {
            Balance { surplus: 1.., .. } => Self::Surplus(balance.surplus),
            Balance { overdue: 1.., .. } if waiting == Some(0) => Self::Missing(balance.overdue),
            _ if open > 0 => Self::OnTheirWay(open),
            Balance { ahead: 1.., .. } => Self::Ahead(balance.ahead),
            _ => Self::Balanced,
        }
    }
}

impl Health {
    /// One line for the ledger, one for the canary.
    pub(super) fn show(&self, lang: Lang, now: DateTime<Utc>, summary: &Summary) -> Markup {
        let verdict = Verdict::of(&summary.balance, self.waiting);
        let class = match verdict {
            Verdict::Balanced | Verdict::OnTheirWay(_) | Verdict::Ahead(_) => "good",
            Verdict::Missing(_) => "warn",
            Verdict::Surplus(_) => "bad",
        };
        html! {
            div class={ "note " (class) } role="status" {
                strong {
                    @match verdict {
                        Verdict::Balanced | Verdict::OnTheirWay(_) | Verdict::Ahead(_) => (lang.ledger_balances()),
                        Verdict::Missing(_) | Verdict::Surplus(_) => (lang.ledger_off()),
                    }
                }
                " "
                @match verdict {
                    Verdict::Balanced => (lang.ledger_all_settled()),
                    Verdict::OnTheirWay(count) => (lang.ledger_on_their_way(count)),
                    Verdict::Ahead(count) => (lang.ledger_ahead(count)),
                    Verdict::Missing(count) => (lang.ledger_missing(count)),
                    Verdict::Surplus(count) => (lang.ledger_surplus(count)),
                }
                @if self.waiting.is_none() { " " (lang.ledger_queue_silent()) }
                @if summary.balance.uncounted > 0 { " " (lang.ledger_uncounted(summary.balance.uncounted)) }
            }
            (self.canary(lang, now))
        }
    }

    fn canary(&self, lang: Lang, now: DateTime<Utc>) -> Markup {
        html! {
            @match self.canary {
                Some(run) => {
                    @let is_overdue = now - run.sent_at > CANARY_OVERDUE;
                    div class={ "note " (if is_overdue { "warn" } else { "" }) } {
                        @if is_overdue { strong { (lang.canary_overdue(CANARY_OVERDUE.num_minutes())) } " " }
                        (lang.canary_took(latency(run.stored_at - run.sent_at)))
                        " " span.muted { (time::relative(lang, now, run.sent_at)) }
                    }
                }
                None => div.note.warn { (lang.canary_never()) },
            }
        }
    }
}

/// `12 ms`, `1.2 s`, `3,600 s`.
fn latency(span: TimeDelta) -> String {
    match span.num_milliseconds().max(0) {
        millis @ ..1_000 => format!("{millis} ms"),
        millis @ 1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        millis => format!("{} s", grouped(millis / 1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_said_first() {
        let none = Balance::default();
        for (balance, waiting, verdict) in [
            (none, Some(0), Verdict::Balanced),
            (Balance { queued: 3, ..none }, Some(9), Verdict::OnTheirWay(3)),
            // A moment ago, so it may just have left the queue.
            (Balance { queued: 3, ..none }, Some(0), Verdict::OnTheirWay(3)),
            (Balance { queued: 3, overdue: 4, ..none }, Some(9), Verdict::OnTheirWay(7)),
            (Balance { queued: 3, overdue: 4, ..none }, Some(0), Verdict::Missing(4)),
            (Balance { overdue: 4, ..none }, None, Verdict::OnTheirWay(4)),
            (Balance { ahead: 2, ..none }, Some(0), Verdict::Ahead(2)),
            (Balance { surplus: 1, overdue: 4, ..none }, Some(0), Verdict::Surplus(1)),
            (Balance { uncounted: 5, ..none }, Some(0), Verdict::Balanced),
        ] {
            assert_eq!(Verdict::of(&balance, waiting), verdict, "{balance:?}");
        }
    }

    #[test]
    fn latencies_in_one_unit() {
        assert_eq!(latency(TimeDelta::milliseconds(-3)), "0 ms");
        assert_eq!(latency(TimeDelta::milliseconds(999)), "999 ms");
        assert_eq!(latency(TimeDelta::milliseconds(1_250)), "1.2 s");
        assert_eq!(latency(TimeDelta::hours(1)), "3,600 s");
    }
}
