//! What the supervisor's exit code says.

use std::process::Command;

use nix::sys::signal::Signal;

use super::appliance::{Appliance, SUPERVISOR};

/// A plan with one service or task that ends like this.
fn plan(command: &str, settings: &str) -> String {
    format!(
        "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"{command}\"]\nbackoff = {{ base_s = 0.01, max_s = 0.01, attempts = 2 }}\n{settings}\n"
    )
}

#[test]
fn the_exit_code_says_what_failed() {
    let missing = "[service.a]\nkind = \"exec\"\ncommand = [\"/no/such/program\"]\noneshot = true\n".to_owned();
    for (what, plan, code) in [
        ("a service that ends", plan("exit 3", ""), 10),
        ("a service that is killed", plan("kill -9 $$", ""), 10),
        ("a service that ends with 0", plan("exit 0", ""), 10),
        ("a task that cannot be started", missing, 10),
        ("a task", plan("exit 3", "oneshot = true"), 10),
        ("a migration", plan("exit 3", "oneshot = true\nfail_exit = 12\npass_exit = [13, 14]"), 12),
        ("a migration that is killed", plan("kill -9 $$", "oneshot = true\nfail_exit = 12"), 12),
        (
            "a migration that finds newer data",
            plan("exit 13", "oneshot = true\nfail_exit = 12\npass_exit = [13, 14]"),
            13,
        ),
        ("a task on a full disk", plan("exit 14", "oneshot = true\npass_exit = [13, 14]"), 14),
    ] {
        let mut appliance = Appliance::start(&plan);
        assert_eq!(appliance.exit_code(), code, "{what}: {}", appliance.output());
        assert!(appliance.output().contains(&format!("stopped, exit {code}")), "{what}: {}", appliance.output());
    }
}

#[test]
fn every_signal_to_stop_ends_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut appliance = Appliance::start(&plan("echo up; exec sleep 1000", ""));
        appliance.until_said("a | up");
        appliance.signal(signal);
        assert_eq!(appliance.exit_code(), 0, "{signal}: {}", appliance.output());
    }
}

#[test]
fn a_start_that_is_refused_says_why_by_its_code() {
    let good = plan("echo up; exec sleep 1000", "");
    let running = Appliance::start(&good);
    running.until_said("a | up");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (good_file, bad_file) = (file("good", &good), file("bad", "[service.a]\nkind = \"axe\"\n"));
    let listening = file("listening", &plan("exec sleep 1000", "listen = true"));
    let (data, in_use) = (folder.path().join("data").display().to_string(), running.path("data").display().to_string());
    let under_a_file = format!("{good_file}/data");
    for (what, plan, data, port, zone, code) in [
        ("a data directory in use", &good_file, &in_use, "8000", "UTC", 13),
        ("a data directory that cannot be", &good_file, &under_a_file, "8000", "UTC", 13),
        ("a plan with a fault", &bad_file, &data, "8000", "UTC", 15),
        ("a setting with a fault", &good_file, &data, "8000", "Mars/Olympus", 15),
        ("a port that is taken", &listening, &data, port.as_str(), "UTC", 16),
    ] {
        let mut command = Command::new(SUPERVISOR);
        command.env_clear().env("TZ", zone).args(["run", "--port", port, "--data-dir", data, "--config", plan]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{what}: {output:?}");
    }
}
