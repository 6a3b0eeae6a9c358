//! A web, a worker and a PostgreSQL that are stopped in the middle of their work (SIGSTOP), as a process that hangs is:
//! alive, silent and in the way.

use std::time::{Duration, Instant};

use super::{ONE, Rounds, TWENTY, Trial};
use crate::appliance::instance::signal;

const PAUSE: Duration = Duration::from_secs(1);

/// So soon `supervisor status` says that something is wrong.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// So soon another one serves. On a busy machine its start takes its time.
const REPLACED_WITHIN: Duration = Duration::from_secs(25);

#[test]
fn a_web_or_worker_that_hangs_under_load_is_seen_and_replaced() {
    hang(ONE);
}

#[test]
#[ignore = "long"]
fn a_web_or_worker_that_hangs_under_load_is_seen_and_replaced_long() {
    hang(TWENTY);
}

fn hang(rounds: Rounds) {
    rounds.run(Trial::new, |trial, round| {
        trial.load();
        std::thread::sleep(PAUSE);
        stop_and_wait(trial, "worker");
        // What web had in hand when it was stopped is broken off with it; all else waits for its successor.
        trial.break_connections(|trial| stop_and_wait(trial, "web"));
        std::thread::sleep(PAUSE);
        trial.settle(&format!("round {round}: worker and web stopped by a signal"));
    });
}

fn stop_and_wait(trial: &Trial, name: &str) {
    let (old, begun) = (trial.pid(name), Instant::now());
    signal("STOP", old);
    trial.until(&format!("{name} to be seen as hanging"), SEEN_WITHIN, || {
        trial.service(name).is_some_and(|service| service["health"] != "ok")
    });
    let seen = begun.elapsed();
    trial.until(&format!("{name} to be replaced"), REPLACED_WITHIN, || {
        trial.service(name).is_some_and(|service| {
            service["state"] == "ready"
                && service["health"] == "ok"
                && service["pid"].as_u64().is_some_and(|pid| pid != u64::from(old))
        })
    });
    println!("{name}: seen as hanging after {seen:.1?}, replaced after {:.1?}", begun.elapsed());
}

#[test]
fn a_postgres_that_is_stopped_for_a_while_is_waited_for() {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    let old = trial.pid("postgres");
    let frozen = trial.freeze("postgres");
    trial.until("PostgreSQL to be seen as unwell", Duration::from_secs(30), || {
        trial.service("postgres").is_some_and(|service| service["health"] != "ok")
    });
    // Longer than web or worker would have.
    std::thread::sleep(Duration::from_secs(10));
    drop(frozen);
    trial.wait_for("postgres", |service| service["health"] == "ok");
    assert_eq!(trial.pid("postgres"), old, "it was replaced");
    trial.settle("PostgreSQL stopped by a signal for a while");
}
