//! Crashes, and what they leave behind.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, runs, wait_until};

/// Forks a daemon that leaves its session, its parent and its process group.
const FORKER: &str = r#"
[service.forker]
kind = "exec"
command = ["sh", "-c", "setsid sh -c '(echo $$ >DIR/daemon; exec sleep 1000) & sleep 1000' & sleep 0.5; echo forked; exec sleep 1000"]
"#;

#[test]
fn a_crashed_service_is_restarted_once_nothing_of_it_is_left() {
    let mut appliance = Appliance::start(FORKER);
    appliance.until_said("forker | forked");
    let daemon = appliance.path("daemon");
    assert!(runs(&daemon));
    let old = std::fs::read_to_string(&daemon).unwrap();
    let pid = i32::try_from(appliance.service("forker")["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    appliance.until_said("(generation 2)");
    assert!(!std::path::Path::new(&format!("/proc/{}", old.trim())).exists());
    let service = appliance.service("forker");
    assert_eq!((&service["restarts"], &service["last_exit"]), (&1.into(), &"SIGKILL".into()));
    wait_until(|| std::fs::read_to_string(&daemon).is_ok_and(|new| new != old), || "the second daemon".to_owned());
    assert_eq!(appliance.stop(), 0);
    assert!(!runs(&daemon), "a process was left behind");
}

#[test]
fn a_daemon_that_lost_its_mark_is_killed_at_the_end() {
    let plan = FORKER.replace("setsid sh", "env -i setsid sh").replace("exec sleep 1000\"]", "exit 0\"]");
    let mut appliance = Appliance::start(&plan.replace("[service.forker]", "[service.forker]\noneshot = true"));
    appliance.until_said("forker: done");
    let daemon = appliance.path("daemon");
    assert_eq!(appliance.stop(), 0);
    assert!(!runs(&daemon), "a process was left behind");
}

#[test]
fn crashes_follow_at_growing_distances() {
    let plan = "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"date +%s%N; exit 1\"]\nessential = false\nbackoff = { base_s = 0.2, max_s = 0.4, attempts = 5 }\n";
    let appliance = Appliance::start(plan);
    appliance.until_said("given up");
    wait_until(|| appliance.said("a").len() == 5, || appliance.output());
    let times: Vec<u64> = appliance.said("a").iter().map(|line| line.parse::<u64>().unwrap() / 1_000_000).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] < 1_000 && gaps[1] >= 150 && gaps[2] >= 300 && gaps[3] >= 300, "{gaps:?}");
    assert_eq!(appliance.service("a")["state"], "failed");
    assert_eq!(appliance.command(&["status"]).status.code(), Some(1));
}
