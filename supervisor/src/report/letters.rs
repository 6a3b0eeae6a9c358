//! Who is told of a report, and what they are sent.

use std::path::Path;

use chrono::Utc;
use serde_json::json;

use super::model::{Outcome, Report};
use super::outbox::Letter;
use super::redact::Redactor;
use super::store::Store;
use crate::channels::{Channel, On};
use crate::task::Place;

/// The letters of a new report, which is kept already: one for each channel that wants to know.
pub(super) fn letters(place: &Place, report: &Report) -> Vec<Letter> {
    let before = before(report);
    let wants = |on: On| match on {
        On::Always => true,
        On::Failure => report.result != Outcome::Ok,
        On::Change => before != Some(report.result),
    };
    let receivers = place.channels.receivers.iter();
    let channels: Vec<Channel> = receivers.filter(|it| wants(it.on)).map(|it| it.channel).collect();
    letters_for(place, report, &channels)
}

/// The letters of a report for these channels.
pub(super) fn letters_for(place: &Place, report: &Report, channels: &[Channel]) -> Vec<Letter> {
    // Also what the report was cleaned of before: secrets may have changed since.
    let document = Redactor::new(&place.secrets).json(json!(report));
    let now = Utc::now();
    channels.iter().map(|channel| Letter::new(&report.id, *channel, now, document.clone())).collect()
}

/// How the restart before this one went; none when nobody remembers.
fn before(report: &Report) -> Option<Outcome> {
    let reports = Store::open(Path::new(".")).and_then(|store| store.list()).ok()?;
    reports.into_iter().find(|other| other.id < report.id).map(|other| other.result)
}
