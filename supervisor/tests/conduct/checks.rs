//! Checks of the user's own: by HTTP, by a connection, by a program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::appliance::{Appliance, runs, wait_until};

fn until_health(appliance: &Appliance, health: &str) {
    wait_until(|| appliance.service("a")["health"] == health, || format!("{health} in:\n{}", appliance.output()));
}

/// Answers each request with the code that this file holds, for as long as the test lives.
fn serve(code: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let code = std::fs::read_to_string(&code).unwrap_or_else(|_| "404".into());
            let _ = write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 9\r\n\r\nbecause\r\n");
        }
    });
    port
}

#[test]
fn a_service_is_ready_when_it_answers_sick_at_the_first_failure_and_replaced_after_the_last() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sleep", "1000"]
check = { http = "http://127.0.0.1:PORT/health", every_s = 0.3, timeout_s = 1, failures = 4 }
[service.b]
kind = "exec"
command = ["sleep", "1000"]
after = ["a"]
"#;
    let code = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(code.path(), "503").unwrap();
    let port = serve(code.path().to_owned());
    let mut appliance = Appliance::start(&plan.replace("PORT", &port.to_string()));
    appliance.until_said("starting in");
    wait_until(|| appliance.command(&["status"]).status.code() == Some(1), || appliance.output());
    wait_until(|| !appliance.command(&["status", "--json"]).stdout.is_empty(), || appliance.output());
    until_health(&appliance, "it answers 503");
    assert_eq!(
        (&appliance.service("a")["state"], &appliance.service("b")["state"]),
        (&"starting".into(), &"waiting".into())
    );
    std::fs::write(code.path(), "204").unwrap();
    until_health(&appliance, "ok");
    let first = appliance.service("a");
    // Sick for a moment.
    std::fs::write(code.path(), "500").unwrap();
    until_health(&appliance, "it answers 500");
    assert_eq!(appliance.service("a")["check_output"], "because\n");
    std::fs::write(code.path(), "200").unwrap();
    appliance.until_said("a: healthy again");
    assert_eq!(appliance.service("a")["pid"], first["pid"]);
    assert!(appliance.output().contains("a: its check: because"), "{}", appliance.output());
    // Sick for good.
    std::fs::write(code.path(), "500").unwrap();
    appliance.until_said("a: generation 1 failed its check 4 times in a row: it answers 500; replacing it");
    std::fs::write(code.path(), "200").unwrap();
    until_health(&appliance, "ok");
    assert_eq!((&appliance.service("a")["generation"], &appliance.service("b")["generation"]), (&2.into(), &1.into()));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn connections_are_checks_too() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sleep", "1000"]
check = { tcp = "127.0.0.1:PORT", every_s = 0.2, failures = 0 }
[service.b]
kind = "exec"
command = ["sleep", "1000"]
check = { tcp = "run/b.sock", every_s = 0.2 }
"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut appliance = Appliance::start(&plan.replace("PORT", &port.to_string()));
    appliance.until_said("a: ready in");
    wait_until(|| appliance.service("b")["health"] == "its socket is not there", || appliance.output());
    let _socket = std::os::unix::net::UnixListener::bind(appliance.path("data/run/b.sock")).unwrap();
    appliance.until_said("b: ready in");
    drop(listener);
    until_health(&appliance, "it takes no connections");
    // It is never replaced for that.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(appliance.service("a")["generation"], 1);
    let _back = TcpListener::bind(("127.0.0.1", port)).unwrap();
    until_health(&appliance, "ok");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_program_that_checks_runs_like_the_service_and_its_output_is_kept() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sleep", "1000"]
env = { WORD = "swordfish" }
check = { exec = ["sh", "-c", "[ -e DIR/good ] && exit 0; seq 2000; echo $WORD in $PWD, told by ${NOTIFY_SOCKET:-nobody} >&2; exit 3"], every_s = 0.2, failures = 0 }
"#;
    let mut appliance = Appliance::new(plan, &[], &[]);
    std::fs::write(appliance.path("good"), "").unwrap();
    appliance.start_again();
    appliance.until_said("a: ready in");
    std::fs::remove_file(appliance.path("good")).unwrap();
    let data = appliance.path("data").canonicalize().unwrap();
    let said = format!("swordfish in {}, told by nobody", data.display());
    appliance.until_said(&format!("a: its check: {said}"));
    appliance.until_said("a: not healthy: its check failed (exit 3)");
    let service = appliance.service("a");
    assert_eq!((&service["health"], &service["state"]), (&"its check failed (exit 3)".into(), &"ready".into()));
    let output = service["check_output"].as_str().unwrap();
    assert!(output.contains(&said) && output.contains("\n2000\n") && output.len() <= 4096, "{output}");
    // The same again is not news.
    assert_eq!(appliance.output().matches("a: not healthy").count(), 1);
    std::fs::write(appliance.path("good"), "").unwrap();
    until_health(&appliance, "ok");
    assert_eq!(appliance.service("a").get("check_output"), None);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_program_that_hangs_is_killed_with_all_it_has_started() {
    let plan = r#"
[service.a]
kind = "exec"
command = ["sleep", "1000"]
ready = "started"
check = { exec = ["sh", "-c", "(setsid sh -c 'echo $$ >DIR/daemon; exec sleep 1000' &); echo $$ >DIR/check; echo waiting; sleep 1000"], every_s = 0.2, timeout_s = 0.5, failures = 2 }
"#;
    let mut appliance = Appliance::start(plan);
    let since = Instant::now();
    appliance.until_said("a: not healthy: its check did not end within 0.5 s");
    appliance.until_said("a: its check: waiting");
    appliance.until_said("a: generation 1 failed its check 2 times in a row: its check did not end within 0.5 s");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    appliance.until_said("(generation 2)");
    assert_eq!(appliance.stop(), 0);
    let (check, daemon) = (appliance.path("check"), appliance.path("daemon"));
    assert!(!runs(&check) && !runs(&daemon), "left behind: {}", appliance.output());
    assert!(appliance.output().contains("a#check-1: killing "), "{}", appliance.output());
}

#[test]
fn a_missing_program_is_a_start_that_failed() {
    let plan = "[service.a]\nkind = \"exec\"\ncommand = [\"sleep\", \"1000\"]\nessential = false\ncheck = { exec = [\"nowhere\"] }\nbackoff = { attempts = 1 }\n";
    let appliance = Appliance::start(plan);
    appliance.until_said("a: cannot be started: there is no program nowhere for its check");
}
