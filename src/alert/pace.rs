//! How fast messages go out to one address, whichever projects they are of: what its service takes.
//!
//! The throttle counts per project and destination; a bot that serves many projects would still get more than its
//! service lets through, and some services then take nothing at all for ten minutes.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use glitchbox_notify::Limits;

/// The paces of this process, by address.
#[derive(Debug, Default)]
pub struct Paces {
    /// Addresses are secrets: only their hashes are kept.
    hasher: RandomState,
    known: Mutex<HashMap<u64, Pace>>,
}

/// What went out to one address within the last minute.
#[derive(Debug, Default)]
struct Pace {
    sent: VecDeque<DateTime<Utc>>,
    rests_until: Option<DateTime<Utc>>,
}

impl Paces {
    /// Counts a message as going out now.
    ///
    /// # Errors
    /// When it may.
    pub fn claim(&self, address: &str, limits: &Limits, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, pace| pace.matters(now));
        known.entry(self.hasher.hash_one(address)).or_default().claim(limits, now)
    }

    /// Nothing goes out to the address before `until`: its service has had enough.
    pub fn rest(&self, address: &str, until: DateTime<Utc>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(self.hasher.hash_one(address)).or_default().rests_until = Some(until);
    }
}

impl Pace {
    fn matters(&self, now: DateTime<Utc>) -> bool {
        self.rests_until.is_some_and(|until| until > now)
            || self.sent.back().is_some_and(|last| now - *last < TimeDelta::minutes(1))
    }

    fn claim(&mut self, limits: &Limits, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        // What a clock that was ahead has noted holds nothing back.
        self.sent.retain(|sent| *sent <= now && now - *sent < TimeDelta::minutes(1));
        let rests_until = self.rests_until.filter(|until| *until > now);
        let next = [(limits.per_minute, TimeDelta::minutes(1)), (limits.per_second, TimeDelta::seconds(1))]
            .into_iter()
            .filter_map(|(most, span)| self.full_until(most, span))
            .chain(rests_until)
            .max()
            .filter(|next| *next > now);
        if let Some(next) = next {
            return Err(next);
        }
        self.sent.push_back(now);
        Ok(())
    }

    /// When the span that has its `most` messages by now takes one more.
    fn full_until(&self, most: u32, span: TimeDelta) -> Option<DateTime<Utc>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let first = self.sent.len().checked_sub(most)?;
        self.sent.get(first).map(|sent| *sent + span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 0, per_minute: 20, per_second: 5 };

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_780_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn no_span_ever_has_more_than_its_service_takes() {
        let paces = Paces::default();
        let (mut now, mut sent) = (at(0), Vec::new());
        while sent.len() < 100 {
            match paces.claim("https://bot.example/x", &LIMITS, now) {
                Ok(()) => sent.push(now),
                Err(next) => {
                    assert!(next > now);
                    now = next;
                }
            }
        }
        let most_within = |span: TimeDelta| {
            sent.iter().map(|from| sent.iter().filter(|to| **to >= *from && **to - *from < span).count()).max()
        };
        assert_eq!((most_within(TimeDelta::minutes(1)), most_within(TimeDelta::seconds(1))), (Some(20), Some(5)));
        // And no less than it takes.
        assert_eq!(*sent.last().unwrap(), at(4 * 60_000 + 3_000));
    }

    #[test]
    fn addresses_do_not_wait_for_each_other_and_those_that_rest_are_left_alone() {
        let paces = Paces::default();
        for _ in 0..5 {
            paces.claim("a", &LIMITS, at(0)).unwrap();
        }
        assert_eq!(paces.claim("a", &LIMITS, at(10)), Err(at(1_000)));
        paces.claim("b", &LIMITS, at(10)).unwrap();
        paces.rest("b", at(600_000));
        assert_eq!(paces.claim("b", &LIMITS, at(590_000)), Err(at(600_000)));
        paces.claim("b", &LIMITS, at(600_000)).unwrap();
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nothing_back_and_nothing_is_kept_for_ever() {
        let paces = Paces::default();
        for _ in 0..5 {
            paces.claim("a", &LIMITS, at(86_400_000)).unwrap();
        }
        paces.claim("a", &LIMITS, at(0)).unwrap();
        paces.claim("b", &LIMITS, at(200_000_000)).unwrap();
        assert_eq!(paces.known.lock().unwrap().len(), 1);
    }
}
