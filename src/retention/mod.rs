//! How long what is stored lives. Pure: settings and a time in, limits out.
//!
//! Days are UTC days, as those of the event partitions. An event goes with its whole day, once all of that day lies
//! further back than the life of events: with a life of 90 days, on the 91st day after it.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::config::Config;

/// A re-delivery comes within seconds, or when a worker has been away; nobody waits for it longer.
const RECEPTION_LIFE: Days = Days::new(2);

/// Workers take up a new payload dictionary within minutes; so long the old one may still be written with.
const DICTIONARY_OVERLAP: TimeDelta = TimeDelta::days(2);

/// What is kept, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Events received on this day or later, and what is counted for them.
    pub events_from: NaiveDate,
    /// What is counted of transactions received on this day or later.
    pub transactions_from: NaiveDate,
    /// Notes on receptions settled on this day or later.
    pub receptions_from: NaiveDate,
    /// Files changed at this time or later.
    pub files_from: DateTime<Utc>,
}

impl Kept {
    /// What `config` keeps at `now`.
    pub fn at(now: DateTime<Utc>, config: &Config) -> Self {
        let back = |days: Days| now.date_naive().checked_sub_days(days).unwrap_or(NaiveDate::MIN);
        let life = |days: u32| Days::new(u64::from(days));
        Self {
            events_from: back(life(config.event_life_days)),
            transactions_from: back(life(config.transaction_life_days)),
            receptions_from: back(RECEPTION_LIFE),
            files_from: now.checked_sub_days(life(config.file_life_days)).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }

    /// True for an event received on `day` when such are not kept any more.
    pub fn has_expired(&self, day: NaiveDate) -> bool {
        day < self.events_from
    }

    /// From when on issues and what is counted for them are kept, while the events of `days` are there: nothing is
    /// taken from under an event whose day could not be dropped yet.
    pub fn issues_from(&self, days: &BTreeSet<NaiveDate>) -> DateTime<Utc> {
        start_of(days.first().copied().unwrap_or(self.events_from).min(self.events_from))
    }

    /// A payload dictionary that was replaced before this time is needed by no event of `days`.
    pub fn dictionaries_from(&self, days: &BTreeSet<NaiveDate>) -> DateTime<Utc> {
        let oldest = start_of(days.first().copied().unwrap_or(self.events_from));
        oldest.checked_sub_signed(DICTIONARY_OVERLAP).unwrap_or(oldest)
    }
}

/// Midnight at the beginning of a UTC day.
pub fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_lookup(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
            .unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn lives_count_in_utc_days_whatever_the_hour() {
        let config = config(&[
            ("GLITCHTIP_MAX_EVENT_LIFE_DAYS", "90"),
            ("GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS", "180"),
            ("GLITCHTIP_MAX_FILE_LIFE_DAYS", "30"),
            ("TZ", "Asia/Shanghai"),
        ]);
        for now in ["2026-11-20T00:00:00Z", "2026-11-20T15:59:59Z", "2026-11-20T16:00:00Z", "2026-11-20T23:59:59.9Z"] {
            let kept = Kept::at(at(now), &config);
            assert_eq!(kept.events_from, day("2026-08-22"), "{now}");
            assert_eq!(kept.transactions_from, day("2026-05-24"), "{now}");
            assert_eq!(kept.receptions_from, day("2026-11-18"), "{now}");
            assert!(kept.has_expired(day("2026-08-21")) && !kept.has_expired(day("2026-08-22")), "{now}");
        }
        let kept = Kept::at(at("2026-11-20T12:00:00Z"), &config);
        assert_eq!(kept.files_from, at("2026-10-21T12:00:00Z"));
        // The last moment of a day is 90 whole days back when the day goes.
        let kept = Kept::at(at("2026-11-21T00:00:00Z"), &config);
        assert_eq!(kept.events_from, day("2026-08-23"));
    }

    #[test]
    fn the_other_lives_are_that_of_events_unless_they_are_set() {
        let kept = |pairs: &[(&str, &str)]| Kept::at(at("2026-11-20T12:00:00Z"), &config(pairs));
        let default = kept(&[]);
        assert_eq!((default.events_from, default.transactions_from), (day("2026-08-22"), day("2026-08-22")));
        assert_eq!(default.files_from, at("2026-08-22T12:00:00Z"));
        let week = kept(&[("GLITCHTIP_MAX_EVENT_LIFE_DAYS", "7")]);
        assert_eq!((week.events_from, week.transactions_from), (day("2026-11-13"), day("2026-11-13")));
        assert_eq!(week.files_from, at("2026-11-13T12:00:00Z"));
        let longest = kept(&[("GLITCHTIP_MAX_EVENT_LIFE_DAYS", "36500")]);
        assert_eq!(longest.events_from, day("1926-12-15"));
    }

    #[test]
    fn nothing_goes_from_under_events_that_are_still_there() {
        let kept = Kept::at(at("2026-11-20T12:00:00Z"), &config(&[]));
        let days = |list: &[&str]| -> BTreeSet<NaiveDate> { list.iter().map(|text| day(text)).collect() };
        assert_eq!(kept.issues_from(&days(&["2026-11-19"])), at("2026-08-22T00:00:00Z"));
        assert_eq!(kept.issues_from(&days(&["2026-08-01", "2026-11-19"])), at("2026-08-01T00:00:00Z"));
        assert_eq!(kept.issues_from(&days(&[])), at("2026-08-22T00:00:00Z"));
        assert_eq!(kept.dictionaries_from(&days(&["2026-11-19"])), at("2026-11-17T00:00:00Z"));
        assert_eq!(kept.dictionaries_from(&days(&["2026-08-01", "2026-11-19"])), at("2026-07-30T00:00:00Z"));
    }
}
