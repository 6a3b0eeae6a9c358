use nix::sys::signal::Signal;

use super::*;
use crate::limits::{Confinement, Limits};
use crate::plan::{Ready, Run, StopStep};
use crate::schedule::Work;
use crate::task::RestartRules;

fn errors(source: &str) -> Vec<String> {
    parse(source).unwrap_err()
}

#[test]
fn the_plan_that_ships_is_valid_and_in_order() {
    let plan = parse(super::super::DEFAULT).unwrap();
    let names: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["prepare", "postgres", "redis", "migrate", "worker", "web", "banner"]);
    let postgres = &plan.services[plan.find("postgres").unwrap()];
    assert_eq!(postgres.stop[0].signal, Signal::SIGINT);
    assert_eq!(postgres.stop[1], StopStep { signal: Signal::SIGQUIT, at_ms: 8_500 });
    let web = &plan.services[plan.find("web").unwrap()];
    assert!(web.listen && web.overlap && web.ready == Ready::Notify);
    let at = |name: &str| plan.find(name).unwrap();
    let without = web.start_without.as_ref().unwrap();
    assert_eq!((&web.after, &without.services), (&vec![at("prepare"), at("migrate")], &vec![at("migrate")]));
    assert_eq!((without.after_ms, without.if_exists.as_str()), (3_000, "spool/keys"));
    assert_eq!(plan.services[at("migrate")].retry.as_ref().unwrap().exit, [75]);
    let [schedule] = &plan.schedules[..] else { panic!("{:?}", plan.schedules) };
    assert_eq!((schedule.line.source(), schedule.zone, schedule.work), ("1 3 * * *", None, Work::ScheduledRestart));
    assert_eq!(plan.backup, BackupRules { nightly: true, keep: 7, max_age_days: 30, within_s: 7_200 });
}

#[test]
fn faults_of_schedules_and_backups_are_told_with_their_lines() {
    let source = "\
[backup]
keep = 0
nightly = \"yes\"
within_s = 0
[schedule.one]
cron = \"1 25 * * *\"
task = \"dance\"
timezone = \"Mars/Olympus\"
jitter = 3
[schedule.two]
jitter_s = 86401
catch_up_s = -1
window = \"3-4\"
enabled = \"no\"
[schedule.three]
cron = \"1 3 * * *\"
task = \"backup\"
window = \"22:00-02:00\"
[schedule.four]
cron = \"*/30 * * * *\"
task = \"backup\"
jitter_s = 1800
window = \"02:00-05:00\"
[service.a]
kind = \"app\"
";
    assert_eq!(
        errors(source),
        [
            "line 2: backup.keep: must be a whole number from 1 to 10000",
            "line 3: backup.nightly: must be true or false",
            "line 4: backup.within_s: must be a whole number from 1 to 604800",
            "line 6: schedule.one.cron: \"1 25 * * *\" is not a line of crontab such as \"1 3 * * *\"",
            "line 7: schedule.one.task: \"dance\" is none of \"scheduled-restart\", \"backup\", \"backup-verify\"",
            "line 8: schedule.one.timezone: \"Mars/Olympus\" is not a time zone such as Asia/Shanghai",
            "line 9: schedule.one.jitter: unknown setting",
            "line 10: schedule.two.cron: is missing",
            "line 10: schedule.two.task: is missing",
            "line 11: schedule.two.jitter_s: must be a whole number from 0 to 86400",
            "line 12: schedule.two.catch_up_s: must be a whole number from 0 to 86400",
            "line 13: schedule.two.window: \"3-4\" is not a window such as \"02:00-05:00\"",
            "line 14: schedule.two.enabled: must be true or false",
            "line 18: schedule.three.window: no time of cron is within \"22:00-02:00\"",
            "line 23: schedule.four.window: cron comes up to 1800 s before the end of \"02:00-05:00\", and jitter_s goes beyond",
        ]
    );
}

#[test]
fn a_schedule_may_be_spread_caught_up_bounded_and_switched_off() {
    let source = "\
[schedule.one]
cron = \"1 3 * * *\"
task = \"backup-verify\"
jitter_s = 300
catch_up_s = 7200
window = \"02:00-05:00\"
[schedule.two]
cron = \"0 4 * * *\"
task = \"backup\"
enabled = false
[service.a]
kind = \"app\"
";
    let plan = parse(source).unwrap();
    let [schedule] = &plan.schedules[..] else { panic!("{:?}", plan.schedules) };
    assert_eq!((schedule.work, schedule.jitter_s, schedule.catch_up_s), (Work::BackupVerify, 300, 7_200));
    assert_eq!(schedule.window.unwrap().to_string(), "02:00-05:00");
    assert_eq!(schedule.rules, RestartRules::default());
    let plan = parse(super::super::DEFAULT).unwrap();
    assert_eq!((plan.schedules[0].jitter_s, plan.schedules[0].catch_up_s, plan.schedules[0].window), (0, 0, None));
}

#[test]
fn what_a_restart_keeps_to_is_read_and_checked() {
    let source = "\
[schedule.one]
cron = \"1 3 * * *\"
task = \"scheduled-restart\"
mode = \"report-only\"
only_if = { rss_mb = 200, uptime_h = 72 }
min_uptime_h = 6
max_backlog = 1000
max_disk_percent = 90
breaker_h = 0
[service.a]
kind = \"app\"
";
    let rules = parse(source).unwrap().schedules[0].rules;
    let expected = RestartRules {
        report_only: true,
        if_rss_mb: Some(200),
        if_uptime_h: Some(72),
        min_uptime_h: 6,
        max_backlog: Some(1_000),
        max_disk_percent: 90,
        breaker_h: 0,
    };
    assert_eq!(rules, expected);
    let source = source
        .replace("report-only", "dance")
        .replace("rss_mb = 200, uptime_h = 72", "")
        .replace("min_uptime_h = 6", "min_uptime_h = -1")
        .replace("= 1000", "= 1.5")
        .replace("= 90", "= 101")
        .replace("breaker_h = 0", "breaker_h = 9000");
    assert_eq!(
        errors(&source),
        [
            "line 4: schedule.one.mode: \"dance\" is none of \"recycle\", \"report-only\"",
            "line 5: schedule.one.only_if: needs rss_mb or uptime_h",
            "line 6: schedule.one.min_uptime_h: must be a whole number from 0 to 8784",
            "line 7: schedule.one.max_backlog: must be a whole number from 0 to 1000000000",
            "line 8: schedule.one.max_disk_percent: must be a whole number from 1 to 100",
            "line 9: schedule.one.breaker_h: must be a whole number from 0 to 8784",
        ]
    );
    let source = "\
[schedule.one]
cron = \"1 3 * * *\"
task = \"backup\"
breaker_h = 3
mode = \"recycle\"
[service.a]
kind = \"app\"
";
    assert_eq!(
        errors(source),
        [
            "line 4: schedule.one.breaker_h: is for task \"scheduled-restart\"",
            "line 5: schedule.one.mode: is for task \"scheduled-restart\"",
        ]
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let source = "\
[log]
files = 0
sise = 3
[service.one]
kind = \"exec\"
command = [\"/bin/true\"]
after = [\"tow\"]
[service.two]
kind = \"bundeled\"
colour = \"red\"
ready_within_s = -1
stop = [\"TERM\", \"QUIT@soon\"]
[service.Three]
oneshot = 1
";
    assert_eq!(
        errors(source),
        [
            "line 2: log.files: must be a whole number from 1 to 1000",
            "line 3: log.sise: unknown setting",
            "line 7: service.one.after: there is no service \"tow\" (did you mean \"two\"?)",
            "line 8: service.two.stop: the last step must be KILL, so that the stop has an end",
            "line 9: service.two.kind: \"bundeled\" is none of \"bundled\", \"app\", \"exec\"",
            "line 10: service.two.colour: unknown setting",
            "line 11: service.two.ready_within_s: must be a number of seconds, at most a day",
            "line 12: service.two.stop: \"QUIT@soon\" is not a step such as \"TERM\" or \"KILL@2.5\"",
            "line 13: \"Three\" cannot be the name of a service: at most 32 lower-case letters, digits and dashes",
            "line 13: service.Three.kind: is missing",
            "line 14: service.Three.oneshot: must be true or false",
        ]
    );
}

#[test]
fn a_circle_is_named() {
    let source = "\
[service.free]
kind = \"app\"
[service.a]
kind = \"app\"
after = [\"b\"]
[service.b]
kind = \"app\"
after = [\"a\"]
";
    assert_eq!(errors(source), ["line 3: these services wait for one another in a circle: a, b"]);
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let found = errors("[log]\nfiles = \n\n[service.a\n");
    assert!(found[0].starts_with("line 2: "), "{found:?}");
    assert!(found.iter().any(|error| error.starts_with("line 4: ")), "{found:?}");
    assert_eq!(errors(""), ["line 1: no service is defined"]);
}

#[test]
fn removing_a_service_hands_its_dependencies_on() {
    let mut plan = parse(super::super::DEFAULT).unwrap();
    plan.remove("postgres");
    let migrate = &plan.services[plan.find("migrate").unwrap()];
    let after: Vec<&str> = migrate.after.iter().map(|index| plan.services[*index].name.as_str()).collect();
    assert_eq!(after, ["prepare", "redis"]);
    plan.remove("redis");
    assert!(!plan.has_bundled("redis") && plan.has_bundled("prepare"));
}

#[test]
fn a_services_file_order_is_kept_where_there_is_a_choice() {
    let source =
        "[service.z]\nkind = \"app\"\n[service.m]\nkind = \"app\"\nafter = [\"a\"]\n[service.a]\nkind = \"app\"\n";
    let plan = parse(source).unwrap();
    let names: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    assert_eq!(plan.services[2].after, [1]);
}

#[test]
fn conditions_are_checked_and_count_only_with_their_file() {
    let source = "\
[service.a]
kind = \"app\"
retry = { exit = [75], if_exists = \"x\" }
[service.b]
kind = \"app\"
after = [\"a\"]
start_without = { services = [\"c\"], after_s = 3 }
[service.c]
kind = \"app\"
oneshot = true
retry = { exit = [0], if_exists = \"../x\", soon = 1 }
";
    assert_eq!(
        errors(source),
        [
            "line 3: service.a.retry: is for a oneshot; others are started again anyway",
            "line 7: service.b.start_without.if_exists: is missing",
            "line 7: service.b.start_without.services: \"c\" is not in service.b.after",
            "line 11: service.c.retry.exit: exit codes are whole numbers from 1 to 125",
            "line 11: service.c.retry.if_exists: must be a path within the data directory",
            "line 11: service.c.retry.soon: unknown setting",
        ]
    );
    let mut plan = parse(super::super::DEFAULT).unwrap();
    plan.remove("postgres");
    let (web, migrate) = (plan.find("web").unwrap(), plan.find("migrate").unwrap());
    assert_eq!(plan.services[web].start_without.as_ref().unwrap().services, [migrate]);
    plan.settle(|file| file == "spool/keys");
    assert!(plan.services[web].start_without.is_some() && plan.services[migrate].retry.is_some());
    plan.settle(|_| false);
    assert!(plan.services[web].start_without.is_none() && plan.services[migrate].retry.is_none());
}

#[test]
fn what_a_service_may_do_is_read_and_checked() {
    let source = "\
[service.a]
kind = \"exec\"
command = [\"x\"]
pass_env = [\"HTTPS_PROXY\"]
limits = { open_files = 100, processes = 20, memory_mb = 64, core_mb = 1 }
oom_score_adjust = -250
no_new_privs = false
capabilities = [\"CHOWN\", \"NET_BIND_SERVICE\"]
[service.b]
kind = \"app\"
";
    let plan = parse(source).unwrap();
    let confinement = &plan.services[0].confinement;
    let limits = Limits { open_files: Some(100), processes: Some(20), memory: Some(64 << 20), core: Some(1 << 20) };
    assert_eq!(confinement.limits, limits);
    assert_eq!((confinement.oom_score_adjust, confinement.no_new_privs), (-250, false));
    assert_eq!(confinement.capabilities, Some(1 | 1 << 10));
    assert!(matches!(&plan.services[0].run, Run::Exec { pass_env, .. } if pass_env[..] == ["HTTPS_PROXY"]));
    assert_eq!(plan.services[1].confinement, Confinement::default());
    assert_eq!(plan.services[1].confinement.limits.core, Some(0));
    let source = "\
[service.a]
kind = \"exec\"
command = [\"x\"]
user = \"nobody\"
pass_env = [\"A=B\"]
limits = { open_files = 1, files = 3, core_mb = -1 }
oom_score_adjust = 2000
no_new_privs = 1
capabilities = [\"CAP_CHOWN\"]
[service.b]
kind = \"app\"
pass_env = [\"A\"]
";
    assert_eq!(
        errors(source),
        [
            "line 1: service.a.capabilities: is for kind \"exec\" that runs as root; others have no rights to keep",
            "line 5: service.a.pass_env: \"A=B\" is not the name of a variable",
            "line 6: service.a.limits.core_mb: must be a whole number from 0 to 16777216",
            "line 6: service.a.limits.files: unknown setting",
            "line 6: service.a.limits.open_files: must be a whole number from 16 to 1073741824",
            "line 7: service.a.oom_score_adjust: must be a whole number from -1000 to 1000",
            "line 8: service.a.no_new_privs: must be true or false",
            "line 9: service.a.capabilities: \"CAP_CHOWN\" is not a capability such as \"NET_BIND_SERVICE\"",
            "line 12: service.b.pass_env: unknown setting",
        ]
    );
}

#[test]
fn the_bounds_of_the_log_files() {
    let service = "[service.a]\nkind = \"exec\"\ncommand = [\"true\"]\n";
    let plan = parse(&format!("[log]\nmax_size_mb = 2\nfiles = 3\ntotal_mb = 7\ntail_lines = 9\n{service}")).unwrap();
    let mb = 1024 * 1024;
    assert_eq!(plan.log, LogRules { max_bytes: 2 * mb, files: 3, total_bytes: 7 * mb, tail_lines: 9 });
    assert_eq!(parse(service).unwrap().log.total_bytes, 500 * mb);
    assert_eq!(
        errors(&format!("[log]\ntotal_mb = 9\n{service}")),
        ["line 1: log.total_mb: must not be less than max_size_mb, the size of one file"]
    );
    assert_eq!(
        errors(&format!("[log]\ntotal_mb = 0\n{service}")),
        ["line 2: log.total_mb: must be a whole number from 1 to 1048576"]
    );
}
