//! What is looked after at night beside web and worker: the database's state on disk, its partitions and statistics.

use std::time::Duration;

use chrono::{Days, NaiveDate};

use super::model::{Check, CheckStatus, Database, System};
use super::restart::say;
use super::{queue, sql};
use crate::task::{Place, PostgresPlace, RedisPlace, RestartRules};

/// A disk fuller than this, in percent, is told.
const DISK_TIGHT: f64 = 90.0;

/// Age of the oldest transaction at which vacuum has a problem: half of what PostgreSQL can bear.
const OLD_TRANSACTION: u64 = 1_000_000_000;

/// A worker makes partitions a week ahead, every hour: with fewer days than this, it has not done so for days.
const DAYS_AHEAD: Days = Days::new(3);

/// A checkpoint that takes longer goes on without us.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(30);

/// Redis answers at once or not at all.
const QUEUE_WITHIN: Duration = Duration::from_secs(5);

/// Has the bundled PostgreSQL, if it is well, write everything down: should it die tonight, it is back at once. Returns
/// what somebody should look at.
pub(super) async fn checkpoint(place: &Place, checks: &[Check]) -> Option<String> {
    let PostgresPlace::Bundled { bin, superuser_password, .. } = &place.postgres else { return None };
    checks.iter().find(|check| check.name == "postgres" && check.status == CheckStatus::Ok)?;
    let (bin, password) = (bin.clone(), superuser_password.clone());
    let written = tokio::task::spawn_blocking(move || sql::checkpoint(&bin, &password, CHECKPOINT_WITHIN)).await;
    match written.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => {
            say("PostgreSQL has made a checkpoint");
            None
        }
        Err(error) => Some(format!("PostgreSQL made no checkpoint: {error}")),
    }
}

/// How many entries wait in the queue at this moment, if the rules ask for it and it can be told.
pub(super) async fn backlog(place: &Place, rules: &RestartRules) -> Option<u64> {
    let (RedisPlace::Bundled { password }, Some(_)) = (&place.redis, rules.max_backlog) else { return None };
    let facts = tokio::time::timeout(QUEUE_WITHIN, queue::facts(password)).await;
    facts.ok()?.ok().map(|facts| facts.depth.entries)
}

/// What somebody should look at on the machine and in the database.
pub(super) fn warnings(system: &System, database: Option<&Database>, today: NaiveDate) -> Vec<String> {
    let tight = system.disk.iter().filter(|disk| disk.used_percent > DISK_TIGHT);
    let mut warnings: Vec<String> =
        tight.map(|disk| format!("the disk of {} is {:.1}% full", disk.path, disk.used_percent)).collect();
    let Some(pg) = database else { return warnings };
    if pg.xid_age > OLD_TRANSACTION {
        warnings.push(format!("PostgreSQL's oldest transaction is {} behind: vacuum has a problem", pg.xid_age));
    }
    if let Some(failures) = pg.checksum_failures.filter(|failures| *failures > 0) {
        warnings.push(format!("PostgreSQL has found {failures} damaged pages: restore a backup"));
    }
    let soon = today.checked_add_days(DAYS_AHEAD);
    if let Some(until) = pg.partitions_until.filter(|until| Some(*until) < soon) {
        warnings.push(format!("the table of events has partitions until {until} only: no worker makes new ones"));
    }
    if !pg.stale.is_empty() {
        let tables = pg.stale.join(", ");
        warnings.push(format!("statistics are out of date, autovacuum does not keep up: analyze {tables}"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Disk;

    #[test]
    fn what_somebody_should_look_at_is_told_and_nothing_else() {
        let disk = |used_percent| Disk { path: "/data".to_owned(), total: 9, free: 1, used_percent };
        let today: NaiveDate = "2026-11-26".parse().unwrap();
        let mut system = System { disk: vec![disk(90.0)], ..System::default() };
        let mut database: Database = serde_json::from_value(serde_json::json!({
            "version": "17.1", "size": 1, "wal": null, "conns": 1, "max_conns": 2, "xid_age": 5,
            "checksum_failures": 0, "partitions_until": "2026-11-29", "stale": [],
        }))
        .unwrap();
        assert_eq!(warnings(&system, Some(&database), today), [""; 0]);
        system.disk = vec![disk(90.1)];
        database.xid_age = OLD_TRANSACTION + 1;
        database.checksum_failures = Some(2);
        database.partitions_until = "2026-11-28".parse().ok();
        database.stale = vec!["event".to_owned(), "issue".to_owned()];
        let found = warnings(&system, Some(&database), today);
        for (warning, part) in
            found.iter().zip(["90.1% full", "vacuum", "2 damaged", "until 2026-11-28 only", "analyze event, issue"])
        {
            assert!(warning.contains(part), "{warning}");
        }
        assert_eq!(found.len(), 5);
        assert_eq!(warnings(&system, None, today).len(), 1);
    }
}
