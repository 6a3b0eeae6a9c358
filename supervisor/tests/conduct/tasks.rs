//! Tasks: what takes long, in a process of its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use glitchbox_supervisor::control::Client;
use glitchbox_supervisor::task::{Task, TaskOutcome};

use super::appliance::{Appliance, wait_until};

const PLAN: &str = "[service.quiet]\nkind = \"exec\"\ncommand = [\"sleep\", \"1000\"]\n";

/// What the supervisor answers, and the lines of progress.
fn run(appliance: &Appliance, task: &Task) -> (TaskOutcome, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut lines = Vec::new();
    let (exit, result) = runtime
        .block_on(async {
            let mut client = Client::connect(&appliance.path("data")).await?;
            client.run_task(task, |line| lines.push(line.to_owned())).await
        })
        .unwrap();
    (TaskOutcome { exit, result }, lines)
}

#[test]
fn a_task_runs_as_a_child_and_its_result_comes_back() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let (outcome, _) = run(&appliance, &Task::BackupVerify { file: "/nowhere/at-all.tar".into() });
    assert_ne!(outcome.exit, 0, "{outcome:?}");
    assert!(outcome.result["error"].is_string(), "{outcome:?}");
    appliance.until_said("supervisor | backup: started (process ");
    // Nobody may have waited for the answer.
    appliance.until_said(&format!("backup | ERROR {}", outcome.result["error"].as_str().unwrap()));
    appliance.until_said(&format!("(exit {})", outcome.exit));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn old_data_that_could_not_be_brought_back_are_tried_again() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let journal = appliance.path("data/restore.journal");
    std::fs::write(&journal, "not to be understood").unwrap();
    run(&appliance, &Task::BackupRestore { file: "/nowhere/at-all.tar".into(), dry_run: false });
    appliance.until_said("backup | ERROR The old data cannot be brought back: ");
    std::fs::write(&journal, "{\"cluster\":null,\"secrets\":[]}").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while journal.exists() {
        assert!(Instant::now() < deadline, "{}", appliance.output());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn an_unknown_task_is_refused_with_the_reason() {
    let appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    let body = "{\"kind\":\"dance\"}";
    let head =
        format!("POST /v1/tasks HTTP/1.1\r\nhost: supervisor\r\nconnection: close\r\ncontent-length: {}", body.len());
    let mut socket = UnixStream::connect(appliance.path("data/run/supervisor.sock")).unwrap();
    socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let answer: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["ok"], false);
    assert!(answer["message"].as_str().unwrap().contains("dance"), "{answer}");
}

#[test]
fn a_stop_ends_the_running_task_first_and_meanwhile_no_other_begins() {
    let mut appliance = Appliance::start(PLAN);
    appliance.until_said("supervisor | ready in");
    // Nobody ever writes into this pipe: whoever opens it waits.
    let pipe = appliance.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&appliance, &Task::BackupVerify { file: pipe.clone() }));
        appliance.until_said("backup: started (process ");
        let (busy, _) = run(&appliance, &Task::BackupCreate { to: None });
        assert_eq!(busy.exit, 4);
        assert!(busy.result["error"].as_str().unwrap().starts_with("Busy: the verification of a backup has been"));
        appliance.signal(nix::sys::signal::Signal::SIGTERM);
        let (ended, _) = waiting.join().unwrap();
        assert_eq!((ended.exit, &ended.result["error"]), (1, &"The task ended without a result (SIGTERM).".into()));
    });
    assert_eq!(appliance.exit_code(), 0);
    let output = appliance.output();
    let place = |text: &str| output.find(text).unwrap_or_else(|| panic!("{text} in:\n{output}"));
    assert!(place("stopping everything: SIGTERM") < place("backup: ended after"));
    assert!(place("backup: ended after") < place("quiet: stopped"), "{output}");
}

#[test]
fn a_restart_that_is_due_while_another_task_runs_is_reported_as_skipped() {
    let plan = format!("[schedule.often]\ncron = \"*/2 * * * * *\"\ntask = \"scheduled-restart\"\n{PLAN}");
    let mut appliance = Appliance::start(&plan);
    appliance.until_said("supervisor | ready in");
    let status = appliance.done(&["status"]);
    assert!(status.contains("schedule often: next scheduled-restart at "), "{status}");
    let pipe = appliance.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            // One of the restarts may be running now.
            while run(&appliance, &Task::BackupVerify { file: pipe.clone() }).0.exit == 4 {}
        });
        appliance.until_said("is skipped: Busy: the verification of a backup has been running for ");
        let skipped = || appliance.done(&["report", "list"]).contains(" skipped after ");
        wait_until(skipped, || appliance.output());
        appliance.signal(nix::sys::signal::Signal::SIGTERM);
        waiting.join().unwrap();
    });
    assert_eq!(appliance.exit_code(), 0);
    let folder = appliance.path("data/logs/reports");
    let texts = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let reports = texts.filter_map(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let skipped: Vec<_> = reports.filter(|report| report["result"] == "skipped").collect();
    let reason = |report: &serde_json::Value| report["reason"].as_str().unwrap().to_owned();
    let busy = skipped.iter().find(|report| reason(report).starts_with("Busy: the verification"));
    let busy = busy.unwrap_or_else(|| panic!("{skipped:?}"));
    assert!(busy["scheduled_for"].is_string() && busy["trigger"] == "schedule", "{busy}");
}
