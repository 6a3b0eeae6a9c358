//! Lines of crontab.

use chrono::{DateTime, NaiveDateTime, Utc};
use cron::Schedule;

/// Weekdays as the `cron` crate wants them; by number it would count from Sunday as 1.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The times of the wall clock that a line of crontab names. With six fields the first one is the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    source: String,
    /// Two when both a day of the month and a weekday are named: then either is enough.
    parts: Vec<Schedule>,
}

impl Line {
    /// Reads a line such as `1 3 * * *`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(source: &str) -> Result<Self, String> {
        let fields: Vec<&str> = source.split_ascii_whitespace().collect();
        let (second, fields) = match fields.split_first() {
            Some((first, rest)) if rest.len() == 5 => (*first, rest),
            _ => ("0", fields.as_slice()),
        };
        let &[minute, hour, day, month, weekday] = fields else {
            return Err(format!("\"{source}\" has not the five fields minute, hour, day, month and weekday"));
        };
        let plain = |field: &&str| field.chars().all(|c| c.is_ascii_alphanumeric() || "*,-/".contains(c));
        if let Some(field) = [second, minute, hour, day, month, weekday].into_iter().find(|field| !plain(field)) {
            return Err(format!("\"{source}\": \"{field}\" is not a field of crontab"));
        }
        let weekdays =
            weekdays(weekday).ok_or_else(|| format!("\"{source}\": \"{weekday}\" is no list of weekdays"))?;
        // As cron has it: a field that begins with a star does not choose.
        let days = if day.starts_with('*') || weekday.starts_with('*') {
            vec![(day, weekdays.as_str())]
        } else {
            vec![(day, "*"), ("*", weekdays.as_str())]
        };
        let parts = days.into_iter().map(|(day, weekday)| {
            let line = format!("{second} {minute} {hour} {day} {month} {weekday}");
            line.parse::<Schedule>().map_err(|_| format!("\"{source}\" is not a line of crontab such as \"1 3 * * *\""))
        });
        let line = Self { source: source.to_owned(), parts: parts.collect::<Result<_, _>>()? };
        let comes = line.after(DateTime::UNIX_EPOCH.naive_utc()).next().is_some();
        if comes { Ok(line) } else { Err(format!("\"{source}\" names a date that never comes")) }
    }

    /// The times after `wall`, in order.
    pub fn after(&self, wall: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        // The wall clock is counted as if it were UTC, where nothing is skipped or repeated.
        let wall = wall.and_utc();
        merge(self.parts.iter().map(|part| part.after(&wall)).collect(), DateTime::lt)
    }

    /// The times before `wall`, the latest first.
    pub fn before(&self, wall: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let wall = wall.and_utc();
        merge(self.parts.iter().map(|part| part.after(&wall).rev()).collect(), DateTime::gt)
    }

    /// The line as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// Several ordered rows of times as one, each time once.
fn merge<I: Iterator<Item = DateTime<Utc>>>(
    rows: Vec<I>,
    comes_first: fn(&DateTime<Utc>, &DateTime<Utc>) -> bool,
) -> impl Iterator<Item = NaiveDateTime> {
    let mut rows: Vec<_> = rows.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let heads = rows.iter_mut().filter_map(|row| row.peek().copied());
        let first = heads.reduce(|one, other| if comes_first(&other, &one) { other } else { one })?;
        for row in &mut rows {
            row.next_if_eq(&first);
        }
        Some(first.naive_utc())
    })
}

/// `1-5`, `MON,WED`, `*/2`, 0 and 7 both Sunday: as a list of names.
fn weekdays(field: &str) -> Option<String> {
    let mut chosen = [false; 7];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((first, last)) => {
                let (first, last) = (weekday(first)?, weekday(last)?);
                // "5-SUN": up to the Sunday that comes after.
                (first, if last == 0 && first > 0 { 7 } else { last })
            }
            // A step without a range would choose one day only: surely not what was meant.
            None if step.is_some() => return None,
            None => (weekday(range)?, weekday(range)?),
        };
        if first > last {
            return None;
        }
        for day in (first..=last).step_by(step.unwrap_or(1)) {
            *chosen.get_mut(day % 7)? = true;
        }
    }
    if chosen == [true; 7] {
        return Some("*".to_owned());
    }
    let names = WEEKDAYS.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| name);
    Some(names.collect::<Vec<_>>().join(","))
}

fn weekday(word: &str) -> Option<usize> {
    let by_name = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(word));
    by_name.or_else(|| word.parse().ok().filter(|number| *number <= 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(line: &str, from: &str, count: usize) -> Vec<String> {
        let line = Line::parse(line).unwrap();
        let from = from.parse().unwrap();
        line.after(from).take(count).map(|wall| wall.format("%a %d %H:%M:%S").to_string()).collect()
    }

    #[test]
    fn lines_mean_what_cron_means() {
        // 2026-11-20 is a Friday.
        let from = "2026-11-20T12:00:00";
        assert_eq!(times("1 3 * * *", from, 2), ["Sat 21 03:01:00", "Sun 22 03:01:00"]);
        assert_eq!(times("0 20 * * 0", from, 1), ["Sun 22 20:00:00"]);
        assert_eq!(times("0 20 * * 7", from, 1), ["Sun 22 20:00:00"]);
        assert_eq!(times("0 9 * * 1-5", from, 2), ["Mon 23 09:00:00", "Tue 24 09:00:00"]);
        assert_eq!(times("0 9 * * 5-7", from, 3), ["Sat 21 09:00:00", "Sun 22 09:00:00", "Fri 27 09:00:00"]);
        assert_eq!(times("0 9 * * fri-sun", from, 2), ["Sat 21 09:00:00", "Sun 22 09:00:00"]);
        assert_eq!(times("0 9 * * mon,WED", from, 2), ["Mon 23 09:00:00", "Wed 25 09:00:00"]);
        assert_eq!(times("0 9 * * */3", from, 3), ["Sat 21 09:00:00", "Sun 22 09:00:00", "Wed 25 09:00:00"]);
        assert_eq!(times("*/30 14-15 * * *", from, 3), ["Fri 20 14:00:00", "Fri 20 14:30:00", "Fri 20 15:00:00"]);
        assert_eq!(times("*/20 * * * * *", from, 2), ["Fri 20 12:00:20", "Fri 20 12:00:40"]);
        // The 22nd, or any Tuesday.
        assert_eq!(times("5 4 22 * 2", from, 2), ["Sun 22 04:05:00", "Tue 24 04:05:00"]);
        assert_eq!(times("5 4 24 * 2", from, 2), ["Tue 24 04:05:00", "Tue 01 04:05:00"]);
    }

    #[test]
    fn times_can_be_read_backwards() {
        let line = Line::parse("5 4 22 * 2").unwrap();
        let found: Vec<String> =
            line.before("2026-11-24T04:05:00".parse().unwrap()).take(2).map(|wall| wall.to_string()).collect();
        assert_eq!(found, ["2026-11-22 04:05:00", "2026-11-17 04:05:00"]);
    }

    #[test]
    fn what_is_no_line_is_said() {
        for (bad, part) in [
            ("", "five fields"),
            ("1 3 * *", "five fields"),
            ("@daily", "five fields"),
            ("61 3 * * *", "not a line of crontab"),
            ("1 24 * * *", "not a line of crontab"),
            ("1 3 * * 8", "weekdays"),
            ("1 3 * * 1/2", "weekdays"),
            ("1 3 * * fri-mon-tue", "weekdays"),
            ("*/0 * * * *", "not a line of crontab"),
            ("1 3 ? * *", "not a field"),
            ("1 3 30 2 *", "never comes"),
        ] {
            let error = Line::parse(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }
}
