//! What an operator sees: events, numbers, answers as JSON, and what signals do.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::appliance::{Appliance, wait_until};

const PLAN: &str = r#"
[service.first]
kind = "exec"
command = ["sh", "-c", "echo one; echo two >&2; exec sleep 1000"]
[service.brief]
kind = "exec"
command = ["sh", "-c", "sleep 0.2; exit 3"]
after = ["first"]
essential = false
backoff = { base_s = 0.05, attempts = 2 }
[service.task]
kind = "exec"
oneshot = true
command = ["true"]
"#;

/// The events so far: `kind service`.
fn kinds(appliance: &Appliance) -> Vec<String> {
    let lines = appliance.done(&["events", "--json", "-n", "500"]);
    lines.lines().map(|line| kind(&serde_json::from_str(line).unwrap())).collect()
}

fn kind(event: &Value) -> String {
    format!("{} {}", event["kind"].as_str().unwrap(), event["service"].as_str().unwrap_or("-"))
}

#[test]
fn events_tell_the_whole_life_of_a_service_in_order() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    wait_until(|| kinds(&appliance).contains(&"failed brief".to_owned()), || format!("{:?}", kinds(&appliance)));
    let all = kinds(&appliance);
    let of = |service: &str| {
        let ours = all.iter().filter_map(|event| event.strip_suffix(service)).map(str::trim);
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of(" first"), ["starting", "ready"]);
    assert_eq!(of(" task"), ["starting", "exited", "done"]);
    let attempt = ["starting", "ready", "exited"];
    assert_eq!(of(" brief"), [&attempt[..], &["backoff"], &attempt, &["failed"]].concat());
    assert!(all.contains(&"up -".to_owned()), "{all:?}");
    let shown = appliance.done(&["events", "-n", "1"]);
    assert_eq!(shown.lines().count(), 1, "{shown}");
    let first =
        appliance.done(&["events", "--json"]).lines().next().map(serde_json::from_str::<Value>).unwrap().unwrap();
    for field in ["ts", "kind", "level", "service", "generation", "pid", "text"] {
        assert!(!first[field].is_null(), "{field}: {first}");
    }
}

#[test]
fn followers_of_events_see_the_end_and_end_with_it() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("brief: ended unexpectedly (exit 3); given up");
    let mut follower = appliance.bare_command(&["events", "-f", "--json", "-n", "1"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(|line| kind(&serde_json::from_str(&line.unwrap()).unwrap()));
    assert_eq!(next().unwrap(), "failed brief");
    appliance.done(&["restart", "first"]);
    for expected in ["stopping first", "exited first", "starting first", "ready first"] {
        assert_eq!(next().unwrap(), expected);
    }
    assert_eq!(appliance.stop(), 0);
    let mut rest = Vec::new();
    while let Some(event) = next() {
        rest.push(event);
    }
    assert_eq!(rest.last().unwrap(), "stopped -", "{rest:?}");
    assert!(follower.wait().unwrap().success(), "an ordered stop is an ordered end");
}

#[test]
fn metrics_are_well_formed_and_true() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("brief: ended unexpectedly (exit 3); given up");
    let page = appliance.done(&["metrics"]);
    let mut seen = HashSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() && seen.insert(series), "{line}");
    }
    let value = |series: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in {page}")).parse::<f64>().unwrap()
    };
    let is = |series: &str, expected: f64| assert!((value(series) - expected).abs() < 1e-9, "{series}: {page}");
    is("glitchbox_service_state{service=\"first\",state=\"ready\"}", 1.0);
    is("glitchbox_service_state{service=\"brief\",state=\"failed\"}", 1.0);
    is("glitchbox_service_up{service=\"brief\"}", 0.0);
    is("glitchbox_service_restarts_total{service=\"brief\"}", 1.0);
    is("glitchbox_service_exits_total{service=\"brief\",kind=\"code\"}", 2.0);
    is("glitchbox_service_exits_total{service=\"task\",kind=\"clean\"}", 1.0);
    is("glitchbox_service_log_lines_total{service=\"first\",stream=\"stdout\"}", 1.0);
    is("glitchbox_service_log_bytes_total{service=\"first\",stream=\"stderr\"}", 3.0);
    is("glitchbox_service_processes{service=\"first\"}", 1.0);
    is("glitchbox_log_lost_lines_total{place=\"files\"}", 0.0);
    assert!(value("glitchbox_data_disk_free_bytes") > 0.0 && value("glitchbox_supervisor_memory_bytes") > 0.0);
}

#[test]
fn the_metrics_socket_answers_nothing_but_metrics() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let socket = appliance.path("data/run/metrics.sock");
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let page = ask("GET /metrics");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("\n# TYPE glitchbox_service_state gauge"), "{page}");
    for request in ["GET /v1/status", "POST /v1/services/first/stop", "GET /v1/logs", "GET /v1/events", "POST /metrics"]
    {
        assert!(ask(request).starts_with("HTTP/1.1 404"), "{request}");
    }
    assert_eq!(appliance.stop(), 0);
    assert!(!socket.exists());
}

#[test]
fn every_answer_can_be_json_failures_included() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("brief: ended unexpectedly (exit 3); given up");
    let json = |arguments: &[&str]| {
        let output = appliance.command(arguments);
        let value: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?} {output:?}"));
        (output.status.code().unwrap(), value)
    };
    let (code, status) = json(&["status", "--json"]);
    assert_eq!((code, &status["ok"], &status["version"]), (1, &false.into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(status["data_dir"].as_str().unwrap().ends_with("/data") && status["uptime_s"].is_u64(), "{status}");
    for verb in ["stop", "start", "restart"] {
        let (code, answer) = json(&[verb, "first", "--json"]);
        assert_eq!((code, &answer["ok"]), (0, &true.into()), "{answer}");
        assert!(answer["message"].as_str().unwrap().starts_with("first "), "{answer}");
    }
    for arguments in [&["restart", "frist", "--json"][..], &["healthcheck", "--json"], &["stop", "../x", "--json"]] {
        let (code, answer) = json(arguments);
        assert_eq!((code, &answer["ok"]), (1, &false.into()), "{answer}");
        assert!(answer["error"].as_str().unwrap().ends_with(['.', '?']), "{answer}");
    }
    let output = appliance.command(&["statsu"]);
    assert_eq!(output.status.code(), Some(15));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("'status'"),
        "a misspelt command is suggested: {output:?}"
    );
}

#[test]
fn logs_of_several_services_and_of_a_time() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("brief: ended unexpectedly (exit 3); given up");
    let of_two = appliance.done(&["logs", "first", "supervisor"]);
    assert!(of_two.contains(" first | one\n") && of_two.contains(" supervisor | "), "{of_two}");
    assert_eq!(appliance.done(&["logs", "first", "task"]).lines().count(), 2);
    assert_eq!(appliance.done(&["logs", "--since", "1h", "first"]).lines().count(), 2);
    assert_eq!(appliance.done(&["logs", "--since", "2100-01-01T00:00:00Z"]), "");
    assert!(appliance.refused(&["logs", "--since", "soon"]).contains("--since"));
    assert!(appliance.refused(&["logs", "first", "breif"]).contains("did you mean \"brief\"?"));
}

#[test]
fn user_signals_end_nothing_and_the_first_tells_the_state() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    appliance.signal(Signal::SIGUSR2);
    appliance.signal(Signal::SIGUSR1);
    appliance.until_said("supervisor | first: ready (generation 1, process ");
    // The services get the signals as every program does.
    let pid = appliance.service("first")["pid"].as_i64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let bits = u64::from_str_radix(&mask("SigIgn:"), 16).unwrap() | u64::from_str_radix(&mask("SigBlk:"), 16).unwrap();
    assert_eq!(bits & (1 << (Signal::SIGUSR1 as u32 - 1) | 1 << (Signal::SIGUSR2 as u32 - 1)), 0, "{status}");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn the_doctor_looks_at_a_running_and_at_a_stopped_appliance() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("brief: ended unexpectedly (exit 3); given up");
    let ask = |appliance: &Appliance| {
        let output = appliance.bare_command(&["doctor", "--json"]).env("DB_PASSWORD", "short").output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code().unwrap(), found)
    };
    let of = |found: &Value, check: &str, verdict: &str| {
        let findings = found["findings"].as_array().unwrap();
        findings.iter().any(|finding| finding["check"] == check && finding["verdict"] == verdict)
    };
    let (code, found) = ask(&appliance);
    assert!(code == 1 && found["ok"] == false && of(&found, "services", "bad"), "{found}");
    assert!(of(&found, "secrets", "ok"), "the environment of the one that runs counts: {found}");
    assert!(of(&found, "plan", "ok") && !of(&found, "postgresql", "ok"), "so does its plan: {found}");
    for finding in found["findings"].as_array().unwrap() {
        assert_eq!(finding["verdict"] == "ok", finding["fix"].is_null(), "{finding}");
        assert!(finding["text"].as_str().unwrap().ends_with('.'), "{finding}");
    }
    appliance.done(&["stop", "brief"]);
    let shown = appliance.command(&["doctor"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.lines().all(|line| line.chars().count() <= 80 || line.contains("/tmp/")), "{shown}");
    assert_eq!(appliance.stop(), 0);
    let (_, found) = ask(&appliance);
    assert!(of(&found, "services", "warn") && of(&found, "secrets", "warn"), "{found}");
}
