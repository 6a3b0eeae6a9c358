//! What keeps a night from its restart, and from its backup.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::checks;
use super::facts;
use super::model::{Check, CheckStatus, Outcome};
use super::restart::SERVICES;
use super::store::Store;
use crate::state::ServiceStatus;
use crate::task::RestartRules;

/// Why a restart by schedule leaves web and worker as they are. `data` is shown as the path of the working directory.
pub(super) fn reason(
    checks: &[Check],
    services: &[ServiceStatus],
    rules: &RestartRules,
    data: &Path,
    now: DateTime<Utc>,
) -> Option<String> {
    let full = facts::disks(data).first().map(|disk| disk.used_percent);
    let last = Store::open(Path::new(".")).and_then(|store| store.list()).unwrap_or_default();
    let last = last.into_iter().find(|report| report.result != Outcome::Skipped);
    let failed = last.filter(|report| report.result == Outcome::Failed).map(|report| now - report.finished_at);
    decide(checks, services, rules, full, failed)
}

/// Why there is no backup either: nobody could read the database, or it is about to change.
pub(super) fn backup_reason(checks: &[Check], services: &[ServiceStatus]) -> Option<String> {
    unwell(checks, "postgres", "PostgreSQL").or_else(|| migrating(services))
}

/// `failed` is how long ago the last restart failed.
fn decide(
    checks: &[Check],
    services: &[ServiceStatus],
    rules: &RestartRules,
    disk_percent: Option<f64>,
    failed: Option<TimeDelta>,
) -> Option<String> {
    let full = || {
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
        let percent = disk_percent.filter(|percent| *percent > rules.max_disk_percent as f64)?;
        Some(format!("the disk of the data directory is {percent:.1}% full"))
    };
    let breaker = || {
        let hours = i64::try_from(rules.breaker_h).unwrap_or(i64::MAX);
        let age = failed.filter(|age| TimeDelta::try_hours(hours).is_some_and(|hours| *age < hours))?;
        Some(format!("the last restart failed {} h ago", age.num_hours().max(0)))
    };
    unwell(checks, "postgres", "PostgreSQL")
        .or_else(|| unwell(checks, "redis", "Redis"))
        .or_else(|| migrating(services))
        .or_else(full)
        .or_else(breaker)
        .or_else(|| young(services, rules.min_uptime_h))
}

/// Neither web nor worker has run for long. What an operator has stopped does not count.
fn young(services: &[ServiceStatus], hours: u64) -> Option<String> {
    let ages: Vec<(&str, u64)> = SERVICES
        .iter()
        .filter_map(|name| checks::find(services, name).filter(|service| !checks::is_stopped(service)))
        .map(|service| (service.name.as_str(), service.uptime_s.unwrap_or(0)))
        .collect();
    let oldest = ages.iter().map(|(_, seconds)| *seconds).max()?;
    let names: Vec<&str> = ages.iter().map(|(name, _)| *name).collect();
    (oldest / 3_600 < hours).then(|| format!("{} came up less than {hours} h ago", names.join(" and ")))
}

fn unwell(checks: &[Check], name: &str, shown: &str) -> Option<String> {
    let check = checks.iter().find(|check| check.name == name && check.status == CheckStatus::Failed)?;
    Some(format!("{shown} is not well: {}", check.detail))
}

fn migrating(services: &[ServiceStatus]) -> Option<String> {
    let migrate = checks::find(services, "migrate").filter(|service| service.state != "done")?;
    Some(format!("the database is being migrated ({})", migrate.state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, status: CheckStatus) -> Check {
        Check { name: name.to_owned(), status, ms: 1, detail: "it is not running".to_owned() }
    }

    fn service(name: &str, state: &str) -> ServiceStatus {
        serde_json::from_value(serde_json::json!({
            "name": name, "state": state, "pid": null, "generation": 1, "uptime_s": null, "restarts": 0,
            "health": "ok", "last_exit": null, "ready_ms": null, "draining": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_restart_by_schedule_is_skipped_for_a_reason_and_only_then() {
        let well = [
            check("postgres", CheckStatus::Ok),
            check("redis", CheckStatus::Absent),
            check("web", CheckStatus::Failed),
        ];
        let services = [service("migrate", "done")];
        let decide = |checks: &[Check], services: &[ServiceStatus], disk, failed| {
            super::decide(checks, services, &RestartRules::default(), disk, failed)
        };
        assert_eq!(decide(&well, &services, Some(95.0), None), None, "web that is ill is what a restart is for");
        let redis = [check("postgres", CheckStatus::Ok), check("redis", CheckStatus::Failed)];
        assert_eq!(decide(&redis, &services, None, None).unwrap(), "Redis is not well: it is not running");
        let migrating = decide(&well, &[service("migrate", "running")], None, None).unwrap();
        assert!(migrating.contains("migrated (running)"), "{migrating}");
        assert!(decide(&well, &services, Some(95.1), None).unwrap().contains("95.1% full"));
        let failed = |age| decide(&well, &services, None, Some(age));
        assert_eq!(failed(TimeDelta::minutes(200)).unwrap(), "the last restart failed 3 h ago");
        // At 03:01:15, and now it is 03:01:00 again.
        assert_eq!(failed(TimeDelta::hours(24) - TimeDelta::seconds(15)), None);
    }

    #[test]
    fn disk_breaker_and_youth_are_as_the_rules_say() {
        let rules = RestartRules { max_disk_percent: 80, breaker_h: 2, min_uptime_h: 6, ..RestartRules::default() };
        let aged = |name: &str, state: &str, uptime_s| ServiceStatus { uptime_s, ..service(name, state) };
        let old = [aged("web", "ready", Some(3_600)), aged("worker", "ready", Some(6 * 3_600))];
        let decide = |services: &[ServiceStatus], disk, failed| super::decide(&[], services, &rules, disk, failed);
        assert_eq!(decide(&old, Some(80.0), Some(TimeDelta::hours(2))), None, "one of them is old enough");
        assert!(decide(&old, Some(80.1), None).unwrap().contains("80.1% full"));
        assert_eq!(decide(&old, None, Some(TimeDelta::minutes(119))).unwrap(), "the last restart failed 1 h ago");
        let young = [aged("web", "ready", Some(3_600)), aged("worker", "ready", Some(6 * 3_600 - 1))];
        assert_eq!(decide(&young, None, None).unwrap(), "web and worker came up less than 6 h ago");
        let alone = [aged("web", "ready", Some(9)), aged("worker", "stopped", None)];
        assert_eq!(decide(&alone, None, None).unwrap(), "web came up less than 6 h ago");
        assert_eq!(decide(&[aged("postgres", "ready", Some(1))], None, None), None, "there is none of them");
        let off = RestartRules { breaker_h: 0, ..RestartRules::default() };
        assert_eq!(super::decide(&[], &young, &off, Some(95.0), Some(TimeDelta::zero())), None);
    }

    #[test]
    fn only_a_database_that_cannot_be_read_or_is_migrated_keeps_a_night_from_its_backup() {
        let done = [service("migrate", "done")];
        assert_eq!(
            backup_reason(&[check("redis", CheckStatus::Failed), check("web", CheckStatus::Failed)], &done),
            None
        );
        assert!(backup_reason(&[check("postgres", CheckStatus::Failed)], &done).unwrap().contains("PostgreSQL"));
        assert!(backup_reason(&[], &[service("migrate", "starting")]).unwrap().contains("migrated"));
    }
}
