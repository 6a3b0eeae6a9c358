//! What cannot be started: one clear message naming the thing, its exit code, nothing changed on disk.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::Instance;
use super::instance::describe;

/// A start that has to be refused within some seconds.
fn refused(instance: &Instance, command: &mut Command, exit: i32, named: &[&str]) {
    let before = instance.listing();
    let output = output_of(command);
    let said = describe(&output);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    for name in named {
        assert!(stderr.contains(name), "{name:?} is not named in: {said}");
    }
    assert!(!stderr.contains("panicked"), "{said}");
    assert_eq!(instance.listing(), before, "the refused start changed something on disk: {said}");
}

/// The output, or a failure if the command runs on.
fn output_of(command: &mut Command) -> Output {
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            super::instance::signal("TERM", child.id());
            panic!("it started: {}", describe(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn malformed_values_are_named_all_at_once() {
    let instance = Instance::new();
    let mut command = instance.command("supervisor", &["run"]);
    command.env("PORT", "eight thousand").env("LOG_FORMAT", "xml");
    refused(&instance, &mut command, 15, &["PORT", "LOG_FORMAT"]);
    let mut command = instance.command("supervisor", &["run"]);
    command.env("TRUSTED_PROXIES", "10.0.0.0/8,nonsense").env("GLITCHTIP_DOMAIN", "not a url");
    refused(&instance, &mut command, 15, &["TRUSTED_PROXIES", "GLITCHTIP_DOMAIN"]);
}

#[test]
fn a_malformed_configuration_file_is_named_with_its_line() {
    let instance = Instance::new();
    let conf = instance.root().join("bad.toml");
    for text in ["[services.web\n", "[services.web]\nflavour = \"sweet\"\n"] {
        std::fs::write(&conf, text).unwrap();
        let path = conf.display().to_string();
        let mut command = instance.command("supervisor", &["run", "--config", &path]);
        refused(&instance, &mut command, 15, &[&path]);
    }
}

#[test]
fn a_data_directory_of_a_newer_version_is_left_alone() {
    let mut instance = Instance::started();
    instance.stop();
    std::fs::write(instance.data().join("format"), "999\n").unwrap();
    let data = instance.data().display().to_string();
    refused(&instance, &mut instance.command("supervisor", &["run"]), 13, &[&data, "999"]);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let instance = Instance::new();
    std::fs::create_dir(instance.data()).unwrap();
    std::fs::write(instance.data().join("thesis.odt"), "precious").unwrap();
    let data = instance.data().display().to_string();
    refused(&instance, &mut instance.command("supervisor", &["run"]), 13, &[&data]);
}

#[test]
fn a_data_directory_in_use_is_left_alone() {
    let instance = Instance::started();
    let output = output_of(instance.command("supervisor", &["run"]).env("PORT", "1"));
    assert_eq!(output.status.code(), Some(13), "{}", describe(&output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&instance.data().display().to_string()), "{stderr}");
    // The one that runs has noticed nothing.
    assert_eq!(instance.sql("select count(*) from project"), "1");
}

#[test]
fn a_port_in_use_is_named() {
    let mut instance = Instance::new();
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    instance.set_port(port);
    refused(&instance, &mut instance.command("supervisor", &["run"]), 16, &[&port.to_string()]);
}

#[test]
fn a_missing_server_is_named() {
    let redis = "mount --bind /dev/null /usr/bin/redis-server";
    let postgres = "mount -t tmpfs none /usr/lib/postgresql";
    for (hide, named) in [(redis, ["Redis", "REDIS_URL"]), (postgres, ["PostgreSQL", "DATABASE_URL"])] {
        let instance = Instance::new();
        let run = instance.command("supervisor", &["run"]);
        let mut command = without(hide);
        command.arg(run.get_program()).env_clear();
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let probe = without(hide).arg("true").output().unwrap();
        if !probe.status.success() {
            eprintln!("SKIPPED: programs cannot be hidden here: {}", describe(&probe));
            return;
        }
        refused(&instance, &mut command, 15, &named);
    }
}

/// A command in a mount namespace of its own, where `hide` has been done: servers are found in fixed places.
fn without(hide: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{hide} && exec \"$0\" run")]);
    command
}
