//! Restarts that nobody notices, and the listening socket.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, wait_until};

/// Ready only while DIR/good exists; drains on USR2 when DIR/drain appears.
const WEB: &str = r#"
[service.web]
kind = "exec"
command = ["bash", "-c", "trap 'echo draining; while [ ! -e DIR/drain ]; do sleep 0.02; done; exit 0' USR2; echo fds $LISTEN_FDS $(readlink /proc/$$/fd/3 | cut -c1-6); if [ -e DIR/bad ]; then exit 4; fi; until [ -e DIR/good ]; do sleep 0.02; done; SUPERVISOR notify READY=1; while :; do sleep 0.05; done"]
ready = "notify"
ready_within_s = 3
restart = "overlap"
listen = true
stop = ["TERM", "KILL@1"]
"#;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start() -> (Appliance, u16) {
    start_with(WEB)
}

fn start_with(plan: &str) -> (Appliance, u16) {
    let port = free_port();
    let appliance = Appliance::start_with(plan, &["--port", &port.to_string()], &[]);
    std::fs::write(appliance.path("good"), "").unwrap();
    wait_until(|| appliance.output().contains("supervisor | ready in"), || appliance.output());
    (appliance, port)
}

#[test]
fn the_new_generation_serves_before_the_old_one_drains() {
    let (mut appliance, port) = start();
    let first = appliance.service("web");
    assert!(appliance.done(&["restart", "web"]).contains("web is ready"));
    let second = appliance.service("web");
    assert_eq!(second["generation"].as_u64(), first["generation"].as_u64().map(|generation| generation + 1));
    appliance.until_said("web | draining");
    assert!(std::path::Path::new(&format!("/proc/{}", first["pid"])).exists(), "the old one still drains");
    let draining = serde_json::json!([{ "generation": first["generation"], "pid": first["pid"], "overdue": false }]);
    assert_eq!(appliance.service("web")["draining"], draining);
    assert!(second["ready_ms"].is_u64(), "{second}");
    std::fs::write(appliance.path("drain"), "").unwrap();
    appliance.until_said("generation drained (exit 0");
    assert!(appliance.said("web").contains(&"fds 1 socket".to_owned()));
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_new_generation_that_fails_or_is_late_leaves_the_old_one_in_place() {
    let (appliance, _) = start();
    let first = appliance.service("web");
    std::fs::remove_file(appliance.path("good")).unwrap();
    assert!(appliance.refused(&["restart", "web"]).contains("was not ready within 3 s; generation"));
    std::fs::write(appliance.path("bad"), "").unwrap();
    assert!(appliance.refused(&["restart", "web"]).contains("ended before it was ready (exit 4)"));
    let now = appliance.service("web");
    assert_eq!((&now["pid"], &now["state"]), (&first["pid"], &"ready".into()));
    assert!(!appliance.output().contains("draining"));
}

#[test]
fn stopped_web_refuses_clients_and_started_web_takes_them_again() {
    let (appliance, port) = start();
    appliance.done(&["stop", "web"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    let occupied = TcpListener::bind(("0.0.0.0", port)).unwrap();
    assert!(appliance.refused(&["start", "web"]).contains(&format!("Port {port} cannot be used")));
    drop(occupied);
    appliance.done(&["start", "web"]);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
}

/// A restart whose new generation runs and is not ready yet.
struct Pending {
    appliance: Appliance,
    restart: Child,
    first: serde_json::Value,
}

impl Pending {
    fn begin() -> Self {
        let (appliance, _) = start_with(&WEB.replace("ready_within_s = 3", "ready_within_s = 60"));
        std::fs::remove_file(appliance.path("good")).unwrap();
        let first = appliance.service("web");
        let restart = restart(&appliance);
        wait_until(|| appliance.said("web").len() == 2, || appliance.output());
        Self { appliance, restart, first }
    }

    fn get_ready(&self) {
        std::fs::write(self.appliance.path("good"), "").unwrap();
    }

    fn pid_of_old(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.first["pid"].as_i64().unwrap()).unwrap())
    }
}

fn restart(appliance: &Appliance) -> Child {
    let mut command = appliance.bare_command(&["restart", "web"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Exit code, and what was said.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_restart_that_failed_keeps_none_from_working_later() {
    let (appliance, _) = start();
    std::fs::write(appliance.path("bad"), "").unwrap();
    for _ in 0..2 {
        assert!(
            appliance.refused(&["restart", "web"]).contains("ended before it was ready (exit 4); generation 1 stays")
        );
    }
    std::fs::remove_file(appliance.path("bad")).unwrap();
    assert!(appliance.done(&["restart", "web"]).contains("web is ready (generation 4"));
    std::fs::write(appliance.path("drain"), "").unwrap();
    appliance.until_said("generation drained (exit 0, generation 1)");
}

#[test]
fn two_restarts_at_once_are_both_answered() {
    let pending = Pending::begin();
    let second = restart(&pending.appliance);
    // Nothing shows that it has been asked; either way it is answered.
    pending.appliance.done(&["logs", "web"]);
    pending.get_ready();
    let (code, told) = ended(pending.restart);
    assert!(code == Some(0) && told.contains("web is ready (generation 2"), "{told}");
    let (code, told) = ended(second);
    assert!(code == Some(0) && told.contains("web is ready (generation "), "{told}");
}

#[test]
fn a_stop_during_a_restart_ends_both_generations() {
    let pending = Pending::begin();
    assert_eq!(pending.appliance.done(&["stop", "web"]), "web is stopped\n");
    let (code, told) = ended(pending.restart);
    assert_eq!((code, told.as_str()), (Some(1), "supervisor: web was stopped meanwhile\n"));
    assert_eq!(pending.appliance.service("web")["state"], "stopped");
    std::fs::write(pending.appliance.path("good"), "").unwrap();
    assert!(pending.appliance.done(&["start", "web"]).contains("generation 3"));
}

#[test]
fn a_restart_does_not_wait_for_the_generations_that_still_drain() {
    let (appliance, _) = start();
    for generation in 2..=3 {
        assert!(appliance.done(&["restart", "web"]).contains(&format!("generation {generation}")));
    }
    let draining = appliance.service("web")["draining"].as_array().unwrap().len();
    assert_eq!(draining, 2, "{}", appliance.output());
    std::fs::write(appliance.path("drain"), "").unwrap();
    for generation in 1..=2 {
        appliance.until_said(&format!("generation drained (exit 0, generation {generation})"));
    }
    wait_until(|| appliance.service("web")["draining"].as_array().unwrap().is_empty(), || appliance.output());
    assert_eq!(appliance.service("web")["state"], "ready");
}

#[test]
fn when_the_old_generation_dies_during_a_restart_the_new_one_is_all_there_is() {
    let pending = Pending::begin();
    kill(pending.pid_of_old(), Signal::SIGKILL).unwrap();
    pending.appliance.until_said("web: ended unexpectedly (SIGKILL); the new generation is already starting");
    pending.get_ready();
    let (code, told) = ended(pending.restart);
    assert!(code == Some(0) && told.contains("web is ready (generation 2"), "{told}");
    let now = pending.appliance.service("web");
    assert_eq!((&now["generation"], &now["state"]), (&2.into(), &"ready".into()));
}

#[test]
fn the_end_of_the_appliance_ends_a_restart_and_both_generations() {
    let mut pending = Pending::begin();
    assert_eq!(pending.appliance.stop(), 0);
    let (code, told) = ended(pending.restart);
    assert_eq!((code, told.as_str()), (Some(1), "supervisor: the appliance is stopping\n"));
    assert!(!std::path::Path::new(&format!("/proc/{}", pending.first["pid"])).exists());
}
