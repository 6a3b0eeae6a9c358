//! Time zones: wall clock to moment and back.

use std::fmt;

use chrono::{DateTime, Days, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A moment is at most so far from the same digits read as UTC.
const FARTHEST: TimeDelta = TimeDelta::hours(26);

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// One of the IANA database.
    Named(Tz),
    /// A fixed distance from UTC.
    Fixed(FixedOffset),
}

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self::Named(Tz::UTC);

    /// Reads a name such as `Asia/Shanghai`, or a POSIX rule without summer time such as `CST-8` (which is east of UTC).
    ///
    /// # Errors
    /// What is wrong with it, beginning with the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(zone) = text.parse() {
            return Ok(Self::Named(zone));
        }
        match posix(text) {
            Some((offset, "")) => Ok(Self::Fixed(offset)),
            Some(_) => Err(format!(
                "{text:?} is a rule with summer time of its own; use the name of a time zone such as Europe/Berlin"
            )),
            None => Err(format!("{text:?} is not a time zone such as Asia/Shanghai")),
        }
    }

    /// The wall clock at a moment.
    pub fn wall(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + self.offset(at)
    }

    /// The first moment at which the wall clock shows `wall` or, if it skips that, has gone past it. `None` for a date
    /// that never was there (the day that Samoa left out in 2011).
    pub fn moment(self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let found = match self {
            Self::Named(zone) => zone.from_local_datetime(&wall).map(|at| at.to_utc()),
            Self::Fixed(offset) => offset.from_local_datetime(&wall).map(|at| at.to_utc()),
        };
        match found {
            MappedLocalTime::Single(at) => Some(at),
            MappedLocalTime::Ambiguous(one, other) => Some(one.min(other)),
            MappedLocalTime::None => self.after_gap(wall),
        }
    }

    /// Where the gap ends in which `wall` lies: between two moments around it, halved until they meet.
    fn after_gap(self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let mut before = wall.and_utc() - FARTHEST;
        let mut after = wall.and_utc() + FARTHEST;
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if self.wall(middle) < wall { before = middle } else { after = middle }
        }
        let midnight = wall.date().and_time(chrono::NaiveTime::MIN);
        let gap = self.wall(before) + TimeDelta::seconds(1)..self.wall(after);
        let is_date_skipped = gap.start <= midnight && midnight + Days::new(1) <= gap.end;
        (!is_date_skipped).then_some(after)
    }

    fn offset(self, at: DateTime<Utc>) -> FixedOffset {
        match self {
            Self::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
            Self::Fixed(offset) => offset,
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Fixed(offset) => write!(f, "UTC{offset}"),
        }
    }
}

/// The standard time of a POSIX rule, and what stands behind it: `CST-8`, `<+0330>-3:30`, `UTC0`.
fn posix(text: &str) -> Option<(FixedOffset, &str)> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    if text.len() - rest.len() < 3 {
        return None;
    }
    let (west, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    let (hours, behind) = rest.split_at_checked(rest.len() - digits.len())?;
    let mut parts = hours.split(':').map(|part| part.parse::<i32>().ok());
    let hour = parts.next()?.filter(|hour| (0..=24).contains(hour))?;
    let mut sixtieth = || parts.next().unwrap_or(Some(0)).filter(|part| (0..60).contains(part));
    let (minute, second) = (sixtieth()?, sixtieth()?);
    Some((FixedOffset::west_opt(west * (hour * 3_600 + minute * 60 + second))?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(zone: &str, wall: &str) -> Option<String> {
        let zone = Zone::parse(zone).unwrap();
        zone.moment(wall.parse().unwrap()).map(|at| at.format("%F %T").to_string())
    }

    #[test]
    fn gaps_end_and_folds_come_first() {
        for (zone, wall, expected) in [
            ("Europe/Athens", "2026-03-29T03:01:00", "2026-03-29 01:00:00"),
            ("Europe/Athens", "2026-10-25T03:01:00", "2026-10-25 00:01:00"),
            ("Europe/Athens", "2026-06-01T03:01:00", "2026-06-01 00:01:00"),
            ("America/Sao_Paulo", "2018-11-04T00:01:00", "2018-11-04 03:00:00"),
            ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03 15:30:00"),
            ("CST-8", "2026-03-29T03:01:00", "2026-03-28 19:01:00"),
        ] {
            assert_eq!(moment(zone, wall).as_deref(), Some(expected), "{zone} {wall}");
        }
        assert_eq!(moment("Pacific/Apia", "2011-12-30T03:01:00"), None, "a day that never was");
        assert_eq!(moment("Pacific/Apia", "2011-12-31T03:01:00").as_deref(), Some("2011-12-30 13:01:00"));
    }

    #[test]
    fn names_and_fixed_rules_are_known() {
        for (text, shown) in [
            ("Asia/Shanghai", "Asia/Shanghai"),
            ("UTC", "UTC"),
            ("EST5EDT", "EST5EDT"),
            ("CST-8", "UTC+08:00"),
            ("<+0330>-3:30", "UTC+03:30"),
            ("UTC0", "UTC+00:00"),
            ("NST+3:30", "UTC-03:30"),
        ] {
            assert_eq!(Zone::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_not_a_time_zone_is_named() {
        for text in ["Mars/Olympus", "Asia/Shangai", "CET-1CEST,M3.5.0,M10.5.0/3", "", "8", "A-8", "CST-99", "CST-8:99"]
        {
            let error = Zone::parse(text).unwrap_err();
            assert!(error.starts_with(&format!("{text:?} ")), "{error}");
        }
        assert!(Zone::parse("CET-1CEST").unwrap_err().contains("summer time"));
    }
}
