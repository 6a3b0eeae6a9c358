//! What is done by the clock, with the real clock.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::appliance::{Appliance, SUPERVISOR, wait_until};

const PLAN: &str = r#"
[schedule.one]
cron = "*/3 * * * * *"
task = "scheduled-restart"
timezone = "Asia/Kathmandu"
[schedule.two]
cron = "*/3 * * * * *"
task = "backup"
[service.quiet]
kind = "exec"
command = ["sleep", "1000"]
"#;

/// The times at which a schedule was due, each with the time of the log line.
fn due(appliance: &Appliance, schedule: &str) -> Vec<(NaiveDateTime, DateTime<Utc>)> {
    let mark = format!(" supervisor | schedule {schedule}: due at ");
    let output = appliance.output();
    let lines = output.lines().filter_map(|line| line.split_once(&mark));
    lines.map(|(at, wall)| (wall.replace(' ', "T").parse().unwrap(), at.parse().unwrap())).collect()
}

#[test]
fn the_timer_goes_off_on_the_second_and_one_task_runs_at_a_time() {
    let mut appliance = Appliance::start_with(PLAN, &[], &[("TZ", "CST-8")]);
    appliance.until_said("schedule one: next scheduled-restart at ");
    appliance.until_said("(Asia/Kathmandu)");
    appliance.until_said("schedule two: next backup at ");
    appliance.until_said("(UTC+08:00)");
    appliance.until_said("scheduled-restart: started (process ");
    appliance.until_said("is skipped: Busy: a scheduled restart has been running for 0 s.");
    let (wall, at) = due(&appliance, "one")[0];
    let late = at.naive_utc() + chrono::TimeDelta::minutes(5 * 60 + 45) - wall;
    assert!((0..1_500).contains(&late.num_milliseconds()), "{late}");
    let (wall, at) = due(&appliance, "two")[0];
    assert!((0..1_500).contains(&(at.naive_utc() + chrono::TimeDelta::hours(8) - wall).num_milliseconds()));
    let remembered = std::fs::read_to_string(appliance.path("data/run/schedules.json")).unwrap();
    let remembered: serde_json::Value = serde_json::from_str(&remembered).unwrap();
    for schedule in ["one", "two"] {
        assert!(!remembered["schedules"][schedule]["done"].as_array().unwrap().is_empty());
    }
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn while_frozen_everything_is_skipped_with_the_reason_also_after_a_restart() {
    let plan = PLAN.replace("scheduled-restart", "backup-verify");
    let mut appliance = Appliance::start(&plan);
    appliance.until_said("supervisor | ready in");
    let said = appliance.done(&["freeze", "--for", "1h", "--reason", "moving house"]);
    assert!(said.starts_with("Schedules are frozen until 20") && said.ends_with(" UTC: moving house\n"), "{said}");
    let status = |appliance: &Appliance| -> serde_json::Value {
        serde_json::from_str(&appliance.done(&["status", "--json"])).unwrap()
    };
    for _ in 0..2 {
        wait_until(
            || {
                let status = status(&appliance);
                let schedules = status["schedules"].as_array().unwrap();
                let skipped = |schedule: &serde_json::Value| schedule["last"]["result"] == "skipped";
                status["frozen"]["reason"] == "moving house" && schedules.iter().all(skipped)
            },
            || format!("{}\n{}", status(&appliance), appliance.output()),
        );
        let shown = appliance.done(&["status"]);
        assert!(
            shown.contains("schedule two: next backup at ") && shown.contains(" skipped: schedules are frozen until")
        );
        assert!(shown.lines().any(|line| line.starts_with("schedules are frozen until ")), "{shown}");
        appliance.until_said(" is skipped: schedules are frozen until ");
        assert_eq!(appliance.stop(), 0);
        appliance.start_again();
        appliance.until_said("supervisor | ready in");
    }
    assert_eq!(appliance.done(&["thaw"]), "Schedules are kept again\n");
    assert_eq!(appliance.done(&["thaw"]), "Schedules were not frozen\n");
    appliance.until_said("backup | ERROR There is no backup to be verified.");
    wait_until(
        || {
            let last = &status(&appliance)["schedules"][0]["last"];
            last["result"] == "failed" && last["reason"] == "There is no backup to be verified."
        },
        || format!("{}", status(&appliance)),
    );
    assert_eq!(status(&appliance)["frozen"], serde_json::Value::Null);
    assert_eq!(appliance.command(&["freeze", "--for", "2w"]).status.code(), Some(15));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn waiting_for_a_time_to_come_wakes_nobody() {
    let appliance = Appliance::start(&PLAN.replace("*/3 * * * * *", "1 3 29 2 *"));
    appliance.until_said("supervisor | ready in");
    let tasks = format!("/proc/{}/task", appliance.pid());
    let switches = || -> u64 {
        let texts = std::fs::read_dir(&tasks)
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
        let count = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:").map(str::to_owned));
            line.unwrap().trim().parse::<u64>().unwrap()
        };
        texts.map(count).sum()
    };
    // Once the start is over there are two seconds without a single wake-up; whoever looks at a clock has none.
    wait_until(
        || {
            let before = switches();
            std::thread::sleep(std::time::Duration::from_secs(2));
            switches() == before
        },
        || format!("two quiet seconds:\n{}", appliance.output()),
    );
}

#[test]
fn a_wrong_schedule_or_time_zone_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, PLAN.replace("*/3 * * * * *\"\ntask = \"backup", "1 25 * * *\"\ntask = \"backup")).unwrap();
    for command in ["check", "run"] {
        let mut supervisor = std::process::Command::new(SUPERVISOR);
        supervisor.env_clear().args([command, "--config"]).arg(&plan).arg("--data-dir").arg(folder.path().join("data"));
        let output = supervisor.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(15), "{text}");
        assert!(text.contains("line 7: schedule.two.cron: \"1 25 * * *\" is not a line of crontab"), "{text}");
    }
    std::fs::write(&plan, PLAN).unwrap();
    let mut supervisor = std::process::Command::new(SUPERVISOR);
    supervisor.env_clear().env("TZ", "Asia/Shangai").args(["run", "--config"]).arg(&plan);
    let output = supervisor.arg("--data-dir").arg(folder.path().join("data")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(15), "{text}");
    assert_eq!(text, "supervisor: TZ: \"Asia/Shangai\" is not a time zone such as Asia/Shanghai\n");
    assert!(!folder.path().join("data").exists());
}
