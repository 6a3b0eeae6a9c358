//! Services that hang, are stopped, never get ready, or end when they should not.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, wait_until};

/// Reports four times in each period for as long as DIR/quiet is not there, and ends in order.
const REPORTER: &str = r#"
[service.web]
kind = "exec"
command = ["bash", "-c", "trap 'echo ends in order; exit 0' TERM; echo period $WATCHDOG_USEC; SUPERVISOR notify READY=1; while :; do [ -e DIR/quiet ] || SUPERVISOR notify WATCHDOG=1; sleep 0.3 & wait $!; done"]
ready = "notify"
watchdog_s = 1.5
"#;

/// It is well, with this instead of its watchdog's period.
fn reporter(change: &str) -> Appliance {
    let change = if change.is_empty() { "watchdog_s = 1.5" } else { change };
    let appliance = Appliance::start(&REPORTER.replace("watchdog_s = 1.5", change));
    appliance.until_said("supervisor | ready in");
    wait_until(|| is_well(&appliance, "web"), || appliance.output());
    appliance
}

fn pid_of(appliance: &Appliance, service: &str) -> i32 {
    i32::try_from(appliance.service(service)["pid"].as_i64().unwrap()).unwrap()
}

fn is_well(appliance: &Appliance, service: &str) -> bool {
    let service = appliance.service(service);
    service["state"] == "ready" && service["health"] == "ok"
}

#[test]
fn a_service_that_falls_silent_is_looked_at_killed_and_replaced() {
    let mut appliance = reporter("");
    appliance.until_said("web | period 1000000");
    wait_until(|| is_well(&appliance, "web"), || appliance.output());
    let old = pid_of(&appliance, "web");
    let since = Instant::now();
    std::fs::write(appliance.path("quiet"), "").unwrap();
    appliance.until_said("web: not healthy: has not reported for ");
    appliance.until_said("web: generation 1 has not reported for 2 s; replacing it");
    std::fs::remove_file(appliance.path("quiet")).unwrap();
    appliance.until_said("web: has not reported for 2 s; starting again at once");
    wait_until(|| is_well(&appliance, "web"), || appliance.output());
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    let output = appliance.output();
    assert!(output.contains(&format!("web: process {old}: state S (sleeping), 1 threads, resident ")), "{output}");
    assert!(output.contains(&format!("web: process {old}: 1 x bash: S (sleeping)")), "{output}");
    assert!(output.contains("web: said before: ") && output.contains("web | period 1000000"), "{output}");
    assert!(!output.contains("ends in order"), "silent for so long, it is not asked: {output}");
    let service = appliance.service("web");
    assert_eq!((&service["restarts"], &service["last_exit"]), (&1.into(), &"SIGKILL".into()));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_stopped_process_shows_at_once_and_is_well_again_when_it_goes_on() {
    let mut appliance = reporter("watchdog_s = 60");
    let pid = Pid::from_raw(pid_of(&appliance, "web"));
    kill(pid, Signal::SIGSTOP).unwrap();
    wait_until(|| appliance.service("web")["health"] == "stopped by SIGSTOP", || appliance.output());
    assert_eq!(appliance.command(&["status"]).status.code(), Some(1));
    kill(pid, Signal::SIGCONT).unwrap();
    appliance.until_said("web: runs again");
    assert!(is_well(&appliance, "web"));
    assert_eq!(pid_of(&appliance, "web"), pid.as_raw());
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_process_that_stays_stopped_is_woken_to_end_in_order_and_replaced() {
    let mut appliance = reporter("");
    kill(Pid::from_raw(pid_of(&appliance, "web")), Signal::SIGSTOP).unwrap();
    appliance.until_said("web: generation 1 was stopped by SIGSTOP; replacing it");
    appliance.until_said("web | ends in order");
    wait_until(|| is_well(&appliance, "web"), || appliance.output());
    assert_eq!(appliance.service("web")["generation"], 2);
    assert!(appliance.output().contains("state T (stopped)"), "{}", appliance.output());
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_stopped_appliance_stops_all_the_same() {
    let mut appliance = reporter("liveness = false");
    kill(Pid::from_raw(pid_of(&appliance, "web")), Signal::SIGSTOP).unwrap();
    appliance.until_said("web: not healthy: stopped by SIGSTOP");
    let since = Instant::now();
    assert_eq!(appliance.stop(), 0);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(appliance.output().contains("web | ends in order"), "{}", appliance.output());
}

#[test]
fn a_service_whose_supervisor_was_stopped_itself_is_not_to_blame() {
    let mut appliance = reporter("");
    std::fs::write(appliance.path("quiet"), "").unwrap();
    let pid = pid_of(&appliance, "web");
    appliance.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(4));
    std::fs::remove_file(appliance.path("quiet")).unwrap();
    appliance.signal(Signal::SIGCONT);
    wait_until(|| is_well(&appliance, "web"), || appliance.output());
    assert_eq!(pid_of(&appliance, "web"), pid, "{}", appliance.output());
    assert!(!appliance.output().contains("replacing it"), "{}", appliance.output());
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_service_says_itself_that_it_hangs_or_that_it_stops() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sh", "-c", "SUPERVISOR notify READY=1; [ -e DIR/a ] || { touch DIR/a; SUPERVISOR notify WATCHDOG=trigger; }; exec sleep 1000"]
ready = "notify"
watchdog_s = 60
[service.b]
kind = "exec"
command = ["sh", "-c", "SUPERVISOR notify READY=1; [ -e DIR/b ] || { touch DIR/b; SUPERVISOR notify STOPPING=1; sleep 0.3; exit 0; }; exec sleep 1000"]
ready = "notify"
"#;
    let mut appliance = Appliance::start(plan);
    appliance.until_said("a: generation 1 says that it hangs; replacing it");
    appliance.until_said("b: stops by itself (generation 1)");
    appliance.until_said("b: has stopped by itself (exit 0); starting again at once");
    wait_until(|| is_well(&appliance, "a") && is_well(&appliance, "b"), || appliance.output());
    assert_eq!((&appliance.service("a")["generation"], &appliance.service("b")["generation"]), (&2.into(), &2.into()));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_slow_start_that_asks_for_time_gets_it() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sh", "-c", "SUPERVISOR notify EXTEND_TIMEOUT_USEC=15000000; sleep 2; exec SUPERVISOR notify READY=1"]
ready = "notify"
ready_within_s = 1
essential = false
"#;
    let appliance = Appliance::start(plan);
    appliance.until_said("a: ready in 2");
    assert!(!appliance.output().contains("was not ready"), "{}", appliance.output());
}

#[test]
fn a_service_that_is_never_ready_and_ignores_term_ends_everything_with_11_and_its_last_lines() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["bash", "-c", "trap '' TERM; for i in $(seq 30); do echo line $i of $$; done; while :; do sleep 0.05; done"]
ready = "notify"
ready_within_s = 0.5
stop = ["TERM", "KILL@0.3"]
backoff = { base_s = 0.1, attempts = 2 }
"#;
    let mut appliance = Appliance::start(plan);
    assert_eq!(appliance.exit_code(), 11);
    let output = appliance.output();
    assert_eq!(output.matches("a: generation ").count(), 2, "{output}");
    assert!(output.contains("a: was not ready within 1 s; given up after 2 failures in a row"), "{output}");
    let (_, end) = output.split_once("supervisor | ERROR a has failed for good; its last 20 lines:\n").unwrap();
    let last: Vec<&str> = end.lines().collect();
    assert_eq!(last.len(), 20, "{output}");
    assert!(last[0].contains(" a | line 11 of ") && last[19].contains(" a | line 30 of "), "{output}");
}

#[test]
fn a_service_that_ends_with_0_again_and_again_ends_everything_with_10() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sh", "-c", "echo '{\"level\":\"warn\",\"msg\":\"done, it thinks\"}'; exit 0"]
backoff = { base_s = 0.05, max_s = 0.1, attempts = 4 }
"#;
    let mut appliance = Appliance::start_with(plan, &[], &[("LOG_FORMAT", "json")]);
    assert_eq!(appliance.exit_code(), 10);
    let output = appliance.output();
    let lines: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{output}"))).collect();
    let told = |line: &serde_json::Value| (line["svc"].clone(), line["msg"].clone());
    let at = lines.iter().position(|line| line["msg"] == "ERROR a has failed for good; its last 4 lines:").unwrap();
    assert_eq!(lines.len(), at + 5, "{output}");
    assert_eq!(told(&lines[at + 4]), ("a".into(), "done, it thinks".into()));
    assert!(output.contains("a: ended unexpectedly (exit 0); given up after 4 failures in a row"), "{output}");
}
