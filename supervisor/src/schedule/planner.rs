//! What is due, and when to look again. Pure: the time comes in.

use std::collections::VecDeque;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Line, Zone};

/// A time that a jump of the clock, or a sleep of the machine, has passed over still counts as due for so long.
const LATE: TimeDelta = TimeDelta::hours(1);

/// How many of those that have come up are remembered: more than a year's, once a day.
const REMEMBERED: usize = 400;

/// The wall clock is never repeated by more than this.
const LONGEST_FOLD: TimeDelta = TimeDelta::hours(25);

/// Most times looked at in one search.
const SEARCH: usize = 100_000;

/// A time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// As the line names it: the wall clock.
    pub wall: NaiveDateTime,
    /// When that is.
    pub at: DateTime<Utc>,
}

/// What comes of a look at the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To be done now, and remembered before.
    pub due: Option<Moment>,
    /// Passed over by too much to be done now.
    pub missed: Option<Moment>,
    /// When to look again.
    pub next: Option<Moment>,
}

/// One schedule, and what has become of it.
#[derive(Debug, Clone)]
pub struct Planner {
    line: Line,
    zone: Zone,
    /// Everything comes so much later than the line says.
    jitter: TimeDelta,
    /// What was passed over by no more than this is still done.
    late: TimeDelta,
    /// The clock at the last look.
    seen: DateTime<Utc>,
    /// What has come up, the latest last.
    done: VecDeque<Moment>,
}

impl Planner {
    /// A schedule looked at from `now` on: what was due before is not caught up. `done` has come up already.
    pub fn new(line: Line, zone: Zone, now: DateTime<Utc>, done: impl IntoIterator<Item = Moment>) -> Self {
        Self { line, zone, jitter: TimeDelta::zero(), late: LATE, seen: now, done: done.into_iter().collect() }
    }

    /// The same, with everything so much later than the line says.
    #[must_use]
    pub fn delayed_by(mut self, jitter: TimeDelta) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same, with what was passed over by no more than this still done; never less than an hour while it is looked at.
    #[must_use]
    pub fn late_within(mut self, late: TimeDelta) -> Self {
        self.late = late.max(LATE);
        self
    }

    /// Looks at the clock. What is due counts as done from here on.
    pub fn look(&mut self, now: DateTime<Utc>) -> Decision {
        let since = std::mem::replace(&mut self.seen, now);
        let passed = self.latest(now).filter(|moment| moment.at > since && !self.is_done(*moment));
        let (due, missed) = match passed {
            Some(moment) if now - moment.at <= self.late => (Some(moment), None),
            other => (None, other),
        };
        if let Some(moment) = due {
            self.settle(moment);
        }
        Decision { due, missed, next: self.next(now) }
    }

    /// The last time that came and went after `since` without coming up: nobody looked then.
    pub fn overslept(&self, now: DateTime<Utc>, since: DateTime<Utc>) -> Option<Moment> {
        self.latest(now).filter(|moment| moment.at > since && !self.is_done(*moment))
    }

    /// From here on this time has come up.
    pub fn settle(&mut self, moment: Moment) {
        self.done.push_back(moment);
        while self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
    }

    /// All that has come up and is remembered.
    pub fn done(&self) -> impl Iterator<Item = Moment> {
        self.done.iter().copied()
    }

    /// The zone the line is read in.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first time to come that has not come up already.
    fn next(&self, now: DateTime<Utc>) -> Option<Moment> {
        let times = self.line.after(self.zone.wall(now - self.jitter)).take(SEARCH);
        let mut moments = times.filter_map(|wall| self.moment(wall));
        moments.find(|moment| moment.at > now && !self.is_done(*moment))
    }

    /// The last time that is not to come.
    fn latest(&self, now: DateTime<Utc>) -> Option<Moment> {
        let wall = self.zone.wall(now);
        // While the clock repeats an hour, times ahead of it have been there before.
        let repeats = self.zone.wall(now - LONGEST_FOLD) + LONGEST_FOLD - wall;
        let from = wall + repeats.max(TimeDelta::zero()) + TimeDelta::seconds(1);
        let times = self.line.before(from).take(SEARCH);
        let mut moments = times.filter_map(|wall| self.moment(wall));
        moments.find(|moment| moment.at <= now)
    }

    fn moment(&self, wall: NaiveDateTime) -> Option<Moment> {
        Some(Moment { wall, at: self.zone.moment(wall)? + self.jitter })
    }

    /// Several times in one gap come up as one.
    fn is_done(&self, moment: Moment) -> bool {
        self.done.iter().any(|done| done.wall == moment.wall || done.at == moment.at)
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod oracle;
