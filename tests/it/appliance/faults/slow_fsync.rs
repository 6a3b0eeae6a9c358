//! Kills while each fsync, fdatasync, sync_file_range, msync and sync of Redis, web and worker takes 1.5 s longer.

use std::time::Duration;

use super::redis_wrapper::Wrapper;
use super::{ONE, Rounds, TWENTY, Trial, kills};
use crate::support::preload;

const SLOWER_BY_MS: &str = "1500";

/// Longer than one fsync, so that a kill meets one that is under way.
const PAUSE: Duration = Duration::from_secs(3);

#[test]
fn kills_cost_nothing_while_the_disk_is_slow() {
    during_an_fsync(ONE);
}

#[test]
#[ignore = "long"]
fn kills_cost_nothing_while_the_disk_is_slow_long() {
    during_an_fsync(TWENTY);
}

#[test]
#[ignore = "long"]
fn a_killed_service_costs_nothing_while_the_disk_is_slow_long() {
    kills::services(TWENTY, slow);
}

#[test]
#[ignore = "long"]
fn a_killed_supervisor_costs_nothing_while_the_disk_is_slow_long() {
    kills::everything(TWENTY, slow);
}

/// An instance whose disk is slow.
fn slow() -> Trial {
    let trial = Trial::with(|instance| {
        let library = preload::slow_fsync(instance.root());
        let wrapper =
            Wrapper { preload: Some((&library, &[("LD_SLOW_FSYNC_MS", SLOWER_BY_MS)])), ..Wrapper::default() };
        wrapper.install(instance);
        // The application's programs get the environment of the supervisor, which is spared itself.
        instance.set_env("LD_PRELOAD", library.to_str().unwrap());
        instance.set_env("LD_SLOW_FSYNC_MS", SLOWER_BY_MS);
        instance.set_env("LD_NOT_SLOW", "supervisor");
    });
    for name in ["redis", "web", "worker"] {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", trial.pid(name))).unwrap();
        assert!(maps.contains("slow_fsync"), "the library is not in {name}");
    }
    trial
}

fn during_an_fsync(rounds: Rounds) {
    rounds.run(slow, |trial, round| {
        trial.load();
        std::thread::sleep(PAUSE);
        trial.kill("redis");
        std::thread::sleep(PAUSE);
        trial.break_connections(|trial| {
            trial.instance.kill_everything();
            trial.instance.start();
        });
        trial.wait_for("worker", |_| true);
        trial.settle(&format!("round {round}: Redis, then everything killed, with slow fsyncs"));
    });
}
