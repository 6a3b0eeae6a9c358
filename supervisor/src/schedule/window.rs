//! Times of the day within which something may begin.

use std::fmt;

use chrono::{NaiveDateTime, NaiveTime, TimeDelta};

use super::Line;

/// Most steps taken to find out whether a line comes into a window: some years of nights.
const STEPS: usize = 3_000;

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

    /// Whether any time of the line is within it.
    pub fn meets(self, line: &Line) -> bool {
        let mut wall = chrono::DateTime::UNIX_EPOCH.naive_utc();
        for _ in 0..STEPS {
            let Some(next) = line.after(wall).next() else { return false };
            if self.holds(next) {
                return true;
            }
            // Whatever comes before the window opens again does not help.
            let opens = next.date().and_time(self.from);
            let opens = if opens > next { opens } else { opens + TimeDelta::days(1) };
            wall = opens - TimeDelta::seconds(1);
        }
        false
    }
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
        let meets = |line: &str, window: &str| Window::parse(window).unwrap().meets(&Line::parse(line).unwrap());
        assert!(meets("1 3 * * *", "02:00-05:00") && meets("* * * * *", "23:58-23:59"));
        assert!(meets("0 1,4 29 2 *", "22:00-02:00") && meets("*/7 * * * * *", "02:00-02:01"));
        assert!(!meets("1 3 * * *", "03:02-03:00") && !meets("1 3 * * *", "03:02-05:00"));
        assert!(!meets("0 12 29 2 *", "02:00-05:00"));
    }
}
