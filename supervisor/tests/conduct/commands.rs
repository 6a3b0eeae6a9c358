//! The operator's commands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::appliance::{Appliance, SUPERVISOR, wait_until};

const PLAN: &str = r#"
[service.counter]
kind = "exec"
command = ["sh", "-c", "echo counting; i=0; while :; do i=$((i+1)); echo count $i; sleep 0.1; done"]
[service.quiet]
kind = "exec"
command = ["sleep", "1000"]
after = ["counter"]
"#;

#[test]
fn status_start_stop_and_restart() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let shown = appliance.done(&["status"]);
    assert!(shown.starts_with(&format!("glitchbox {} in ", env!("CARGO_PKG_VERSION"))), "{shown}");
    assert!(shown.contains("all is well"), "{shown}");
    let (_, table) = shown.split_once("\n\n").unwrap();
    assert!(table.starts_with("NAME     STATE"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colours are for terminals");
    let service = appliance.service("quiet");
    let fields: Vec<&String> = service.as_object().unwrap().keys().collect();
    for field in ["generation", "health", "last_exit", "name", "pid", "restarts", "state", "uptime_s"] {
        assert!(fields.iter().any(|known| *known == field), "{field}: {fields:?}");
    }
    assert!(service["memory_bytes"].as_u64().unwrap() > 100_000 && service["processes"] == 1, "{service}");
    assert!(service["cpu_s"].as_f64().unwrap() >= 0.0 && service["rss_bytes"].as_u64().is_some(), "{service}");
    assert_eq!(appliance.done(&["stop", "quiet"]), "quiet is stopped\n");
    assert_eq!(appliance.service("quiet")["state"], "stopped");
    assert_eq!(appliance.command(&["status"]).status.code(), Some(1));
    assert!(appliance.done(&["start", "quiet"]).contains("quiet is ready"));
    assert!(appliance.done(&["restart", "counter"]).contains("generation 2"));
    assert_eq!(appliance.service("quiet")["generation"], 2, "the others are left alone");
    let sentence = appliance.refused(&["restart", "countr"]);
    assert_eq!(sentence, "supervisor: There is no service \"countr\"; did you mean \"counter\"?\n");
    appliance.refused(&["stop", "../x"]);
}

#[test]
fn logs_shows_the_last_lines_and_follows() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("count 3");
    let last = appliance.done(&["logs", "-n", "2", "counter"]);
    assert_eq!(last.lines().count(), 2, "{last}");
    assert!(last.lines().all(|line| line.contains(" counter | count ")), "{last}");
    assert!(appliance.done(&["logs", "supervisor"]).contains("supervisor | counter: ready"));
    assert!(appliance.refused(&["logs", "nobody"]).contains("there are: counter, quiet"));
    let mut follower = Command::new(SUPERVISOR)
        .args(["logs", "-f", "-n", "1", "counter", "--data-dir"])
        .arg(appliance.path("data"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines().take(5);
    let numbers: Vec<u64> = lines.map(|line| line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(appliance.stop(), 0);
    wait_until(|| follower.try_wait().unwrap().is_some(), || "the follower's end".to_owned());
    assert!(follower.wait().unwrap().success(), "an ordered stop is an ordered end of the log");
}

#[test]
fn without_an_appliance_every_command_says_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["status"][..], &["start", "web"], &["logs"], &["healthcheck"], &["psql"], &["redis-cli"]] {
        let output = Command::new(SUPERVISOR).env("DATA_DIR", folder.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {text}");
        assert!(text.lines().count() == 1 && text.contains(folder.path().to_str().unwrap()), "{arguments:?} {text}");
    }
}

#[test]
fn every_command_has_help() {
    let commands = [
        "run",
        "check",
        "status",
        "start",
        "stop",
        "restart",
        "reload",
        "logs",
        "healthcheck",
        "psql",
        "redis-cli",
        "notify",
    ];
    for command in commands {
        let output = Command::new(SUPERVISOR).args([command, "--help"]).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(b""), "{command}");
        assert!(output.stdout.len() > 60, "{command}");
    }
}

#[test]
fn check_tells_everything_that_is_wrong_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, "[service.a]\nkind = \"exec\"\ncolour = 1\n").unwrap();
    let output = Command::new(SUPERVISOR)
        .env_clear()
        .env("PORT", "none")
        .args(["check", "--config"])
        .arg(&plan)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(15), "{text}");
    for part in ["line 1: service.a.command", "line 3: service.a.colour", "PORT: \"none\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
