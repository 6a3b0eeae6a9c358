//! The supervisor as PID 1, under an init of somebody else's, and in a control group of its own.

use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, wait_until};

/// Two services by one name and user; one forks daemons that get away.
const PLAN: &str = r#"
[service.loose]
kind = "exec"
command = ["sh", "-c", "(env -i setsid sh -c 'sleep 4141 & exit' &); sh -c 'exit 3' & sleep 0.1; echo up; exec sleep 1000"]
[service.calm]
kind = "exec"
command = ["sleep", "1000"]
"#;

/// As PID 1 of a namespace of their own, if that is allowed.
const ALONE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

fn may_be_alone() -> bool {
    let allowed =
        Command::new(ALONE[0]).args(&ALONE[1..]).arg("true").output().is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("SKIPPED: a PID namespace cannot be made here");
    }
    allowed
}

/// The first child of a process.
fn child_of(parent: Pid) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent.as_raw())
    };
    pids.find(is_child).map(Pid::from_raw)
}

/// Processes with exactly this command line, below `top` or anywhere.
fn running(command_line: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.replace('\0', " ").trim() == command_line).count()
}

fn loose(seconds: &str) -> Appliance {
    Appliance::new(&PLAN.replace("4141", seconds), &[], &[])
}

#[test]
fn as_the_first_process_it_reaps_sweeps_and_ends_everything() {
    if !may_be_alone() {
        return;
    }
    let mut appliance = loose("4141");
    appliance.run_under(&ALONE);
    appliance.start_again();
    appliance.until_said("loose | up");
    wait_until(|| running("sleep 4141") == 1, || appliance.output());
    let inside = child_of(appliance.pid()).unwrap();
    // Somebody enters, as `docker exec` does, and leaves a process behind that nobody started for a service.
    let enter = Command::new("nsenter")
        .args(["--pid", "--target", &inside.to_string(), "sh", "-c", "setsid sleep 4142 & exit"])
        .status();
    assert!(enter.unwrap().success());
    wait_until(|| running("sleep 4142") == 1, || appliance.output());
    let pid = appliance.service("loose")["pid"].as_i64().unwrap();
    let main = Command::new("nsenter")
        .args(["--pid", "--mount", "--target", &inside.to_string(), "kill", "-9", &pid.to_string()])
        .status();
    assert!(main.unwrap().success());
    appliance.until_said("(generation 2)");
    wait_until(|| appliance.said("loose").len() == 2 && running("sleep 4141") == 1, || appliance.output());
    assert_eq!(running("sleep 4142"), 1, "it is no service's");
    assert_eq!(appliance.service("calm")["restarts"], 0);
    let children = child_of(inside).is_some();
    assert!(children);
    kill(inside, Signal::SIGTERM).unwrap();
    assert_eq!(appliance.exit_code(), 0);
    assert_eq!((running("sleep 4141"), running("sleep 4142")), (0, 0));
}

#[test]
fn under_an_init_it_takes_everything_along() {
    if !may_be_alone() {
        return;
    }
    let init = "\"$@\" & child=$!; trap 'kill -TERM $child' TERM; code=0; while :; do wait $child; code=$?; kill -0 $child 2>/dev/null || exit $code; done";
    let mut appliance = loose("4151");
    appliance.run_under(&[ALONE.as_slice(), &["sh", "-c", init, "init"]].concat());
    appliance.start_again();
    appliance.until_said("loose | up");
    wait_until(|| running("sleep 4151") == 1, || appliance.output());
    kill(child_of(appliance.pid()).unwrap(), Signal::SIGTERM).unwrap();
    assert_eq!(appliance.exit_code(), 0);
    assert!(appliance.output().contains("stopped, exit 0"), "{}", appliance.output());
    assert_eq!(running("sleep 4151"), 0);
}

/// A control group of version 2 made for a test.
struct Delegated(PathBuf);

impl Delegated {
    fn make() -> Option<Self> {
        let points = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let point = points.iter().find(|point| PathBuf::from(point).join("cgroup.procs").exists())?;
        let folder = PathBuf::from(point).join(format!("glitchbox-test-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let made = Self(folder);
        made.0.join("cgroup.kill").exists().then_some(made)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn where_control_groups_can_be_made_each_run_has_one() {
    let Some(group) = Delegated::make() else {
        eprintln!("SKIPPED: no control group of version 2 can be made here");
        return;
    };
    let mut appliance = loose("4161");
    let join = format!("echo 0 >{}/cgroup.procs && exec \"$@\"", group.0.display());
    appliance.run_under(&["sh", "-c", &join, "join"]);
    appliance.start_again();
    appliance.until_said("loose | up");
    wait_until(|| running("sleep 4161") == 1, || appliance.output());
    let of = |run: &str| group.0.join(format!("glitchbox.{}/{run}", appliance.pid()));
    let members = std::fs::read_to_string(of("loose.1").join("cgroup.procs")).unwrap();
    assert_eq!(members.lines().count(), 2, "{members}");
    let pid = appliance.service("loose")["pid"].as_i64().unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    appliance.until_said("(generation 2)");
    assert!(!of("loose.1").exists() && of("loose.2").exists() && of("calm.1").exists());
    let home = of("");
    assert_eq!(appliance.stop(), 0);
    assert_eq!(running("sleep 4161"), 0);
    assert!(!home.exists(), "{}", appliance.output());
}
