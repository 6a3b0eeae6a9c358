//! kill -9 of each process in turn, and of all at once.

use std::process::Stdio;
use std::time::Duration;

use super::{ONE, Rounds, TWENTY, Trial};
use crate::appliance::instance::signal;

/// Between two faults: long enough for the load to fill every pipe again.
const PAUSE: Duration = Duration::from_secs(1);

#[test]
fn a_killed_service_costs_nothing() {
    services(ONE, Trial::new);
}

#[test]
#[ignore = "long"]
fn a_killed_service_costs_nothing_long() {
    services(TWENTY, Trial::new);
}

#[test]
fn a_killed_supervisor_and_a_power_cut_cost_nothing() {
    everything(ONE, Trial::new);
}

#[test]
#[ignore = "long"]
fn a_killed_supervisor_and_a_power_cut_cost_nothing_long() {
    everything(TWENTY, Trial::new);
}

/// Web, worker, Redis, a busy backend and PostgreSQL, one after the other.
pub(super) fn services(rounds: Rounds, new: fn() -> Trial) {
    rounds.run(new, |trial, round| {
        trial.load();
        pause();
        trial.break_connections(|trial| trial.kill("web"));
        pause();
        trial.kill("worker");
        pause();
        trial.kill("redis");
        pause();
        kill_busy_backend(trial);
        pause();
        trial.kill("postgres");
        pause();
        trial.settle(&format!("round {round}: web, worker, Redis, a backend and PostgreSQL killed"));
    });
}

/// The supervisor, then all processes at once.
pub(super) fn everything(rounds: Rounds, new: fn() -> Trial) {
    rounds.run(new, |trial, round| {
        trial.load();
        pause();
        let before = trial.instance.processes();
        trial.break_connections(|trial| {
            trial.instance.kill_supervisor();
            trial.instance.start();
            // Its children have ended by themselves, or the next supervisor has seen to it: the first answers may still be
            // of a web that is just about to end.
            trial.until("the old processes to be gone", Duration::from_secs(10), || {
                let left = trial.instance.processes();
                left.iter().all(|(pid, _)| before.iter().all(|(old, _)| old != pid))
            });
            trial.wait_for("web", |_| true);
        });
        trial.wait_for("worker", |_| true);
        pause();
        trial.break_connections(|trial| {
            trial.instance.kill_everything();
            trial.instance.start();
        });
        trial.wait_for("worker", |_| true);
        pause();
        trial.settle(&format!("round {round}: the supervisor, then everything killed"));
    });
}

/// PostgreSQL ends all sessions then and recovers.
fn kill_busy_backend(trial: &Trial) {
    let sleeping = "select pg_sleep(100)";
    let mut psql = trial.instance.command("supervisor", &["psql", "--", "-XAtc", sleeping]);
    let mut client = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let find = format!("select pid from pg_stat_activity where query = '{sleeping}' and state = 'active'");
    let mut pid = String::new();
    trial.until("a busy backend", Duration::from_secs(10), || {
        pid = trial.instance.sql(&find);
        !pid.is_empty()
    });
    signal("KILL", pid.parse().unwrap());
    assert!(!client.wait().unwrap().success(), "its client was not told");
    // Sessions are refused until it has recovered.
    let ask = ["psql", "--", "-XAtc", "select 1"];
    trial.until("PostgreSQL to recover", Duration::from_secs(30), || {
        trial.instance.command("supervisor", &ask).output().unwrap().status.success()
    });
}

fn pause() {
    std::thread::sleep(PAUSE);
}
