//! Times of the day within which something may begin.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::Line;

/// From one time of the day up to another, which may be on the next day: `02:00-05:00`, `22:00-04:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: NaiveTime,
    to: NaiveTime,
}

impl Window {
    /// Reads `HH:MM-HH:MM`.
    ///
    /// # Errors
    /// What is wrong with it, beginning with the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a window such as \"02:00-05:00\"");
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| wrong());
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(format!("{text:?} is empty")) } else { Ok(Self { from, to }) }
    }

    /// Whether this time of the wall clock is within it.
    pub fn holds(self, wall: NaiveDateTime) -> bool {
        let time = wall.time();
        if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }

    /// How long before its end the last time of the line within it is; none when none is within it.
    pub fn margin(self, line: &Line) -> Option<TimeDelta> {
        // Every day that the line names has the same times.
        let day = line.after(chrono::DateTime::UNIX_EPOCH.naive_utc()).next()?.date();
        let (opens, closes, next) = (day.and_time(self.from), day.and_time(self.to), start_of(day.succ_opt()?));
        // A window over midnight has its end in the early part of a day.
        let parts = if self.from < self.to {
            [Some((opens, closes)), None]
        } else {
            [Some((start_of(day), closes)), Some((opens, next))]
        };
        let last =
            parts.into_iter().flatten().find_map(|(from, to)| line.before(to).next().filter(|wall| from <= *wall))?;
        let closes = if last < closes { closes } else { closes + TimeDelta::days(1) };
        Some(closes - last)
    }
}

/// Midnight before this day.
fn start_of(day: NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::MIN)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.format("%H:%M"), self.to.format("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_over_midnight() {
        let holds = |window: &str, time: &str| {
            Window::parse(window).unwrap().holds(format!("2026-11-20T{time}").parse().unwrap())
        };
        assert!(holds("02:00-05:00", "02:00:00") && holds("02:00-05:00", "04:59:59"));
        assert!(!holds("02:00-05:00", "01:59:59") && !holds("02:00-05:00", "05:00:00"));
        assert!(holds("22:00-04:00", "22:00:00") && holds("22:00-04:00", "03:59:59"));
        assert!(!holds("22:00-04:00", "04:00:00") && !holds("22:00-04:00", "21:59:59"));
        assert_eq!(Window::parse(" 2:00 - 05:00").unwrap().to_string(), "02:00-05:00");
    }

    #[test]
    fn what_is_no_window_is_said() {
        for text in ["", "02:00", "02:00-25:00", "2-5", "02:00-05:00-06:00"] {
            assert!(Window::parse(text).unwrap_err().contains("is not a window"), "{text}");
        }
        assert!(Window::parse("02:00-02:00").unwrap_err().contains("empty"));
    }

    #[test]
    fn a_line_that_never_comes_into_its_window_is_found() {
        let margin = |line: &str, window: &str| Window::parse(window).unwrap().margin(&Line::parse(line).unwrap());
        let meets = |line: &str, window: &str| margin(line, window).is_some();
        assert!(meets("1 3 * * *", "02:00-05:00") && meets("* * * * *", "23:58-23:59"));
        assert!(meets("0 1,4 29 2 *", "22:00-02:00") && meets("*/7 * * * * *", "02:00-02:01"));
        assert!(!meets("1 3 * * *", "03:02-03:00") && !meets("1 3 * * *", "03:02-05:00"));
        assert!(!meets("0 12 29 2 *", "02:00-05:00"));
        assert!(!meets("0 12 29 2 *", "22:00-04:00"));
    }

    #[test]
    fn it_is_known_how_long_before_its_end_a_line_comes_last() {
        let minutes = |line: &str, window: &str| {
            Window::parse(window).unwrap().margin(&Line::parse(line).unwrap()).unwrap().num_minutes()
        };
        assert_eq!(minutes("1 3 * * *", "02:00-05:00"), 119);
        assert_eq!(minutes("*/10 * * * *", "02:00-05:00"), 10);
        assert_eq!(minutes("0 1,23 * * *", "22:00-02:00"), 60);
        assert_eq!(minutes("30 23 * * 1", "22:00-02:00"), 150);
        assert_eq!(minutes("0 22 13 * 5", "22:00-00:00"), 120);
        assert_eq!(minutes("0 0 29 2 *", "22:00-02:00"), 120);
        assert_eq!(minutes("0 3,12 * * *", "02:00-05:00"), 120);
    }
}
