//! Lines: whole, in their files, as text and as JSON.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, SUPERVISOR, wait_until};

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
    wait_long(|| appliance.output().contains("talker: done"));
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
    let begins = |line: &str| line.starts_with("{\"ts\":\"") && line.contains("Z\",\"level\":\"");
    assert!(appliance.output().lines().all(begins), "{}", appliance.output());
    let errors = std::fs::read_to_string(appliance.path("data/logs/a.err.log")).unwrap();
    assert!(errors.ends_with("Z bad\n"), "{errors}");
}

#[test]
fn secrets_are_blanked_out() {
    let plan = "[service.a]\nkind = \"exec\"\noneshot = true\ncommand = [\"sh\", \"-c\", \"printf 'key is very-sec'; sleep 0.1; echo 'ret-key-of-mine!'; printf k:very-secret-key-of-mine | base64\"]\n";
    let mut appliance = Appliance::start_with(plan, &[], &[("SECRET_KEY", "very-secret-key-of-mine")]);
    appliance.until_said("a: done");
    appliance.stop();
    // What is left of the second is "k:" and less than a byte on either side.
    assert_eq!(appliance.said("a"), ["key is ***!", "azp***Q=="]);
    assert!(!std::fs::read_to_string(appliance.path("data/logs/a.log")).unwrap().contains("very-secret"));
}

#[test]
fn secrets_that_nobody_has_given_are_blanked_out_too() {
    let plan = r#"
[service.first]
kind = "exec"
oneshot = true
command = ["sh", "-c", "cat DIR/data/secrets/secret-key; echo; echo made-at-first-boot > DIR/data/secrets/admin-password"]
[service.second]
kind = "exec"
oneshot = true
after = ["first"]
command = ["sh", "-c", "echo log in with made-at-first-boot"]
"#;
    let mut appliance = Appliance::start(plan);
    appliance.until_said("second: done");
    appliance.stop();
    assert_eq!(appliance.said("first"), ["***"]);
    assert_eq!(appliance.said("second"), ["log in with ***"]);
}

#[test]
fn a_flood_in_torn_writes_loses_nothing_and_nobody_beside_it_suffers() {
    // 100 MB in blocks that end in the middle of lines, and a second stream and service at the same time.
    let plan = r#"
[log]
max_size_mb = 10
files = 40
[service.flood]
kind = "exec"
oneshot = true
command = ["sh", "-c", "seq -f 'flood %08.0f ............................................................................ end' 1 500000 >&2 & seq -f 'flood %08.0f ............................................................................ end' 500001 1000000; wait"]
[service.other]
kind = "exec"
oneshot = true
command = ["sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo other $i end; i=$((i+1)); done"]
"#;
    let mut appliance = Appliance::start(plan);
    wait_long(|| appliance.output().contains("flood: done") && appliance.output().contains("other: done"));
    assert_eq!(appliance.stop(), 0);
    let number = |line: &str| -> u64 {
        let number = line.strip_suffix(" end").and_then(|line| line.split(' ').nth(2)?.parse().ok());
        number.unwrap_or_else(|| panic!("torn: {line}"))
    };
    let all = |name: &str| -> Vec<u64> {
        let text = files_of(&appliance, name).into_iter().map(|path| std::fs::read_to_string(path).unwrap());
        text.flat_map(|text| text.lines().map(number).collect::<Vec<_>>()).collect()
    };
    assert_eq!(all("flood.err.log"), (1..=500_000).collect::<Vec<_>>());
    assert_eq!(all("flood.log"), (500_001..=1_000_000).collect::<Vec<_>>());
    assert_eq!(all("other.log"), (0..2_000).collect::<Vec<_>>());
    let output = appliance.output();
    assert_eq!(output.lines().filter(|line| line.contains(" flood | ") && line.ends_with(" end")).count(), 1_000_000);
    assert_eq!(output.lines().filter(|line| line.contains(" other | ") && line.ends_with(" end")).count(), 2_000);
    assert!(!output.contains(" lost") && !output.contains("missing"));
}

#[test]
fn strange_bytes_arrive_as_lines() {
    let plan = r#"
[service.a]
kind = "exec"
oneshot = true
command = ["sh", "-c", "printf 'dos\\r\\nnul \\000 nul\\nno \\377 text\\n\\n'; head -c 10000000 /dev/zero | tr '\\000' y; printf '\\nno end'"]
"#;
    let mut appliance = Appliance::start(plan);
    appliance.until_said("a: done");
    assert_eq!(appliance.stop(), 0);
    let text = std::fs::read_to_string(appliance.path("data/logs/a.log")).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(lines[..4], ["dos", "nul \0 nul", "no \u{fffd} text", ""]);
    let (last, pieces) = lines[4..].split_last().unwrap();
    assert_eq!(*last, "no end");
    assert!(pieces.iter().all(|piece| piece.bytes().all(|byte| byte == b'y') && piece.len() <= 65_536));
    assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), 10_000_000);
    assert_eq!(appliance.said("a").len(), lines.len());
}

#[test]
fn all_log_files_together_stay_below_their_total() {
    let plan = r#"
[log]
max_size_mb = 1
files = 40
total_mb = 5
[service.quiet]
kind = "exec"
oneshot = true
command = ["echo", "to be kept"]
[service.loud]
kind = "exec"
oneshot = true
after = ["quiet"]
command = ["seq", "-f", "%0100g", "1", "200000"]
"#;
    let mut appliance = Appliance::new(plan, &[], &[]);
    std::fs::create_dir_all(appliance.path("data/logs")).unwrap();
    std::fs::write(appliance.path("data/logs/gone.log.1"), vec![b'\n'; 500_000]).unwrap();
    appliance.start_again();
    let weight = || -> u64 {
        let files = std::fs::read_dir(appliance.path("data/logs")).unwrap();
        files.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
    };
    let most = 5 * 1024 * 1024;
    wait_long(|| {
        assert!(weight() <= most, "{}", weight());
        appliance.output().contains("loud: done")
    });
    wait_until(
        || std::fs::read_to_string(appliance.path("data/logs/loud.log")).is_ok_and(|text| text.ends_with("0200000\n")),
        || "the end of the flood in its file".to_owned(),
    );
    assert!((most - 1_100_000..=most).contains(&weight()), "{}", weight());
    assert!(std::fs::read_to_string(appliance.path("data/logs/quiet.log")).unwrap().ends_with(" to be kept\n"));
    assert!(appliance.path("data/logs/gone.log.1").exists(), "it has not the most");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_full_log_disk_stops_nobody_and_what_is_missing_is_told_once_there_is_room() {
    let plan = r#"
[service.talker]
kind = "exec"
command = ["sh", "-c", "[ -e DIR/through ] || seq -f 'first %090g' 1 50000; touch DIR/through; while ! [ -e DIR/more ]; do sleep 0.05; done; echo again; exec sleep 1000"]
"#;
    let mut appliance = Appliance::new(plan, &[], &[]);
    let logs = appliance.path("data/logs");
    std::fs::create_dir_all(&logs).unwrap();
    let Some(_disk) = SmallDisk::mount(&logs, "size=2m") else {
        eprintln!("SKIPPED: a full log disk (this needs the right to mount a tmpfs)");
        return;
    };
    appliance.start_again();
    wait_until(|| appliance.path("through").exists(), || "the service to get through".to_owned());
    appliance.until_said("ERROR log lines are being lost: logs/talker.log cannot be written: No space left on device");
    wait_until(|| appliance.said("talker").len() == 50_000, || "the output, which does not suffer".to_owned());
    // Room again, and the next line brings the news.
    let written = std::fs::read_to_string(logs.join("talker.log")).unwrap();
    assert!(written.ends_with('\n') && written.lines().all(|line| line.len() == 25 + 96), "torn");
    std::fs::write(logs.join("talker.log"), "").unwrap();
    wait_until(
        || {
            std::fs::write(appliance.path("more"), "").unwrap();
            appliance.output().contains("talker | again")
        },
        || "the line after that".to_owned(),
    );
    // The news comes with the next line once its file is no longer left alone, which is for a second.
    let told = |output: &str| {
        let counts = output.lines().filter_map(|line| line.split_once(" log lines are missing in logs/ since 20"));
        counts.map(|(before, _)| before.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum::<usize>()
    };
    wait_until(
        || {
            let _ = appliance.command(&["restart", "talker"]);
            told(&appliance.output()) > 0
        },
        || format!("the number of missing lines in: {}", appliance.said("supervisor").join("\n")),
    );
    assert_eq!(appliance.stop(), 0);
    // Every line of the output, our own among them, is in a file or was counted; that lines are lost goes to the output only.
    let kept = |name: &str| std::fs::read_to_string(logs.join(name)).unwrap();
    let said = appliance.said("talker").len() + appliance.said("supervisor").len();
    let output_only = appliance.output().matches("ERROR log lines are being lost").count();
    let in_files =
        written.lines().count() + kept("talker.log").lines().count() + kept("supervisor.log").lines().count();
    assert_eq!(in_files + told(&appliance.output()), said - output_only, "{}", kept("supervisor.log"));
    assert!(told(&kept("supervisor.log")) > 0);
}

#[test]
fn a_stuck_log_disk_stops_nobody() {
    let plan = r#"
[service.talker]
kind = "exec"
command = ["sh", "-c", "seq -f '%0100g' 1 50000; touch DIR/through; exec sleep 1000"]
"#;
    let mut appliance = Appliance::new(plan, &[], &[]);
    std::fs::create_dir_all(appliance.path("data/logs")).unwrap();
    // Writing blocks for ever once it is full.
    let pipe = appliance.path("data/logs/talker.log");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    appliance.start_again();
    wait_until(|| appliance.path("through").exists(), || "the service to get through".to_owned());
    wait_until(|| appliance.said("talker").len() == 50_000, || "the output, which does not suffer".to_owned());
    assert_eq!(appliance.service("talker")["state"], "ready");
    // Somebody reads after all, to the end.
    let reader = std::thread::spawn(move || {
        let text = std::fs::read_to_string(pipe).unwrap();
        assert!(text.lines().all(|line| line.len() == 125), "torn");
        text.lines().count()
    });
    let missing = || {
        let output = appliance.said("supervisor").join("\n");
        output.split_once(" log lines are missing in logs/ since 20")?.0.rsplit_once(' ')?.1.parse::<usize>().ok()
    };
    wait_until(|| missing().is_some(), || "the number of missing lines".to_owned());
    let missing = missing().unwrap();
    assert_eq!(appliance.stop(), 0);
    assert_eq!(reader.join().unwrap() + missing, 50_000, "{missing} missing");
    let own = std::fs::read_to_string(appliance.path("data/logs/supervisor.log")).unwrap();
    assert!(own.contains(&format!("ERROR {missing} log lines are missing in logs/")));
}

#[test]
fn an_output_that_nobody_reads_stops_nobody_and_what_is_missing_there_is_told() {
    let plan = r#"
[log]
max_size_mb = 20
[service.a]
kind = "exec"
command = ["sh", "-c", "seq -f 'number %090g' 1 50000; touch DIR/through; exec sleep 1000"]
"#;
    let appliance = Appliance::new(plan, &[], &[]);
    let mut child = std::process::Command::new(SUPERVISOR)
        .env_clear()
        .args(["run", "--data-dir"])
        .args([appliance.path("data"), "--config".into(), appliance.path("plan.toml")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let numbers = |text: &str| text.lines().filter(|line| line.contains("number ")).count();
    wait_until(|| appliance.path("through").exists(), || "the service to get through".to_owned());
    let log = || std::fs::read_to_string(appliance.path("data/logs/a.log")).unwrap();
    wait_until(|| numbers(&log()) == 50_000, || format!("all lines in the file: {}", numbers(&log())));
    // Now somebody reads, to the end.
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    let told = || {
        let own = std::fs::read_to_string(appliance.path("data/logs/supervisor.log")).unwrap();
        let (before, _) = own.split_once(" lines are missing on standard output")?;
        before.rsplit_once(' ')?.1.parse::<usize>().ok()
    };
    wait_until(|| told().is_some(), || "the number of missing lines".to_owned());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let shown = reader.join().unwrap();
    assert!(
        shown.contains(&format!("WARN {} lines are missing on standard output", told().unwrap())),
        "{}",
        shown.len()
    );
    // Lines of our own may be among the missing.
    assert!((50_000..50_010).contains(&(numbers(&shown) + told().unwrap())), "{} {:?}", numbers(&shown), told());
}

/// Like `wait_until`, for a flood on a busy machine.
#[track_caller]
fn wait_long(mut condition: impl FnMut() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_mins(3), "waited in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The files of one stream, the oldest first.
fn files_of(appliance: &Appliance, name: &str) -> Vec<PathBuf> {
    let current = appliance.path(&format!("data/logs/{name}"));
    let older = (1..).map(|number| appliance.path(&format!("data/logs/{name}.{number}")));
    let mut files: Vec<PathBuf> = std::iter::once(current).chain(older).take_while(|path| path.exists()).collect();
    files.reverse();
    files
}

/// A folder that is a disk of its own until this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
