//! PostgreSQL and Redis under a full disk, a killed first process and a killed supervisor.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, wait_until};

/// The bundled servers, a task after them, and in front something that holds the port and can go without that task.
const PLAN: &str = r#"
[service.prepare]
kind = "bundled"
oneshot = true
[service.postgres]
kind = "bundled"
after = ["prepare"]
ready = "probe"
ready_within_s = 0
stop = ["INT", "QUIT@8.5", "KILL@9.2"]
backoff = { max_s = 1, attempts = 4 }
[service.redis]
kind = "bundled"
after = ["prepare"]
ready = "probe"
ready_within_s = 0
backoff = { max_s = 1, attempts = 4 }
[service.task]
kind = "exec"
command = ["sh", "-c", "[ -e DIR/away ] && exit 75; mkdir -p spool; touch spool/keys"]
oneshot = true
after = ["postgres", "redis"]
retry = { exit = [75], if_exists = "spool/keys" }
backoff = { base_s = 0.1, max_s = 0.2 }
[service.front]
kind = "exec"
command = ["sleep", "1000"]
listen = true
after = ["prepare", "task"]
start_without = { services = ["task"], after_s = 1, if_exists = "spool/keys" }
"#;

/// What psql says.
#[track_caller]
fn sql(appliance: &Appliance, statement: &str) -> String {
    appliance.done(&["psql", "--", "-XAtqc", statement]).trim().to_owned()
}

/// A statement that runs in the background until its server is gone.
#[must_use]
fn busy(appliance: &Appliance, statement: &str) -> Busy {
    let mut command = appliance.bare_command(&["psql", "--", "-XAtqc", statement]);
    let child = Busy(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let running = format!("select count(*) from pg_stat_activity where state = 'active' and query = '{statement}'");
    wait_until(|| sql(appliance, &running) == "1", || statement.to_owned());
    child
}

/// A client that waits for the answer to its statement.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main_process(appliance: &Appliance, service: &str) -> Pid {
    Pid::from_raw(i32::try_from(appliance.service(service)["pid"].as_i64().unwrap()).unwrap())
}

#[test]
fn postgres_is_back_at_once_when_its_first_process_is_killed_under_busy_backends() {
    let mut appliance = Appliance::start_with(PLAN, &["--port", &free_port()], &[]);
    appliance.until_said("supervisor | ready in");
    sql(&appliance, "create table kept as select generate_series(1, 1000) n");
    let _asleep = busy(&appliance, "select pg_sleep(1000)");
    let _computing = busy(&appliance, "select count(*) from generate_series(1, 10000000000)");
    kill(main_process(&appliance, "postgres"), Signal::SIGKILL).unwrap();
    let since = Instant::now();
    appliance.until_said("postgres: ready in ");
    wait_until(|| appliance.output().matches("postgres: ready in ").count() == 2, || appliance.output());
    // A second on a machine at rest, and its tests share this one.
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}\n{}", since.elapsed(), appliance.output());
    assert_eq!(sql(&appliance, "select count(*) from kept"), "1000");
    assert_eq!(appliance.service("postgres")["restarts"], 1);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_killed_supervisor_is_followed_by_a_new_one_at_once() {
    let mut appliance = Appliance::start_with(PLAN, &["--port", &free_port()], &[]);
    appliance.until_said("supervisor | ready in");
    sql(&appliance, "create table kept as select generate_series(1, 1000) n");
    for _ in 0..3 {
        let _computing = busy(&appliance, "select count(*) from generate_series(1, 10000000000)");
        let since = Instant::now();
        appliance.kill_supervisor_and_start_again();
        appliance.until_said("supervisor | ready in");
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}\n{}", since.elapsed(), appliance.output());
        assert_eq!(sql(&appliance, "select count(*) from kept"), "1000");
        assert!(!appliance.output().contains("in use"), "{}", appliance.output());
    }
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn the_port_takes_connections_before_the_servers_of_a_killed_supervisor_have_ended() {
    let port = free_port();
    let mut appliance = Appliance::start_with(PLAN, &["--port", &port], &[]);
    appliance.until_said("supervisor | ready in");
    // Something like Redis that does not end when asked: the new supervisor has patience with it, and kills it then.
    let impostor = appliance.path("redis-server");
    std::fs::copy("/bin/sleep", &impostor).unwrap();
    let mut deaf = Command::new("sh")
        .args(["-c", "trap '' TERM; exec \"$0\" 1000"])
        .arg(&impostor)
        .current_dir(appliance.path("data/redis"))
        .spawn()
        .unwrap();
    appliance.kill_supervisor_and_start_again();
    let address = format!("127.0.0.1:{port}");
    wait_until(|| std::net::TcpStream::connect(&address).is_ok(), || appliance.output());
    assert!(deaf.try_wait().unwrap().is_none(), "it was waited for first");
    appliance.until_said("supervisor | ready in");
    assert!(deaf.wait().unwrap().code().is_none());
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn no_secret_is_on_a_command_line_or_in_another_services_environment() {
    let given = [
        ("DB_PASSWORD", "given-for-db"),
        ("REDIS_PASSWORD", "given-for-redis"),
        ("SECRET_KEY", "given-key"),
        ("EMAIL_URL", "smtp://u:given-mail@h"),
    ];
    let mut appliance = Appliance::start_with(PLAN, &["--port", &free_port()], &given);
    appliance.until_said("supervisor | ready in");
    let mut secrets: Vec<String> = given.iter().map(|(_, value)| (*value).to_owned()).collect();
    for file in std::fs::read_dir(appliance.path("data/secrets")).unwrap() {
        secrets.push(std::fs::read_to_string(file.unwrap().path()).unwrap().trim().to_owned());
    }
    assert!(secrets.len() >= 8, "{secrets:?}");
    let pids = descendants(appliance.pid());
    assert!(pids.len() > 5, "{pids:?}");
    for pid in pids {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let found: Vec<&String> = secrets.iter().filter(|secret| text.contains(secret.as_str())).collect();
            assert!(found.is_empty(), "{file} of {pid}: {text}");
        }
    }
    assert_eq!(appliance.stop(), 0);
}

/// All processes below this one.
fn descendants(top: Pid) -> Vec<i32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        let pid: i32 = head.split_once(' ').unwrap().0.parse().unwrap();
        let parent: i32 = rest.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
        parents.push((pid, parent));
    }
    let mut found = vec![top.as_raw()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[test]
fn what_can_go_without_a_task_does_so_on_a_volume_that_has_seen_it() {
    let mut appliance = Appliance::new(PLAN, &["--port", &free_port()], &[]);
    std::fs::write(appliance.path("away"), "").unwrap();
    appliance.start_again();
    assert_eq!(appliance.exit_code(), 10, "on a new volume its failure is one");
    std::fs::remove_file(appliance.path("away")).unwrap();
    appliance.start_again();
    appliance.until_said("supervisor | ready in");
    assert_eq!(appliance.stop(), 0);
    std::fs::write(appliance.path("away"), "").unwrap();
    appliance.start_again();
    appliance.until_said("front: is started without task, which takes too long");
    wait_until(|| appliance.service("front")["state"] == "ready", || appliance.output());
    wait_until(|| appliance.service("task")["generation"].as_i64() > Some(12), || appliance.output());
    assert_eq!(appliance.command(&["status"]).status.code(), Some(1));
    std::fs::remove_file(appliance.path("away")).unwrap();
    appliance.until_said("supervisor | ready in");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn on_a_full_disk_nothing_is_given_up_and_space_brings_everything_back() {
    let Some(mut appliance) = on_a_small_disk() else { return };
    appliance.until_said("MB of the data disk are kept in reserve");
    sql(&appliance, "create table kept as select generate_series(1, 1000) n");
    fill(&appliance);
    break_postgres(&appliance);
    // The reserve lets it recover.
    appliance.until_said("kept in reserve are given up");
    wait_until(|| appliance.service("postgres")["state"] == "ready", || appliance.output());
    assert_eq!(sql(&appliance, "select count(*) from kept"), "1000");
    // Now there is none.
    fill(&appliance);
    break_postgres(&appliance);
    wait_until(|| appliance.service("postgres")["restarts"].as_i64() > Some(6), || appliance.output());
    let shown = appliance.service("postgres")["health"].to_string();
    assert!(shown.contains("the data disk has 0 MB free") || shown.contains("starting"), "{shown}");
    assert_eq!(appliance.service("front")["state"], "ready");
    assert!(appliance.output().matches("the data disk has 0 MB free").count() <= 2, "{}", appliance.output());
    std::fs::remove_file(appliance.path("disk/fill")).unwrap();
    let since = Instant::now();
    wait_until(|| appliance.service("postgres")["state"] == "ready", || appliance.output());
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}\n{}", since.elapsed(), appliance.output());
    assert_eq!(sql(&appliance, "select count(*) from kept"), "1000");
    // A start on the full disk serves what it can.
    fill(&appliance);
    assert_eq!(appliance.stop(), 0);
    fill(&appliance);
    appliance.start_again();
    appliance.until_said("front: is started without task");
    std::fs::remove_file(appliance.path("disk/fill")).unwrap();
    appliance.until_said("supervisor | ready in");
    assert_eq!(sql(&appliance, "select count(*) from kept"), "1000");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_start_on_a_full_disk_gives_the_reserve_up_and_is_refused_only_where_nothing_can_be_served() {
    let Some(mut appliance) = on_a_small_disk() else { return };
    appliance.until_said("MB of the data disk are kept in reserve");
    assert_eq!(appliance.stop(), 0);
    // Not known to have been in use: nothing could be served without PostgreSQL.
    std::fs::remove_file(appliance.path("disk/data/spool/keys")).unwrap();
    fill(&appliance);
    appliance.start_again();
    appliance.until_said("supervisor | ready in");
    assert!(appliance.output().contains("kept in reserve are given up"), "{}", appliance.output());
    assert_eq!(appliance.stop(), 0);
    std::fs::remove_file(appliance.path("disk/data/spool/keys")).unwrap();
    fill(&appliance);
    appliance.start_again();
    assert_eq!(appliance.exit_code(), 14, "{}", appliance.output());
}

/// An appliance whose data directory is on a disk of its own; `None` without the right to mount one.
fn on_a_small_disk() -> Option<Appliance> {
    let mut appliance = Appliance::new(PLAN, &["--port", &free_port()], &[]);
    if !appliance.move_to_small_disk("size=300m") {
        eprintln!("SKIPPED: only root can mount a small disk");
        return None;
    }
    appliance.start_again();
    Some(appliance)
}

/// Takes all that is left of the small disk.
fn fill(appliance: &Appliance) {
    let path = appliance.path("disk/fill");
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k", "oflag=append", "conv=notrunc"])
        .arg(format!("of={}", path.display()))
        .output();
}

/// Writes until PostgreSQL needs the next segment of its log, and cannot have it.
fn break_postgres(appliance: &Appliance) {
    let statement = "select pg_logical_emit_message(false, 'x', repeat('x', 8000000))";
    wait_until(|| !appliance.command(&["psql", "--", "-XAtqc", statement]).status.success(), || appliance.output());
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}
