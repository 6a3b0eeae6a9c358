//! Everything restarted, and web and worker killed, while the day changes (UTC).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Trial;
use crate::support::preload;

const DAY: f64 = 24.0 * 60.0 * 60.0;

/// From the moment the clock is set until midnight: the start of the instance, and some load of the old day.
const BEFORE: f64 = 12.0;

/// What is killed so long before midnight comes back after it.
const JUST_BEFORE: f64 = 0.1;

/// The clock of the supervisor, web and worker is ahead of the machine's, so that midnight comes while the test runs.
/// PostgreSQL's is not: days and hours are those that the edge stamps.
#[test]
fn events_around_midnight_keep_their_day() {
    let mut midnight = 0.0;
    let mut trial = Trial::with(|instance| {
        let library = preload::moved_clock(instance.root());
        let ahead = (2.0 * DAY - now() % DAY - BEFORE) % DAY;
        midnight = now() + BEFORE;
        instance.set_env("LD_PRELOAD", library.to_str().unwrap());
        instance.set_env("LD_CLOCK_AHEAD_MS", &format!("{:.0}", ahead * 1000.0));
    });
    trial.load();
    let left = midnight - JUST_BEFORE - now();
    assert!(left > 2.0, "the start took so long that there is no load left for the old day");
    std::thread::sleep(Duration::from_secs_f64(left));
    trial.break_connections(|trial| {
        trial.instance.kill_everything();
        trial.instance.start();
    });
    trial.wait_for("worker", |_| true);
    std::thread::sleep(Duration::from_secs(1));
    trial.break_connections(|trial| trial.kill("web"));
    trial.kill("worker");
    std::thread::sleep(Duration::from_secs(1));
    trial.settle("everything killed just before midnight, web and worker just after it");
    let days = trial.instance.sql("select received_on from event group by 1 order by 1");
    assert_eq!(days.lines().count(), 2, "all events are of one day: {days}");
    let wrong = "select count(*) from event where received_on <> (received_at at time zone 'UTC')::date";
    assert_eq!(trial.instance.sql(wrong), "0");
}

/// Seconds since 1970, by the machine's clock.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
