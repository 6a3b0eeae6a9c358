//! Start in order of readiness, stop in reverse, exit codes.

use std::time::Instant;

use super::appliance::{Appliance, SUPERVISOR, wait_until};

/// Says when it starts, is ready and stops.
const CHAIN: &str = r#"
[service.db]
kind = "exec"
command = ["sh", "-c", "echo start; trap 'echo stop; exit 0' TERM; sleep 0.3; echo now ready; SUPERVISOR notify READY=1; while :; do sleep 0.05; done"]
ready = "notify"
[service.task]
kind = "exec"
command = ["sh", "-c", "echo start; sleep 0.1; echo end"]
oneshot = true
after = ["db"]
[service.web]
kind = "exec"
command = ["sh", "-c", "echo start; trap 'echo stop; sleep 0.2; exit 0' TERM; SUPERVISOR notify READY=1; while :; do sleep 0.05; done"]
ready = "notify"
after = ["task"]
[service.hello]
kind = "exec"
command = ["sh", "-c", "echo Welcome; echo aside >&2"]
oneshot = true
essential = false
output = "plain"
after = ["web"]
"#;

#[test]
fn services_start_by_readiness_and_stop_in_reverse_with_exit_0() {
    let mut appliance = Appliance::start(CHAIN);
    appliance.until_said("hello: done");
    assert_eq!(appliance.stop(), 0);
    let output = appliance.output();
    let told: Vec<&str> = output
        .lines()
        .map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest))
        .filter(|line| !line.starts_with("supervisor"))
        .collect();
    let expected = [
        "db | start",
        "db | now ready",
        "task | start",
        "task | end",
        "web | start",
        "hello | aside",
        "web | stop",
        "db | stop",
    ];
    let order: Vec<&&str> = told.iter().filter(|line| expected.contains(line)).collect();
    assert_eq!(order, expected.iter().collect::<Vec<_>>(), "{output}");
    assert!(output.lines().any(|line| line == "Welcome"), "plain output is relayed untouched: {output}");
    assert!(output.contains("supervisor | ready in "), "{output}");
    assert!(output.contains("supervisor | stopped, exit 0"), "{output}");
}

#[test]
fn a_failing_task_gives_the_supervisor_its_exit_code() {
    for (code, exit) in [(13, 13), (5, 12)] {
        let plan = format!(
            "[service.task]\nkind = \"exec\"\noneshot = true\ncommand = [\"sh\", \"-c\", \"exit {code}\"]\nfail_exit = 12\npass_exit = [13]\n"
        );
        assert_eq!(Appliance::start(&plan).exit_code(), exit);
    }
}

#[test]
fn an_essential_service_beyond_repair_stops_everything_with_exit_10() {
    let plan = r#"
[service.good]
kind = "exec"
command = ["sleep", "1000"]
[service.bad]
kind = "exec"
command = ["sh", "-c", "echo try; exit 3"]
backoff = { base_s = 0.05, max_s = 0.1, attempts = 4 }
"#;
    let mut appliance = Appliance::start(plan);
    assert_eq!(appliance.exit_code(), 10);
    // Each once when it was said, and once more at the end.
    assert_eq!(appliance.said("bad").len(), 8);
    assert!(appliance.output().contains("given up after 4 failures"), "{}", appliance.output());
}

#[test]
fn a_service_that_ignores_term_is_killed_at_its_deadline() {
    let plan = "[service.deaf]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo deaf; while :; do sleep 1; done\"]\nstop = [\"TERM\", \"KILL@0.5\"]\n";
    let mut appliance = Appliance::start(plan);
    appliance.until_said("deaf | deaf");
    let since = Instant::now();
    assert_eq!(appliance.stop(), 0);
    let took = since.elapsed().as_millis();
    assert!((450..1_500).contains(&took), "{took} ms");
}

#[test]
fn a_stop_is_heard_while_a_long_task_runs() {
    let mut appliance =
        Appliance::start("[service.task]\nkind = \"exec\"\noneshot = true\ncommand = [\"sleep\", \"1000\"]\n");
    wait_until(|| appliance.path("data/run/supervisor.sock").exists(), || "the control socket".to_owned());
    assert_eq!(appliance.service("task")["state"], "running");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn faults_are_told_with_their_exit_codes_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let plan = folder.path().join("plan.toml");
    let run = |text: &str, port: &str| {
        std::fs::write(&plan, text).unwrap();
        let output = std::process::Command::new(SUPERVISOR)
            .env_clear()
            .args(["run", "--port", port, "--data-dir"])
            .args([&data, std::path::Path::new("--config"), &plan])
            .output()
            .unwrap();
        assert!(!data.exists());
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run("[service.a]\nkind = \"exec\"\ncolour = 1\nafter = [\"b\"]\n", "18999");
    assert_eq!(code, 15);
    assert!(text.contains("line 3: service.a.colour") && text.contains("line 4: service.a.after"), "{text}");
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = run("[service.a]\nkind = \"exec\"\ncommand = [\"sleep\", \"9\"]\nlisten = true\n", &port);
    assert_eq!(code, 16);
    assert!(text.contains(&port) && text.lines().count() == 1, "{text}");
}
