//! The ledger as counters. What stands in its tables also gets smaller: old hours are deleted, a rejection is taken
//! back when its item is tried again. Prometheus would take that for a restart and count everything once more. So this
//! process counts by itself what each row has grown by since it last looked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::ids::ProjectId;
use crate::ingest::is_known_reason;
use crate::store::ledger::{self, LedgerRow};
use crate::store::outcome::{Outcome, hour_of};
use crate::store::{canary_run, project};
use crate::telemetry::exposition::{Exposition, MetricKind};

/// Hours that are looked at: an item is settled minutes after it was received, unless PostgreSQL was away.
const WINDOW: TimeDelta = TimeDelta::hours(26);

/// Most rows looked at, the newest: what a busy instance of some hundred projects has.
const MAX_ROWS: i64 = 50_000;

/// Most projects whose names are looked up.
const MAX_PROJECTS: i64 = 10_000;

/// What a series is told apart by: project, category, outcome, reason.
type Series = (ProjectId, String, String, String);

/// How much the ledger has grown since the process first looked.
#[derive(Debug, Default)]
pub(super) struct Growth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The rows as they were.
    seen: HashMap<(Series, DateTime<Utc>), i64>,
    /// From this hour on every row was looked at; none: there was no look yet.
    complete_from: Option<DateTime<Utc>>,
    grown: BTreeMap<Series, u64>,
}

impl Growth {
    /// Adds what the ledger has to say.
    pub(super) async fn describe(
        &self,
        db: &PgPool,
        now: DateTime<Utc>,
        out: &mut Exposition,
    ) -> crate::store::Result<()> {
        let since = hour_of(now) - WINDOW;
        let rows = ledger::rows_since(db, since, MAX_ROWS).await?;
        let projects = project::list(db, None, MAX_PROJECTS).await?;
        let unsettled = unsettled(&rows);
        let slugs: HashMap<ProjectId, String> =
            projects.into_iter().map(|project| (project.id, project.slug)).collect();
        let slug = |id: ProjectId| slugs.get(&id).map_or("", String::as_str);

        let help = "Items by what became of them, of the whole instance: take max, not sum, over web processes. Accepted \
                    is what the edge acknowledged, and comes to the others.";
        let mut metric = out.metric("glitchbox_ledger_items_total", MetricKind::Counter, help);
        for ((project, category, outcome, reason), count) in self.take_in(rows, since) {
            let labels = [
                ("project_id", &*project.to_string()),
                ("project", slug(project)),
                ("category", &category),
                ("outcome", &outcome),
                ("reason", &reason),
            ];
            metric.value(&labels, count);
        }
        let help = "Items of the last day that were accepted and are neither stored nor filtered nor rejected; below 0 \
                    while the count of the newest ones is on its way.";
        let mut metric = out.metric("glitchbox_ledger_unsettled_items", MetricKind::Gauge, help);
        for (project, count) in unsettled {
            metric.value(&[("project_id", &project.to_string()), ("project", slug(project))], count);
        }
        if let Some(run) = canary_run::latest(db).await? {
            let seconds = |span: TimeDelta| span.as_seconds_f64().max(0.0);
            let (latency, age) = (seconds(run.stored_at - run.sent_at), seconds(now - run.sent_at));
            out.gauge(
                "glitchbox_canary_latency_seconds",
                "Way of the newest canary from the edge to the database.",
                latency,
            );
            out.gauge("glitchbox_canary_age_seconds", "Time since the newest canary that arrived set out.", age);
        }
        Ok(())
    }

    /// Notes the rows as they are now, and gives every series with what it has grown by.
    fn take_in(&self, mut rows: Vec<LedgerRow>, since: DateTime<Utc>) -> BTreeMap<Series, u64> {
        let mut complete_from = since;
        if rows.len() >= usize::try_from(MAX_ROWS).unwrap_or(usize::MAX) {
            // The oldest hour may be there in part only.
            if let Some(cut) = rows.iter().map(|row| row.hour).min() {
                rows.retain(|row| row.hour > cut);
                complete_from = cut + TimeDelta::hours(1);
            }
        }
        // Whoever may send can make reasons up: each would be a series for good.
        let mut now: HashMap<(Series, DateTime<Utc>), i64> = HashMap::with_capacity(rows.len());
        for row in rows {
            let is_made_up = row.outcome == Outcome::Discarded.as_str() && !is_known_reason(&row.reason);
            let reason = if is_made_up { "other".to_owned() } else { row.reason };
            *now.entry(((row.project_id, row.category, row.outcome, reason), row.hour)).or_default() += row.quantity;
        }
        // A panic elsewhere leaves at worst one look half taken in.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashMap::with_capacity(now.len());
        for (key, quantity) in now {
            let is_known_ground = state.complete_from.is_some_and(|from| key.1 >= from);
            let before = state.seen.get(&key).copied().unwrap_or(if is_known_ground { 0 } else { quantity });
            let grown = u64::try_from(quantity - before).unwrap_or_default();
            *state.grown.entry(key.0.clone()).or_default() += grown;
            // What was taken back and comes again is not counted twice.
            seen.insert(key, quantity.max(before));
        }
        state.seen = seen;
        state.complete_from = Some(complete_from);
        state.grown.clone()
    }
}

/// What was accepted and is not settled, by project. Hours before a project's items were first counted at the edge have
/// nothing to compare, nor has the hour in which that began.
fn unsettled(rows: &[LedgerRow]) -> BTreeMap<ProjectId, i64> {
    let sign = |row: &LedgerRow| match Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == row.outcome)? {
        Outcome::Accepted => Some(1),
        Outcome::Stored | Outcome::Filtered | Outcome::Rejected => Some(-1),
        Outcome::RateLimited | Outcome::Discarded => None,
    };
    // For each project its first hour, and the first one with a count of the edge.
    let mut begin: HashMap<ProjectId, (DateTime<Utc>, Option<DateTime<Utc>>)> = HashMap::new();
    for row in rows {
        let Some(sign) = sign(row) else { continue };
        let (first, counted) = begin.entry(row.project_id).or_insert((row.hour, None));
        *first = row.hour.min(*first);
        if sign > 0 {
            *counted = Some(counted.map_or(row.hour, |hour| row.hour.min(hour)));
        }
    }
    let mut open = BTreeMap::new();
    for row in rows {
        let Some(((first, Some(counted)), sign)) = begin.get(&row.project_id).zip(sign(row)) else { continue };
        if row.hour > *counted || (row.hour == *counted && first == counted) {
            *open.entry(row.project_id).or_default() += sign * row.quantity;
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: i64, outcome: &str, quantity: i64) -> LedgerRow {
        LedgerRow {
            project_id: ProjectId(1),
            hour: DateTime::from_timestamp(hour * 3600, 0).unwrap(),
            category: "error".to_owned(),
            outcome: outcome.to_owned(),
            reason: String::new(),
            quantity,
        }
    }

    fn grown(growth: &Growth, rows: Vec<LedgerRow>) -> Vec<(String, u64)> {
        let all = growth.take_in(rows, DateTime::from_timestamp(10 * 3600, 0).unwrap());
        all.into_iter().map(|((_, _, outcome, _), count)| (outcome, count)).collect()
    }

    #[test]
    fn counters_begin_at_nothing_and_never_shrink() {
        let growth = Growth::default();
        let count = |rows| grown(&growth, rows);
        assert_eq!(count(vec![row(10, "stored", 5)]), [("stored".to_owned(), 0)]);
        // More of the same hour, and another hour.
        assert_eq!(count(vec![row(11, "stored", 2), row(10, "stored", 6)]), [("stored".to_owned(), 3)]);
        // An old hour has left.
        assert_eq!(count(vec![row(11, "stored", 2)]), [("stored".to_owned(), 3)]);
        // A rejection is taken back, and made once more.
        let rejected = |quantity| vec![row(11, "stored", 2), row(11, "rejected", quantity)];
        let expected = [("rejected".to_owned(), 1), ("stored".to_owned(), 3)];
        for quantity in [1, 0, 1] {
            assert_eq!(count(rejected(quantity)), expected, "{quantity}");
        }
    }

    #[test]
    fn reasons_that_sdks_make_up_are_one_series() {
        let growth = Growth::default();
        let discarded =
            |reason: &str, quantity| LedgerRow { reason: reason.to_owned(), ..row(11, "discarded", quantity) };
        let since = DateTime::from_timestamp(10 * 3600, 0).unwrap();
        growth.take_in(vec![row(10, "stored", 1)], since);
        let rows =
            vec![discarded("mine", 1), discarded("yours", 2), discarded("other", 3), discarded("before_send", 4)];
        let all = growth.take_in(rows, since).into_iter();
        let found: Vec<_> = all.map(|((_, _, outcome, reason), count)| (outcome, reason, count)).collect();
        let line = |outcome: &str, reason: &str, count| (outcome.to_owned(), reason.to_owned(), count);
        let expected = [line("discarded", "before_send", 4), line("discarded", "other", 6), line("stored", "", 0)];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_open_is_compared_from_where_the_edge_counts() {
        let project = ProjectId(1);
        let fresh = [row(10, "accepted", 9), row(10, "stored", 5), row(10, "rate_limited", 7), row(11, "rejected", 1)];
        assert_eq!(unsettled(&fresh), BTreeMap::from([(project, 3)]));
        let updated = [row(9, "stored", 50), row(10, "accepted", 2), row(10, "stored", 9), row(11, "accepted", 4)];
        assert_eq!(unsettled(&updated), BTreeMap::from([(project, 4)]));
        assert_eq!(unsettled(&[row(10, "stored", 5)]), BTreeMap::new());
    }
}
