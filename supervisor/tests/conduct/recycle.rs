//! Restarts by the clock: what the rules of the plan let be replaced.

use serde_json::Value;

use super::appliance::{Appliance, wait_until};

const WORKER: &str = "
[service.worker]
kind = \"exec\"
command = [\"sleep\", \"1000\"]
";

/// An appliance whose worker is to be restarted every other second, as these rules say.
fn start(rules: &str, services: &str) -> Appliance {
    let schedule = "[schedule.often]\ncron = \"*/2 * * * * *\"\ntask = \"scheduled-restart\"\n";
    Appliance::start(&format!("[backup]\nnightly = false\n{schedule}{rules}\n{services}"))
}

/// The first report that is like this.
fn report(appliance: &Appliance, wanted: impl Fn(&Value) -> bool) -> Value {
    let folder = appliance.path("data/logs/reports");
    let mut found = None;
    wait_until(
        || {
            let Ok(entries) = std::fs::read_dir(&folder) else { return false };
            let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
            found = texts.filter_map(|text| serde_json::from_str(&text).ok()).find(|report| wanted(report));
            found.is_some()
        },
        || format!("such a report:\n{}", appliance.output()),
    );
    found.unwrap()
}

fn last(appliance: &Appliance) -> Value {
    let status: Value = serde_json::from_slice(&appliance.command(&["status", "--json"]).stdout).unwrap();
    status["schedules"][0]["last"].clone()
}

#[test]
fn for_a_report_only_nothing_is_replaced_and_by_hand_it_is_all_the_same() {
    let mut appliance = start("mode = \"report-only\"", WORKER);
    let report = report(&appliance, |report| report["trigger"] == "schedule");
    assert_eq!((&report["mode"], &report["result"]), (&"report-only".into(), &"ok".into()), "{report}");
    assert_eq!(report["checks_after"].as_array().unwrap().len(), 4);
    assert_eq!(report["actions"][0]["message"], "is not replaced: only a report was asked for");
    assert_eq!(report["actions"][0]["old_pid"], report["actions"][0]["new_pid"]);
    assert_eq!(appliance.service("worker")["generation"], 1);
    wait_until(|| last(&appliance)["result"] == "ok", || appliance.output());
    let by_hand = || appliance.command(&["scheduled-restart", "--json"]);
    let mut output = by_hand();
    wait_until(
        || {
            // The one by schedule may be running.
            let is_busy = output.status.code() == Some(4);
            if is_busy {
                output = by_hand();
            }
            !is_busy
        },
        || appliance.output(),
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["mode"], &report["result"]), (&"recycle".into(), &"ok".into()), "{report}");
    assert_ne!(report["actions"][0]["old_pid"], report["actions"][0]["new_pid"]);
    let warning = "by schedule worker would be left as it is: is not replaced: only a report was asked for";
    assert!(report["warnings"].as_array().unwrap().contains(&warning.into()), "{report}");
    assert_eq!(appliance.service("worker")["generation"], 2);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn only_what_is_big_or_old_is_replaced() {
    let mut appliance = start("only_if = { rss_mb = 500, uptime_h = 1 }", WORKER);
    let small = report(&appliance, |_| true);
    assert_eq!(small["result"], "ok", "{small}");
    let reason = small["reason"].as_str().unwrap();
    assert!(reason.starts_with("worker need not be replaced: ") && reason.ends_with(" MB, 0 h old"), "{reason}");
    assert_eq!(appliance.service("worker")["generation"], 1);
    assert_eq!(appliance.stop(), 0);
    // A shell that waits, with some 3 MB; sleep has less than 2.
    let big = WORKER.replace("\"sleep\", \"1000\"", "\"bash\", \"-c\", \"sleep 1000; true\"");
    let mut appliance = start("only_if = { rss_mb = 2, uptime_h = 1 }", &big);
    let report = report(&appliance, |report| report["result"] == "ok" && report["reason"].is_null());
    assert_ne!(report["actions"][0]["old_pid"], report["actions"][0]["new_pid"], "{report}");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_young_worker_or_a_full_disk_is_a_reason_to_skip() {
    for (rule, part) in [
        ("min_uptime_h = 1", "worker came up less than 1 h ago"),
        ("max_disk_percent = 1", "the disk of the data directory is "),
    ] {
        let mut appliance = start(rule, WORKER);
        let report = report(&appliance, |_| true);
        assert_eq!(report["result"], "skipped", "{report}");
        assert!(report["reason"].as_str().unwrap().starts_with(part), "{report}");
        wait_until(|| last(&appliance)["result"] == "skipped", || appliance.output());
        assert!(last(&appliance)["reason"].as_str().unwrap().starts_with(part), "{}", last(&appliance));
        assert_eq!(appliance.service("worker")["generation"], 1);
        assert_eq!(appliance.stop(), 0);
    }
}

#[test]
fn the_worker_stays_while_much_waits_in_the_queue() {
    let redis = "
[service.prepare]
kind = \"bundled\"
oneshot = true
[service.redis]
kind = \"bundled\"
after = [\"prepare\"]
ready = \"probe\"
";
    let mut appliance = start("max_backlog = 2", &format!("{redis}{WORKER}after = [\"redis\"]\n"));
    appliance.until_said("supervisor | ready in");
    for _ in 0..3 {
        appliance.done(&["redis-cli", "--", "XADD", "q:ingest", "*", "a", "1"]);
    }
    let stays = report(&appliance, |report| report["queue"]["before"]["entries"] == 3);
    assert_eq!(stays["reason"], "worker is not replaced: 3 entries wait in the queue", "{stays}");
    appliance.done(&["redis-cli", "--", "XTRIM", "q:ingest", "MAXLEN", "2"]);
    let goes = report(&appliance, |report| {
        report["queue"]["before"]["entries"] == 2 && report["started_at"].as_str() > stays["started_at"].as_str()
    });
    assert_ne!(goes["actions"][0]["old_pid"], goes["actions"][0]["new_pid"], "{goes}");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn the_database_makes_a_checkpoint_and_is_asked_for_partitions_and_statistics() {
    let postgres = "
[service.prepare]
kind = \"bundled\"
oneshot = true
[service.postgres]
kind = \"bundled\"
after = [\"prepare\"]
ready = \"probe\"
";
    let mut appliance = Appliance::start(&format!("{postgres}{WORKER}after = [\"postgres\"]\n"));
    appliance.until_said("supervisor | ready in");
    let report = || -> Value { serde_json::from_str(&appliance.done(&["scheduled-restart", "--json"])).unwrap() };
    let first = report();
    assert_eq!((&first["pg"]["partitions_until"], &first["pg"]["stale"]), (&Value::Null, &serde_json::json!([])));
    appliance.until_said("scheduled-restart | PostgreSQL has made a checkpoint");
    let sql = "create table event (received_on date) partition by range (received_on);
        create table event_1 partition of event for values from ('2020-02-28') to ('2020-02-29');
        create table event_2 partition of event for values from ('2020-02-29') to ('2020-03-01');
        create table big as select n from generate_series(1, 20000) n;
        alter table big set (autovacuum_enabled = off);
        analyze big;
        update big set n = n + 1; update big set n = n + 1";
    appliance.done(&["psql", "--", "-d", "glitchbox", "-c", sql]);
    let mut second = Value::Null;
    wait_until(
        || {
            second = report();
            // Statistics are told by the sessions when they end.
            second["pg"]["stale"] == serde_json::json!(["big"])
        },
        || appliance.output(),
    );
    assert_eq!(second["pg"]["partitions_until"], "2020-02-29");
    let warnings = second["warnings"].to_string();
    assert!(warnings.contains("partitions until 2020-02-29 only") && warnings.contains("analyze big"), "{warnings}");
    assert_eq!((&second["result"], appliance.stop()), (&"ok".into(), 0));
}
