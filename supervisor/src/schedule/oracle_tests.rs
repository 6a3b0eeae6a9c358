//! The planner against a clock that is looked at every minute.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, TimeZone, Timelike, Weekday};
use chrono_tz::Tz;

use super::*;

/// One zone for every kind of rule there is, and those where most people live.
const ZONES: [&str; 46] = [
    "UTC",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Singapore",
    "Asia/Dubai",
    "Asia/Tehran",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Gaza",
    "Asia/Nicosia",
    "Asia/Yangon",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Athens",
    "Europe/Kyiv",
    "Europe/Chisinau",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Atlantic/Azores",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Lagos",
    "Africa/Johannesburg",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Halifax",
    "America/Havana",
    "America/Mexico_City",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Nuuk",
    "Antarctica/Troll",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
];

const YEARS: [i32; 3] = [2024, 2025, 2026];

/// A time of the wall clock.
type Wall = NaiveDateTime;

/// What a line means: whether it names this time.
type Meaning = fn(Wall) -> bool;

/// Lines of every kind that people write, and what each of them means.
const LINES: [(&str, Meaning); 9] = [
    ("1 3 * * *", |wall| (wall.hour(), wall.minute()) == (3, 1)),
    ("30 2 * * *", |wall| (wall.hour(), wall.minute()) == (2, 30)),
    ("0 0 * * *", |wall| (wall.hour(), wall.minute()) == (0, 0)),
    ("0 * * * *", |wall| wall.minute() == 0),
    ("*/15 * * * *", |wall| wall.minute().is_multiple_of(15)),
    ("30 2 * * sun", |wall| (wall.hour(), wall.minute()) == (2, 30) && wall.weekday() == Weekday::Sun),
    ("15 1 * * mon-fri", |wall| {
        (wall.hour(), wall.minute()) == (1, 15) && !matches!(wall.weekday(), Weekday::Sat | Weekday::Sun)
    }),
    ("30 2 31 * *", |wall| (wall.hour(), wall.minute(), wall.day()) == (2, 30, 31)),
    ("1 3 29 2 *", |wall| (wall.hour(), wall.minute(), wall.day(), wall.month()) == (3, 1, 29, 2)),
];

/// For so long before and after each change of the clock.
const AROUND: TimeDelta = TimeDelta::hours(14);

fn wall(zone: Tz, at: DateTime<Utc>) -> Wall {
    zone.from_utc_datetime(&at.naive_utc()).naive_local()
}

/// The spans of a year in which something can go wrong: around each change of the clock, and at the ends of months.
fn spans(zone: Tz, year: i32) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let day =
        |month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
    let offset = |at| wall(zone, at) - at.naive_utc();
    let mut middles = vec![day(3, 1), day(4, 1), day(9, 1)];
    let mut at = day(1, 1);
    while at < day(12, 31) {
        let next = at + TimeDelta::hours(1);
        if offset(next) != offset(at) {
            middles.push(at);
        }
        at = next;
    }
    middles.into_iter().map(|middle| (middle - AROUND, middle + AROUND)).collect()
}

/// Every minute of a span with the minutes of the wall clock that are reached then for the first time.
fn minutes(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(DateTime<Utc>, Vec<Wall>)> {
    let minute = TimeDelta::minutes(1);
    let mut at = from - TimeDelta::hours(25);
    let mut farthest = wall(zone, at);
    let mut found = Vec::new();
    while at < to {
        at += minute;
        let mut reached = Vec::new();
        while farthest < wall(zone, at) {
            farthest += minute;
            reached.push(farthest);
        }
        if at > from && !reached.is_empty() {
            found.push((at, reached));
        }
    }
    found
}

#[test]
fn in_every_kind_of_zone_every_kind_of_line_comes_when_a_clock_looked_at_every_minute_says() {
    let mut gaps = 0;
    let mut folds = 0;
    let mut compared = 0;
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        for (from, to) in YEARS.into_iter().flat_map(|year| spans(zone, year)) {
            let minutes = minutes(zone, from, to);
            gaps += minutes.iter().filter(|(_, reached)| reached.len() > 1).count();
            folds += usize::from(minutes.len() < usize::try_from((to - from).num_minutes()).unwrap());
            for (line, means) in LINES {
                let wanted: Vec<DateTime<Utc>> = minutes
                    .iter()
                    .filter(|(_, reached)| reached.iter().any(|wall| means(*wall)))
                    .map(|(at, _)| *at)
                    .collect();
                let mut planner = Planner::new(Line::parse(line).unwrap(), Zone::Named(zone), from, []);
                let mut came = Vec::new();
                let mut now = from;
                while let Some(next) = planner.look(now).next.filter(|next| next.at <= to) {
                    now = next.at;
                    came.push(now);
                }
                assert_eq!(came, wanted, "{name} {line} from {from} to {to}");
                compared += came.len();
            }
        }
    }
    assert!(gaps > 80 && folds > 80 && compared > 50_000, "{gaps} gaps, {folds} folds, {compared} times");
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn however_the_clock_is_set_nothing_comes_twice_and_what_the_clock_runs_through_comes() {
    for (seed, name, line) in [
        (1, "UTC", "1 3 * * *"),
        (2, "Europe/Berlin", "0 * * * *"),
        (3, "America/New_York", "30 2 * * *"),
        (4, "Australia/Lord_Howe", "*/15 * * * *"),
        (5, "Asia/Shanghai", "7 7 * * *"),
        (6, "Africa/Casablanca", "20 * * * sat,sun"),
    ] {
        let mut random = Random(seed);
        let (line, zone) = (Line::parse(line).unwrap(), Zone::parse(name).unwrap());
        let mut now: DateTime<Utc> = "2026-03-20T00:00:30Z".parse().unwrap();
        let mut planner = Planner::new(line.clone(), zone, now, []);
        let mut came: Vec<Moment> = Vec::new();
        let mut passed = BTreeSet::new();
        for _ in 0..300 {
            // It runs for some hours ...
            let end = now + TimeDelta::seconds(random.below(10 * 3_600));
            let times = line.after(zone.wall(now) - TimeDelta::hours(2)).filter_map(|wall| zone.moment(wall));
            passed.extend(times.take_while(|at| *at <= end + TimeDelta::hours(2)).filter(|at| now < *at && *at <= end));
            loop {
                let decision = planner.look(now);
                came.extend(decision.due);
                let Some(next) = decision.next.filter(|next| next.at <= end) else { break };
                assert!(next.at > now);
                now = next.at;
            }
            // ... and is looked at once more before it is set: by a day, an hour, or a little.
            now = end;
            came.extend(planner.look(now).due);
            let sign = 1 - 2 * random.below(2);
            now += match random.below(4) {
                0 => TimeDelta::days(sign),
                1 => TimeDelta::hours(sign),
                2 => TimeDelta::milliseconds(sign * random.below(1_500)),
                _ => TimeDelta::seconds(sign * random.below(3_600)),
            };
            if random.below(3) == 0 {
                let done: Vec<Moment> = planner.done().collect();
                planner = Planner::new(line.clone(), zone, now, done);
            }
        }
        let distinct: BTreeSet<DateTime<Utc>> = came.iter().map(|moment| moment.at).collect();
        assert_eq!(distinct.len(), came.len(), "{name}: something came twice");
        let walls: BTreeSet<Wall> = came.iter().map(|moment| moment.wall).collect();
        assert_eq!(walls.len(), came.len(), "{name}: something came twice");
        let missing: Vec<_> = passed.difference(&distinct).collect();
        assert!(missing.is_empty() && !passed.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn jitter_moves_everything_by_the_same_and_loses_nothing() {
    let jitter = TimeDelta::seconds(1_234);
    for name in ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Shanghai"] {
        let zone = Zone::parse(name).unwrap();
        for line in ["1 3 * * *", "30 2 * * *", "*/15 * * * *"] {
            let from: DateTime<Utc> = "2026-02-01T00:00:00Z".parse().unwrap();
            let times = |mut planner: Planner, from: DateTime<Utc>| {
                let mut now = from;
                let mut came = Vec::new();
                while let Some(next) = planner.look(now).next.filter(|next| next.at <= from + TimeDelta::days(70)) {
                    now = next.at;
                    came.push(now);
                }
                came
            };
            let plain = times(Planner::new(Line::parse(line).unwrap(), zone, from, []), from);
            let late = Planner::new(Line::parse(line).unwrap(), zone, from + jitter, []).delayed_by(jitter);
            let late: Vec<_> = times(late, from + jitter).into_iter().map(|at| at - jitter).collect();
            assert_eq!(late, plain, "{name} {line}");
        }
    }
}
