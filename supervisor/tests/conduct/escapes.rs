//! Processes that try to get away from their service.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::appliance::{Appliance, wait_until};

/// Starts daemons in every way there is to get away, each of which notes its process id, and says so once all have.
const ESCAPE: &str = r#"
folder=$1 name=$2
for pid in $(cat "$folder/$name" 2>/dev/null); do
    if [ -e /proc/$pid ]; then echo "STILL THERE: $pid"; fi
done
rm -f "$folder/$name"
daemon="'$folder/daemon' '$folder' '$name'"
# Twice forked, in a session of its own.
(setsid sh -c "$daemon & exit" &)
# The same, several times over, each time with nothing in the environment.
(env -i setsid sh -c "(env -i setsid sh -c \"(env -i setsid $daemon &)\" &)" &)
# In the group and the session of the service.
sh -c "$daemon" &
# Deaf.
(env -i setsid sh -c "trap '' TERM HUP INT; $daemon & exit" &)
while [ "$(cat "$folder/$name" 2>/dev/null | wc -l)" -lt 4 ]; do sleep 0.01; done
echo all out
exec sleep 1000
"#;

/// Notes itself, and goes by another name.
const DAEMON: &str = "#!/bin/sh\necho $$ >>\"$1/$2\"\nexec \"$1/sleep-elsewhere\" 1000\n";

const PLAN: &str = r#"
[service.one]
kind = "exec"
command = ["sh", "DIR/escape", "DIR", "one"]
[service.two]
kind = "exec"
command = ["sh", "DIR/escape", "DIR", "two"]
"#;

fn escaping(plan: &str) -> Appliance {
    let appliance = Appliance::new(plan, &[], &[]);
    std::fs::write(appliance.path("escape"), ESCAPE).unwrap();
    std::fs::write(appliance.path("daemon"), DAEMON).unwrap();
    std::process::Command::new("chmod").arg("755").arg(appliance.path("daemon")).status().unwrap();
    std::fs::copy("/bin/sleep", appliance.path("sleep-elsewhere")).unwrap();
    appliance
}

/// The process ids in this file, and whether each lives.
fn noted(path: &Path) -> Vec<(String, bool)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|pid| (pid.to_owned(), is_alive(pid))).collect()
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn main_process(appliance: &Appliance, service: &str) -> Pid {
    Pid::from_raw(i32::try_from(appliance.service(service)["pid"].as_i64().unwrap()).unwrap())
}

fn until_all_out(appliance: &Appliance, service: &str, times: usize) {
    wait_until(
        || appliance.said(service).iter().filter(|line| *line == "all out").count() == times,
        || appliance.output(),
    );
}

#[test]
fn nothing_escapes_a_dead_service_and_nothing_of_another_is_touched() {
    let mut appliance = escaping(PLAN);
    appliance.start_again();
    until_all_out(&appliance, "one", 1);
    until_all_out(&appliance, "two", 1);
    for round in 2..5 {
        let (escaped, others) = (noted(&appliance.path("one")), noted(&appliance.path("two")));
        assert!(escaped.len() == 4 && escaped.iter().chain(&others).all(|(_, lives)| *lives), "{escaped:?} {others:?}");
        kill(main_process(&appliance, "one"), Signal::SIGKILL).unwrap();
        until_all_out(&appliance, "one", round);
        assert!(escaped.iter().all(|(pid, _)| !is_alive(pid)), "{}", appliance.output());
        assert!(others.iter().all(|(pid, _)| is_alive(pid)), "{}", appliance.output());
    }
    let left: Vec<String> =
        ["one", "two"].iter().flat_map(|name| noted(&appliance.path(name))).map(|(pid, _)| pid).collect();
    assert_eq!(left.len(), 8);
    assert_eq!(appliance.stop(), 0);
    assert!(left.iter().all(|pid| !is_alive(pid)), "{}", appliance.output());
    assert!(!appliance.output().contains("STILL THERE"), "{}", appliance.output());
}

#[test]
fn a_service_that_is_stopped_takes_its_daemons_along_and_no_others() {
    let mut appliance = escaping(PLAN);
    appliance.start_again();
    until_all_out(&appliance, "one", 1);
    until_all_out(&appliance, "two", 1);
    appliance.done(&["stop", "two"]);
    assert!(noted(&appliance.path("two")).iter().all(|(_, lives)| !lives));
    assert!(noted(&appliance.path("one")).iter().all(|(_, lives)| *lives));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn the_next_start_ends_what_a_killed_supervisor_left_of_users_services() {
    let mut appliance = escaping(PLAN);
    appliance.start_again();
    until_all_out(&appliance, "one", 1);
    until_all_out(&appliance, "two", 1);
    let neighbour = {
        let mut neighbour = escaping(PLAN);
        neighbour.start_again();
        until_all_out(&neighbour, "one", 1);
        neighbour
    };
    let left: Vec<String> =
        ["one", "two"].iter().flat_map(|name| noted(&appliance.path(name))).map(|(pid, _)| pid).collect();
    appliance.kill_supervisor_and_start_again();
    until_all_out(&appliance, "one", 1);
    assert!(left.len() == 8 && left.iter().all(|pid| !is_alive(pid)), "{}", appliance.output());
    assert!(noted(&neighbour.path("one")).iter().all(|(_, lives)| *lives), "another data directory's are left alone");
    assert_eq!(appliance.stop(), 0);
}

/// Eight chains of processes, each of which lives just long enough to fork the next into a session of its own; over after
/// half a minute, should nobody end them.
const RELAY: &str = "use POSIX; my $end = time + 30; for (1 .. 7) { last unless fork } while (time < $end) { exit 0 if fork; POSIX::setsid() }";

/// Processes with this in their command line.
fn with_argument(text: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    command_lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

#[test]
fn a_fork_storm_does_not_outrun_the_sweep() {
    let plan = r#"
[service.storm]
kind = "exec"
command = ["sh", "-c", "perl DIR/relay & echo storming; sleep 0.2; exec sleep 1000"]
[service.calm]
kind = "exec"
command = ["sleep", "1000"]
"#;
    let mut appliance = Appliance::new(plan, &[], &[]);
    std::fs::write(appliance.path("relay"), RELAY).unwrap();
    let relay = appliance.path("relay").display().to_string();
    appliance.start_again();
    appliance.until_said("storm | storming");
    wait_until(|| with_argument(&relay) >= 4, || appliance.output());
    let since = Instant::now();
    kill(main_process(&appliance, "storm"), Signal::SIGKILL).unwrap();
    appliance.until_said("(generation 2)");
    let took = since.elapsed();
    // A tenth of that on a machine at rest.
    assert!(took < Duration::from_secs(3), "{took:?}\n{}", appliance.output());
    assert_eq!(appliance.service("calm")["restarts"], 0);
    wait_until(|| with_argument(&relay) >= 4, || appliance.output());
    let since = Instant::now();
    assert_eq!(appliance.stop(), 0);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}\n{}", since.elapsed(), appliance.output());
    assert_eq!(with_argument(&relay), 0, "{}", appliance.output());
    assert!(!appliance.output().contains("cannot be killed"), "{}", appliance.output());
}

#[test]
fn a_fork_storm_within_limits_is_ended() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can give the storm a user of its own, whose processes are limited");
        return;
    }
    let plan = r#"
[service.storm]
kind = "exec"
user = "nobody"
command = ["sh", "-c", "perl -e 'print \"storming\n\"; $| = 1; my $end = time + 30; while (time < $end) { fork }' DIR"]
limits = { processes = 150 }
stop = ["TERM", "KILL@0.2"]
"#;
    let mut appliance = Appliance::start(plan);
    let folder = appliance.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let storming = || with_argument(&format!("fork }}\0{folder}\0"));
    wait_until(|| storming() >= 100, || format!("{} in {}", storming(), appliance.output()));
    assert!(storming() <= 150);
    let since = Instant::now();
    assert_eq!(appliance.stop(), 0);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(storming(), 0);
}

#[test]
fn a_stopped_process_hears_its_stop() {
    let plan = "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done\"]\nstop = [\"TERM\", \"KILL@15\"]\n";
    let mut appliance = Appliance::start(plan);
    appliance.until_said("a | up");
    kill(main_process(&appliance, "a"), Signal::SIGSTOP).unwrap();
    let since = Instant::now();
    assert_eq!(appliance.stop(), 0);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(appliance.output().contains("a | bye"), "{}", appliance.output());
}
