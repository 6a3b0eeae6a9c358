//! The comparison of what senders were told with what the database holds. The tests of faults use it, too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Gives [`Books`] as JSON.
pub(crate) const QUERY: &str = include_str!("books.sql");

/// Gives the id of each stored event, as senders write it, once for each row.
pub(crate) const STORED: &str = "select replace(event_id::text, '-', '') from event";

/// Ids named in a complaint.
const NAMED: usize = 5;

/// The database's figures of error events; `books.sql` says what each is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Books {
    pub(crate) events: usize,
    pub(crate) accepted: usize,
    pub(crate) stored: usize,
    pub(crate) filtered: usize,
    pub(crate) duplicates: usize,
    pub(crate) rejected: usize,
    rejected_items: usize,
    issue_events: usize,
    issue_hourly_events: usize,
    wrong_issues: usize,
    wrong_issue_hours: usize,
    wrong_stored_hours: usize,
    unbalanced_hours: usize,
}

/// What senders know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    /// Ids of all events sent.
    pub(crate) sent: &'a BTreeSet<String>,
    /// Those of them that must be stored.
    pub(crate) acknowledged: &'a BTreeSet<String>,
    /// Answers with 200: more than `acknowledged` when an event was sent again.
    pub(crate) receptions: usize,
    /// Requests, those without an answer included.
    pub(crate) requests: usize,
}

impl Books {
    /// What does not add up, in words; nothing when each acknowledged event is stored exactly once, nothing is stored
    /// that was not sent, each counter is the number of its rows, and the ledger is balanced with nothing under way.
    pub(crate) fn complaints(&self, stored: &[String], account: Account<'_>) -> Vec<String> {
        let Account { sent, acknowledged, receptions, requests } = account;
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        for id in stored {
            *rows.entry(id).or_default() += 1;
        }
        let twice = rows.iter().filter(|(_, count)| **count > 1).map(|(id, _)| *id);
        let lost = acknowledged.iter().map(String::as_str).filter(|id| !rows.contains_key(id));
        let unknown = rows.keys().copied().filter(|id| !sent.contains(*id));
        let mut complaints = Vec::new();
        let mut name = |what: &str, ids: Vec<&str>| {
            if !ids.is_empty() {
                let first = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
                complaints.push(format!("{} {what}: {first}", ids.len()));
            }
        };
        name("acknowledged events are missing", lost.collect());
        name("events are stored more than once", twice.collect());
        name("events are stored that nobody sent", unknown.collect());
        let fates = self.stored + self.filtered + self.rejected;
        let mut compare = |is_right: bool, complaint: String| {
            if !is_right {
                complaints.push(complaint);
            }
        };
        let (rejected, items) = (self.rejected, self.rejected_items);
        compare(rejected == items, format!("{rejected} counted as rejected, of {items} items"));
        let Self { events, accepted, issue_events, issue_hourly_events, .. } = self;
        compare(stored.len() == *events, format!("{} ids of events were read, of {events}", stored.len()));
        compare(self.stored == *events, format!("{} counted as stored, of {events} events", self.stored));
        compare(issue_events == events, format!("{issue_events} counted on issues, of {events} events"));
        compare(
            issue_hourly_events == events,
            format!("{issue_hourly_events} counted by the hour, of {events} events"),
        );
        compare(
            *accepted == fates,
            format!("{accepted} counted as accepted, but {fates} stored, filtered or rejected"),
        );
        let is_within = (receptions..=requests).contains(accepted);
        compare(
            is_within,
            format!("{accepted} counted as accepted, but {receptions} of {requests} requests answered so"),
        );
        for (wrong, of) in [
            (self.wrong_issues, "issues are not those of their events"),
            (self.wrong_issue_hours, "issues by the hour are not those of their events"),
            (self.wrong_stored_hours, "stored events by the hour are not those of the events"),
            (self.unbalanced_hours, "hours do not balance"),
        ] {
            compare(wrong == 0, format!("the counts of {wrong} {of}"));
        }
        complaints
    }
}
