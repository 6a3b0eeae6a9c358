use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, NaiveTime};

use super::*;

/// Zones with a year whose transitions are of interest, and how many days of it had no 03:01 at all.
const ZONES: [(&str, i32, usize); 14] = [
    ("UTC", 2026, 0),
    ("Asia/Shanghai", 2026, 0),
    // The clock goes from 03:00 to 04:00 and back: 03:01 is left out in March and comes twice in October.
    ("Europe/Athens", 2026, 1),
    ("Europe/Kyiv", 2026, 1),
    ("Asia/Beirut", 2026, 0),
    ("Europe/Berlin", 2026, 0),
    ("America/New_York", 2026, 0),
    // Half an hour.
    ("Australia/Lord_Howe", 2026, 0),
    ("Asia/Kathmandu", 2026, 0),
    ("America/Sao_Paulo", 2018, 0),
    // From 03:00 to 04:00 in September, and a whole day left out in December.
    ("Pacific/Apia", 2011, 1),
    ("Africa/Casablanca", 2026, 0),
    ("Asia/Tehran", 2022, 0),
    ("CST-8", 2026, 0),
];

/// The clock of a machine that runs, is set, and is started again.
struct Machine {
    planner: Planner,
    now: DateTime<Utc>,
    fired: Vec<Moment>,
    missed: Vec<Moment>,
}

impl Machine {
    fn new(line: &str, zone: &str, from: &str) -> Self {
        let (line, zone) = (Line::parse(line).unwrap(), Zone::parse(zone).unwrap());
        let now = zone.moment(from.parse().unwrap()).unwrap();
        Self { planner: Planner::new(line, zone, now, []), now, fired: Vec::new(), missed: Vec::new() }
    }

    fn look(&mut self) -> Option<Moment> {
        let decision = self.planner.look(self.now);
        self.fired.extend(decision.due);
        self.missed.extend(decision.missed);
        decision.next
    }

    /// Runs for so long: the timer goes off exactly when it should.
    fn run(&mut self, time: TimeDelta) {
        let end = self.now + time;
        while let Some(next) = self.look().filter(|next| next.at <= end) {
            assert!(next.at > self.now, "the time to come has been there: {next:?}");
            self.now = next.at;
        }
        self.now = end;
    }

    fn set_clock(&mut self, by: TimeDelta) {
        self.now += by;
    }

    fn restart(&mut self) {
        let done: Vec<Moment> = self.planner.done().collect();
        self.planner = Planner::new(self.planner.line.clone(), self.planner.zone, self.now, done);
    }

    fn walls(&self) -> Vec<String> {
        self.fired.iter().map(|moment| moment.wall.to_string()).collect()
    }

    /// How often something was done on each date of the wall clock.
    fn dates(&self) -> BTreeMap<NaiveDate, usize> {
        let mut dates = BTreeMap::new();
        for moment in &self.fired {
            *dates.entry(self.planner.zone.wall(moment.at).date()).or_default() += 1;
        }
        dates
    }
}

/// Every date that zone had in that year.
fn dates_of(zone: Zone, year: i32) -> Vec<NaiveDate> {
    let dates = NaiveDate::from_ymd_opt(year, 1, 1)
        .unwrap()
        .iter_days()
        .take_while(|date| date.format("%Y").to_string() == year.to_string());
    dates.filter(|date| zone.moment(date.and_hms_opt(12, 0, 0).unwrap()).is_some()).collect()
}

#[test]
fn one_past_three_comes_once_on_every_day_of_the_year_in_every_zone() {
    for (name, year, left_out) in ZONES {
        for line in ["1 3 * * *", "1 0 * * *", "30 2 * * *", "15 1 * * *", "59 23 * * *"] {
            let mut machine = Machine::new(line, name, &format!("{year}-01-01T00:00:00"));
            let zone = machine.planner.zone;
            let end = zone.moment(NaiveDate::from_ymd_opt(year + 1, 1, 1).unwrap().and_time(NaiveTime::MIN)).unwrap();
            machine.run(end - machine.now - TimeDelta::seconds(1));
            let once: BTreeMap<NaiveDate, usize> = dates_of(zone, year).into_iter().map(|date| (date, 1)).collect();
            assert_eq!(machine.dates(), once, "{name} {line}");
            assert!(machine.missed.is_empty());
            let moved = machine.fired.iter().filter(|moment| zone.wall(moment.at) != moment.wall);
            if line == "1 3 * * *" {
                assert_eq!(moved.count(), left_out, "{name}");
            }
        }
    }
}

#[test]
fn in_a_gap_it_comes_at_its_end_and_in_a_fold_the_first_time() {
    let mut machine = Machine::new("1 3 * * *", "Europe/Athens", "2026-03-28T12:00:00");
    machine.run(TimeDelta::days(2));
    let at: Vec<String> = machine.fired.iter().map(|moment| moment.at.to_string()).collect();
    assert_eq!(at, ["2026-03-29 01:00:00 UTC", "2026-03-30 00:01:00 UTC"], "04:00 of the summer, then 03:01");
    let mut machine = Machine::new("1 3 * * *", "Europe/Athens", "2026-10-24T12:00:00");
    machine.run(TimeDelta::days(2));
    let at: Vec<String> = machine.fired.iter().map(|moment| moment.at.to_string()).collect();
    assert_eq!(at, ["2026-10-25 00:01:00 UTC", "2026-10-26 01:01:00 UTC"], "03:01 of the summer, then of the winter");
}

#[test]
fn a_clock_that_is_set_by_a_day_repeats_nothing() {
    for (name, year, _) in ZONES {
        // Around every transition, and on ordinary days: hour by hour through the year, the clock is set and set right.
        let mut machine = Machine::new("1 3 * * *", name, &format!("{year}-01-05T12:00:00"));
        for step in 0..160 {
            machine.run(TimeDelta::hours(37));
            let by = TimeDelta::days(if step % 2 == 0 { 1 } else { -1 });
            machine.set_clock(by);
            if step % 3 == 0 {
                machine.restart();
            }
            machine.run(TimeDelta::minutes(90));
            machine.set_clock(-by);
            if step % 5 == 0 {
                machine.restart();
            }
            machine.look();
        }
        let mut walls = machine.walls();
        let count = walls.len();
        walls.sort();
        walls.dedup();
        assert_eq!(walls.len(), count, "{name}: something was done twice");
        assert!(machine.dates().values().all(|times| *times == 1), "{name}");
        // An hour and a half out of 37 hours it was another day: what fell into that time may be left out.
        assert!(count >= 160 * 37 / 24 - 20, "{name}: {count}");
    }
}

#[test]
fn after_a_day_forward_and_back_the_right_days_follow() {
    let mut machine = Machine::new("1 3 * * *", "Asia/Shanghai", "2026-11-20T02:00:00");
    machine.look();
    machine.set_clock(TimeDelta::days(1));
    machine.run(TimeDelta::hours(2));
    assert_eq!(machine.walls(), ["2026-11-21 03:01:00"]);
    assert_eq!(machine.missed.len(), 1, "the 20th was passed over by more than an hour");
    machine.set_clock(-TimeDelta::days(1));
    machine.run(TimeDelta::days(3));
    assert_eq!(machine.walls(), ["2026-11-21 03:01:00", "2026-11-22 03:01:00", "2026-11-23 03:01:00"]);
}

#[test]
fn a_small_jump_over_the_time_does_it_late_and_a_restart_does_not() {
    let mut machine = Machine::new("1 3 * * *", "UTC", "2026-11-20T02:59:00");
    machine.look();
    machine.set_clock(TimeDelta::minutes(20));
    machine.look();
    assert_eq!(machine.walls(), ["2026-11-20 03:01:00"]);
    machine.set_clock(-TimeDelta::minutes(20));
    machine.run(TimeDelta::hours(3));
    assert_eq!(machine.fired.len(), 1, "set back, it has been done");

    let mut machine = Machine::new("1 3 * * *", "UTC", "2026-11-20T02:59:00");
    machine.look();
    machine.set_clock(TimeDelta::minutes(20));
    machine.restart();
    machine.run(TimeDelta::hours(3));
    assert!(machine.fired.is_empty() && machine.missed.is_empty(), "it was down then");
}

#[test]
fn a_restart_within_the_minute_does_not_do_it_again() {
    let mut machine = Machine::new("1 3 * * *", "Europe/Berlin", "2026-11-20T03:00:00");
    machine.run(TimeDelta::seconds(60));
    for _ in 0..5 {
        machine.restart();
        machine.set_clock(-TimeDelta::seconds(61));
        machine.run(TimeDelta::minutes(3));
        machine.set_clock(-TimeDelta::minutes(2));
    }
    assert_eq!(machine.walls(), ["2026-11-20 03:01:00"]);
}

#[test]
fn many_times_in_one_gap_come_up_as_one_and_a_fold_is_passed_once() {
    let mut machine = Machine::new("*/10 * * * *", "Europe/Athens", "2026-03-29T02:45:00");
    machine.run(TimeDelta::minutes(30));
    assert_eq!(machine.walls(), ["2026-03-29 02:50:00", "2026-03-29 04:00:00", "2026-03-29 04:10:00"]);
    let mut machine = Machine::new("*/30 * * * *", "Europe/Athens", "2026-10-25T02:59:00");
    machine.run(TimeDelta::minutes(150));
    assert_eq!(machine.walls(), ["2026-10-25 03:00:00", "2026-10-25 03:30:00", "2026-10-25 04:00:00"]);
}

#[test]
fn memory_is_bounded() {
    let mut machine = Machine::new("1 3 * * *", "UTC", "2026-01-01T00:00:00");
    machine.run(TimeDelta::days(900));
    assert_eq!(machine.fired.len(), 900);
    assert_eq!(machine.planner.done().count(), REMEMBERED);
    let last = machine.planner.done().last().unwrap();
    assert_eq!(last.wall.date(), NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(899));
}
