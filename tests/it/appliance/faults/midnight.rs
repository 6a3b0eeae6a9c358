//! Everything restarted, and web and worker killed, while the day changes (UTC).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Trial;
use crate::support::preload;

const DAY: u64 = 24 * 60 * 60;

/// From the moment the clock is set until midnight: the start of the instance, and some load of the old day.
const BEFORE: u64 = 12;

/// The clock of the supervisor, web and worker is ahead of the machine's, so that midnight comes while the test runs.
/// PostgreSQL's is not: days and hours are those that the edge stamps.
#[test]
fn events_around_midnight_keep_their_day() {
    let (mut ahead, mut midnight) = (0, 0);
    let mut trial = Trial::with(|instance| {
        let library = preload::moved_clock(instance.root());
        ahead = (2 * DAY - now() % DAY - BEFORE) % DAY;
        midnight = now() + ahead + BEFORE;
        instance.set_env("LD_PRELOAD", library.to_str().unwrap());
        instance.set_env("CLOCK_AHEAD_S", &ahead.to_string());
    });
    let there = || now() + ahead;
    trial.load();
    assert!(there() + 2 < midnight, "the start took so long that there is no load left for the old day");
    trial.until("midnight to be near", Duration::from_secs(BEFORE), || there() + 2 >= midnight);
    trial.break_connections(|trial| {
        trial.instance.kill_everything();
        trial.instance.start();
    });
    trial.until("midnight", Duration::from_secs(BEFORE), || there() > midnight);
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
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
