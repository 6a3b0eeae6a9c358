//! A worker killed between commit and acknowledgement; two workers and two webs, one of each killed.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{ONE, Rounds, TWENTY, Trial};
use crate::appliance::Instance;
use crate::appliance::instance::{free_port, signal};
use crate::support::is_root;

const PAUSE: Duration = Duration::from_secs(1);

#[test]
fn a_worker_killed_before_it_can_acknowledge_stores_nothing_twice() {
    before_acknowledgement(Rounds { each: 3, ..ONE });
}

#[test]
#[ignore = "long"]
fn a_worker_killed_before_it_can_acknowledge_stores_nothing_twice_long() {
    before_acknowledgement(TWENTY);
}

#[test]
fn two_workers_and_two_webs_share_the_work() {
    two_of_each(ONE);
}

#[test]
#[ignore = "long"]
fn two_workers_and_two_webs_share_the_work_long() {
    two_of_each(TWENTY);
}

/// Redis is stopped: what the worker has read it commits, and then it waits for the answer to its acknowledgement,
/// which Redis never sees, since both are killed.
fn before_acknowledgement(rounds: Rounds) {
    let mut redelivered = 0;
    // The worker tells of entries it had stored before.
    let talkative = || Trial::with(|instance| instance.set_env("DEBUG", "true"));
    rounds.run(talkative, |trial, round| {
        trial.load();
        std::thread::sleep(PAUSE);
        let (worker, redis) = (trial.pid("worker"), trial.pid("redis"));
        let frozen = trial.freeze("redis-server");
        std::thread::sleep(Duration::from_millis(400));
        signal("KILL", worker);
        signal("KILL", redis);
        drop(frozen);
        for (name, old) in [("redis", redis), ("worker", worker)] {
            trial.wait_for(name, |service| service["pid"].as_u64().is_some_and(|pid| pid != u64::from(old)));
        }
        std::thread::sleep(PAUSE);
        trial.settle(&format!("round {round}: the worker and Redis killed while Redis did not answer"));
        let log = trial.instance.log();
        let counts = log.split("redelivered=").skip(1);
        let counts = counts.filter_map(|rest| rest.split([' ', '\n']).next()?.parse::<u32>().ok());
        redelivered = redelivered.max(counts.sum());
    });
    println!("up to {redelivered} entries of an instance were given out again after their events had been committed");
    assert!(redelivered > 0, "in no round was the worker between commit and acknowledgement");
}

fn two_of_each(rounds: Rounds) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    rounds.run(Trial::new, |trial, round| {
        let (mut web, mut worker) =
            (beside(&trial.instance, "web", address), beside(&trial.instance, "worker", address));
        wait_until_it_listens(trial, address);
        trial.load();
        trial.load_at(address);
        std::thread::sleep(PAUSE);
        trial.break_connections(|trial| {
            kill(&mut web);
            web = beside(&trial.instance, "web", address);
            wait_until_it_listens(trial, address);
        });
        kill(&mut worker);
        std::thread::sleep(PAUSE);
        worker = beside(&trial.instance, "worker", address);
        trial.kill("worker");
        std::thread::sleep(PAUSE);
        trial.break_connections(|trial| trial.kill("web"));
        std::thread::sleep(PAUSE);
        trial.settle(&format!("round {round}: one of two webs and of two workers killed"));
        kill(&mut web);
        kill(&mut worker);
    });
}

/// A second process of a role, as the supervisor would start it, on its own port and in its own slot.
fn beside(instance: &Instance, role: &str, address: SocketAddr) -> Child {
    let like = instance.command("glitchbox", &[role]);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=glitchbox", "--regid=glitchbox", "--init-groups"]).arg(like.get_program());
        command
    } else {
        Command::new(like.get_program())
    };
    command.arg(role).env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // In the data directory, so that it is found and ended with the instance's other processes.
    command.env("PORT", address.port().to_string()).current_dir(instance.data()).stdin(Stdio::null());
    if role == "worker" {
        command.args(["--slot", "2"]);
    }
    let log = std::fs::File::options().create(true).append(true).open(instance.root().join("beside.log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn wait_until_it_listens(trial: &Trial, address: SocketAddr) {
    trial.until("the second web", Duration::from_secs(20), || std::net::TcpStream::connect(address).is_ok());
}

fn kill(process: &mut Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}
