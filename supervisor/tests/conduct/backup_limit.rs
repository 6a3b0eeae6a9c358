//! A backup that hangs does not keep other tasks waiting for ever.

use std::time::Instant;

use super::appliance::{Appliance, wait_until};

const PLAN: &str = "
[backup]
within_s = 5
[service.prepare]
kind = \"bundled\"
oneshot = true
[service.postgres]
kind = \"bundled\"
after = [\"prepare\"]
ready = \"probe\"
";

#[test]
fn a_backup_that_waits_for_a_lock_is_broken_off_and_leaves_nothing() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let tables = "create table locked (n int); create table _sqlx_migrations (version bigint, success bool)";
    appliance.done(&["psql", "--", "-d", "glitchbox", "-c", tables]);
    let lock = "begin; lock table locked in access exclusive mode; select pg_sleep(600)";
    let mut holder = appliance.bare_command(&["psql", "--", "-d", "glitchbox", "-c", lock]).spawn().unwrap();
    let held = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted \
                and relation = 'locked'::regclass";
    let is_held = || appliance.done(&["psql", "--", "-d", "glitchbox", "-Atc", held]) == "1\n";
    wait_until(is_held, || appliance.output());
    let began = Instant::now();
    let said = appliance.refused(&["backup", "create"]);
    assert!(said.contains("It was not over within 5 s: it was broken off."), "{said}");
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    assert_eq!(std::fs::read_dir(appliance.path("data/backups")).unwrap().count(), 0);
    // The next one has its turn.
    holder.kill().unwrap();
    holder.wait().unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' \
               and pid <> pg_backend_pid()";
    appliance.done(&["psql", "--", "-d", "glitchbox", "-c", end]);
    wait_until(|| appliance.command(&["backup", "create"]).status.success(), || appliance.output());
    assert_eq!(appliance.stop(), 0);
}
