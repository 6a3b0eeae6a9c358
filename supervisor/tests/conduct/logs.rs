//! Lines: whole, in their files, as text and as JSON.

use super::appliance::{Appliance, wait_until};

#[test]
fn lines_are_never_torn_nor_lost_across_rotation() {
    let plan = r#"
[log]
max_size_mb = 1
files = 40
[service.talker]
kind = "exec"
oneshot = true
command = ["sh", "-c", "seq -f 'line %09g of quite some length, so that it does not end where a buffer does' 1 200000"]
"#;
    let mut appliance = Appliance::start(plan);
    appliance.until_said("talker: done");
    assert_eq!(appliance.stop(), 0);
    let numbers = |text: &str| -> Vec<u64> {
        let number = |line: &str| {
            line.split_once("line ")?
                .1
                .split_once(" of quite some length, so that it does not end where a buffer does")?
                .0
                .parse()
                .ok()
        };
        text.lines()
            .filter(|line| line.contains("line "))
            .map(|line| number(line).unwrap_or_else(|| panic!("torn: {line}")))
            .collect()
    };
    let mut files: Vec<_> =
        std::fs::read_dir(appliance.path("data/logs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("talker.log"));
    assert!(files.len() > 10, "{files:?}");
    let mut written: Vec<u64> =
        files.iter().flat_map(|path| numbers(&std::fs::read_to_string(path).unwrap())).collect();
    written.sort_unstable();
    assert_eq!(written, (1..=200_000).collect::<Vec<_>>());
    let shown: Vec<u64> = numbers(&appliance.said("talker").join("\n"));
    assert_eq!(shown, written);
}

#[test]
fn json_output_is_one_object_a_line() {
    let plan = r#"
[service.a]
kind = "exec"
oneshot = true
command = ["sh", "-c", "echo plain; echo '{\"level\":\"WARN\",\"message\":\"own\",\"n\":7}'; echo bad >&2"]
"#;
    let mut appliance = Appliance::start_with(plan, &[], &[("LOG_FORMAT", "json")]);
    appliance.until_said("a: done");
    appliance.stop();
    let lines: Vec<serde_json::Value> =
        appliance.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let own = lines.iter().find(|line| line["msg"] == "own").unwrap();
    assert_eq!((&own["svc"], &own["level"], &own["n"]), (&"a".into(), &"warn".into(), &7.into()));
    assert!(lines.iter().all(|line| line["ts"].is_string() && line["svc"].is_string()));
    let errors = std::fs::read_to_string(appliance.path("data/logs/a.err.log")).unwrap();
    assert!(errors.ends_with("Z bad\n"), "{errors}");
}

#[test]
fn secrets_are_blanked_out() {
    let plan =
        "[service.a]\nkind = \"exec\"\noneshot = true\ncommand = [\"echo\", \"key is very-secret-key-of-mine!\"]\n";
    let mut appliance = Appliance::start_with(plan, &[], &[("SECRET_KEY", "very-secret-key-of-mine")]);
    appliance.until_said("a: done");
    appliance.stop();
    assert_eq!(appliance.said("a"), ["key is ***!"]);
    assert!(!std::fs::read_to_string(appliance.path("data/logs/a.log")).unwrap().contains("very-secret"));
}

#[test]
fn an_unwritable_log_folder_and_an_unread_output_block_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"i=0; while [ $i -lt 300 ]; do head -c 60000 /dev/zero | tr '\\\\0' x; echo; i=$((i+1)); done; echo finished >&2; touch DONE; exec sleep 1000\"]\n".replace("DONE", folder.path().join("done").to_str().unwrap())).unwrap();
    let mut child = std::process::Command::new(super::appliance::SUPERVISOR)
        .env_clear()
        .args(["run", "--data-dir"])
        .args([&folder.path().join("data"), std::path::Path::new("--config"), &plan])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads the pipe: 18 MB do not fit, and the service gets through all the same.
    wait_until(|| folder.path().join("done").exists(), || "the service to get through".to_owned());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    let mut exit = None;
    wait_until(
        || {
            exit = child.try_wait().unwrap();
            exit.is_some()
        },
        || "the supervisor's end".to_owned(),
    );
    assert_eq!(exit.unwrap().code(), Some(0));
}
