//! Times: every form that clients send, corrected for a clock that is wrong.

use chrono::{DateTime, Datelike, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;

use super::field::{Errors, Path};
use crate::protocol::Stamp;

/// A clock that is behind by less is taken at its word: what is sent waits in queues, too.
const TOLERATED_DELAY: TimeDelta = TimeDelta::minutes(55);
/// How far ahead of the server a time may be. Nothing is sent later than it is received, so that a clock that is ahead by
/// more is wrong.
pub(in crate::process) const MAX_FUTURE: TimeDelta = TimeDelta::minutes(1);
/// How old an event may be.
const MAX_AGE: TimeDelta = TimeDelta::days(30);

/// The client's clock as seen from ours.
#[derive(Clone, Copy)]
pub(in crate::process) struct Clock {
    received: DateTime<Utc>,
    /// Added to every time of the client.
    shift: TimeDelta,
    /// Why, as it stands in an event's `errors`.
    reason: Option<&'static str>,
}

impl Clock {
    /// Corrected by what the client's clock said when it sent this.
    pub(in crate::process) fn new(stamp: &Stamp) -> Self {
        let received = stamp.received_at.trunc_subsecs(6);
        let delay = stamp.sent_at.map_or(TimeDelta::zero(), |sent_at| received - sent_at);
        let clock = Self { received, shift: TimeDelta::zero(), reason: None };
        if delay > TOLERATED_DELAY || -delay > MAX_FUTURE { clock.shifted(delay, "clock_drift") } else { clock }
    }

    /// Corrected so that what ended at `end`, still in the future, ended when it was received. All times of one item move
    /// together.
    pub(in crate::process) fn ended(self, end: Option<&Value>) -> Self {
        match end.and_then(|end| self.read(end)) {
            Some(end) if end > self.received + MAX_FUTURE => self.shifted(self.received - end, "future_timestamp"),
            _ => self,
        }
    }

    /// As [`Self::ended`], of an event that happened at `time`: one that is too old to be true counts as new as well.
    pub(in crate::process) fn happened(self, time: Option<&Value>) -> Self {
        match time.and_then(|time| self.read(time)) {
            Some(time) if self.shift.is_zero() && time < self.received - MAX_AGE => {
                self.shifted(self.received - time, "past_timestamp")
            }
            _ => self.ended(time),
        }
    }

    fn shifted(self, by: TimeDelta, reason: &'static str) -> Self {
        // Between years of four digits; the sum of two such distances is far from what can be told.
        Self { shift: self.shift + by, reason: Some(reason), ..self }
    }

    /// When the server got the event, in whole microseconds.
    pub(in crate::process) fn received(&self) -> DateTime<Utc> {
        self.received
    }

    /// A time of the client's, corrected.
    pub(in crate::process) fn time(&self, errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<DateTime<Utc>> {
        if value.is_null() {
            return None;
        }
        let time = self.read(&value);
        if time.is_none() {
            errors.invalid(at, value, "a timestamp");
        }
        time
    }

    /// The same, if it is one.
    pub(in crate::process) fn read(&self, value: &Value) -> Option<DateTime<Utc>> {
        parse_time(value)?.checked_add_signed(self.shift).filter(is_plausible)
    }

    /// The event's own time, which is that of its receipt if the client's cannot be true.
    pub(in crate::process) fn event_time(&self, errors: &mut Errors, at: &Path<'_>, value: Value) -> DateTime<Utc> {
        let sent = value.clone();
        let Some(time) = self.time(errors, at, value) else { return self.received };
        if let Some(reason) = self.reason {
            errors.note(reason, at, Some(sent));
        }
        time.clamp(self.received - MAX_AGE, self.received + MAX_FUTURE)
    }
}

/// Four digits of year, so that the written form is the usual one.
fn is_plausible(time: &DateTime<Utc>) -> bool {
    (1970..=9999).contains(&time.year())
}

/// Seconds since 1970 as a number or text, or an ISO date and time with or without a zone; in whole microseconds.
fn parse_time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => from_seconds(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().and_then(from_seconds).or_else(|| from_iso(text))
        }
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn from_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    // Year 9999 is far below what a double holds to the microsecond.
    let is_in_range = (0.0..=253_402_300_799.0).contains(&seconds);
    is_in_range.then(|| DateTime::from_timestamp_micros((seconds * 1e6).round() as i64))?
}

fn from_iso(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| time.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|time| time.and_utc()))
        .ok()?;
    // Leap seconds are no use to anybody, and PostgreSQL has none.
    Some(DateTime::from_timestamp_micros(time.timestamp_micros())?.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn clock(received: &str, sent: Option<&str>) -> Clock {
        let mut stamp = crate::process::tests::stamp();
        stamp.received_at = at(received);
        stamp.sent_at = sent.map(at);
        Clock::new(&stamp)
    }

    #[test]
    fn every_accepted_form_is_read() {
        for (value, wanted) in [
            (json!(1_763_649_094), "2025-11-20T14:31:34Z"),
            (json!(1_763_649_094.927_76), "2025-11-20T14:31:34.927760Z"),
            (json!("1763649094.5"), "2025-11-20T14:31:34.500Z"),
            (json!("2025-11-20T14:31:34.927760123Z"), "2025-11-20T14:31:34.927760Z"),
            (json!("2025-11-20T16:31:34+02:00"), "2025-11-20T14:31:34Z"),
            (json!("2025-11-20T16:31:34+0200"), "2025-11-20T14:31:34Z"),
            (json!("2025-11-20T14:31:34"), "2025-11-20T14:31:34Z"),
            (json!("2025-11-20 14:31:34.5"), "2025-11-20T14:31:34.500Z"),
            (json!("2025-11-20 14:31:34Z"), "2025-11-20T14:31:34Z"),
        ] {
            assert_eq!(parse_time(&value), Some(at(wanted)), "{value}");
        }
        for value in
            [json!("yesterday"), json!(""), json!(true), json!(-1), json!(1e300), json!([]), json!("NaN"), json!("inf")]
        {
            assert_eq!(parse_time(&value), None, "{value}");
        }
    }

    #[test]
    fn an_unreadable_time_is_that_of_receipt() {
        let (clock, mut errors) = (clock("2026-11-20T12:00:00.123456789Z", None), Errors::default());
        assert_eq!(clock.event_time(&mut errors, &Path::Root, json!("x")), at("2026-11-20T12:00:00.123456Z"));
        assert_eq!(errors.list[0].kind, "invalid_data");
        assert_eq!(clock.event_time(&mut errors, &Path::Root, Value::Null), at("2026-11-20T12:00:00.123456Z"));
        assert_eq!(errors.list.len(), 1);
    }

    #[test]
    fn times_that_cannot_be_true_are_replaced() {
        let received = "2026-11-20T12:00:00Z";
        for (sent, wanted, kind) in [
            ("2026-11-20T12:00:59Z", "2026-11-20T12:00:59Z", None),
            ("2026-11-20T12:01:01Z", received, Some("future_timestamp")),
            ("2026-10-22T12:00:00Z", "2026-10-22T12:00:00Z", None),
            ("2026-10-20T12:00:00Z", received, Some("past_timestamp")),
        ] {
            let mut errors = Errors::default();
            let clock = clock(received, Some(received)).happened(Some(&json!(sent)));
            let time = clock.event_time(&mut errors, &Path::Root, json!(sent));
            assert_eq!(time, at(wanted), "{sent}");
            assert_eq!(errors.list.first().map(|error| error.kind.as_str()), kind, "{sent}");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_corrected() {
        let mut errors = Errors::default();
        let wrong = clock("2026-11-20T12:00:00Z", Some("2031-01-01T00:00:10Z"));
        assert_eq!(
            wrong.event_time(&mut errors, &Path::Root, json!("2031-01-01T00:00:00Z")),
            at("2026-11-20T11:59:50Z")
        );
        assert_eq!(errors.list[0].kind, "clock_drift");
        let tolerated = clock("2026-11-20T12:00:00Z", Some("2026-11-20T11:10:00Z"));
        assert_eq!(
            tolerated.time(&mut errors, &Path::Root, json!("2026-11-20T11:00:00Z")),
            Some(at("2026-11-20T11:00:00Z"))
        );
    }

    #[test]
    fn nothing_is_sent_later_than_it_is_received() {
        for (sent_at, wanted) in [
            ("2026-11-20T12:00:59Z", "2026-11-20T12:00:30Z"),
            ("2026-11-20T12:01:01Z", "2026-11-20T11:59:29Z"),
            ("2026-11-20T12:54:30Z", "2026-11-20T11:06:00Z"),
            ("2026-11-20T11:58:00Z", "2026-11-20T12:00:30Z"),
        ] {
            let time = clock("2026-11-20T12:00:00Z", Some(sent_at)).read(&json!("2026-11-20T12:00:30Z"));
            assert_eq!(time, Some(at(wanted)), "{sent_at}");
        }
    }

    #[test]
    fn what_has_ended_ended_before_it_was_received() {
        let received = "2026-11-20T12:00:00Z";
        for (sent_at, end, wanted) in [
            (None, "2026-11-20T12:10:00Z", "2026-11-20T11:59:55Z"),
            (None, "2126-11-20T12:10:00Z", "2026-11-20T11:59:55Z"),
            (None, "2026-11-20T12:00:50Z", "2026-11-20T12:00:45Z"),
            (None, "2025-11-20T12:00:00Z", "2025-11-20T11:59:55Z"),
            // Put right already, and put right too little.
            (Some("2026-11-20T12:10:01Z"), "2026-11-20T12:10:00Z", "2026-11-20T11:59:54Z"),
            (Some("2026-11-20T12:10:00Z"), "2026-11-20T13:00:00Z", "2026-11-20T11:59:55Z"),
        ] {
            let start = at(end) - TimeDelta::seconds(5);
            let clock = clock(received, sent_at).ended(Some(&json!(end)));
            assert_eq!(clock.read(&json!(start.to_rfc3339())), Some(at(wanted)), "{sent_at:?} {end}");
        }
        assert_eq!(clock(received, None).ended(None).shift, TimeDelta::zero());
    }
}
