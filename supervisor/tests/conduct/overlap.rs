//! Restarts that nobody notices, and the listening socket.

use std::net::{TcpListener, TcpStream};

use super::appliance::{Appliance, wait_until};

/// Ready only while DIR/good exists; drains on USR2 when DIR/drain appears.
const WEB: &str = r#"
[service.web]
kind = "exec"
command = ["bash", "-c", "trap 'echo draining; while [ ! -e DIR/drain ]; do sleep 0.02; done; exit 0' USR2; echo fds $LISTEN_FDS $(readlink /proc/$$/fd/3 | cut -c1-6); if [ -e DIR/good ]; then SUPERVISOR notify READY=1; elif [ -e DIR/bad ]; then exit 4; fi; while :; do sleep 0.05; done"]
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
    let port = free_port();
    let appliance = Appliance::start_with(WEB, &["--port", &port.to_string()], &[]);
    std::fs::write(appliance.path("good"), "").unwrap();
    // It may have looked before the file was there; then it is started again.
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
