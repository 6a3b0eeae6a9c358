//! Random events, thousands of them: whatever comes in whatever order, the machine keeps its promises.

use super::story::PLAN;
use super::weather::Weather;

/// A start that does not wait, a task that is tried again, several that come after one, and one nobody needs.
const WIDE: &str = r#"
[service.prepare]
kind = "bundled"
oneshot = true
[service.postgres]
kind = "bundled"
after = ["prepare"]
ready = "probe"
ready_within_s = 0
stop = ["INT", "QUIT@8.5", "KILL@9.2"]
stop_clock = "shutdown"
[service.task]
kind = "exec"
command = ["task"]
oneshot = true
after = ["postgres"]
retry = { exit = [75], if_exists = "spool/keys" }
backoff = { max_s = 5 }
[service.worker]
kind = "exec"
command = ["worker"]
after = ["task"]
ready = "notify"
restart = "overlap"
backoff = { attempts = 1000 }
[service.web]
kind = "exec"
command = ["web"]
after = ["prepare", "task"]
start_without = { services = ["task"], after_s = 3, if_exists = "spool/keys" }
ready = "notify"
restart = "overlap"
listen = true
backoff = { attempts = 1000 }
[service.side]
kind = "exec"
command = ["side"]
after = ["web", "worker"]
essential = false
backoff = { attempts = 2 }
"#;

/// How many stories of each plan are told, and how long they are.
const STORIES: u64 = 300;
const STEPS: u64 = 250;

fn chaos(plan: &str, seed: u64) -> Weather {
    let mut weather = Weather::new(plan, seed);
    weather.begin();
    for _ in 0..weather.roll(STEPS) {
        if weather.roll(10) == 0 {
            weather.echo();
        } else {
            weather.step();
        }
    }
    weather
}

#[test]
fn whatever_happens_everything_comes_to_rest_afterwards() {
    for (plan, seed) in [PLAN, WIDE].into_iter().flat_map(|plan| (1..=STORIES).map(move |seed| (plan, seed))) {
        let mut weather = chaos(plan, seed);
        weather.calm_down();
        weather.look_at_rest();
    }
}

#[test]
fn whatever_happens_a_shutdown_has_an_end() {
    for (plan, seed) in [PLAN, WIDE].into_iter().flat_map(|plan| (1..=STORIES).map(move |seed| (plan, seed))) {
        let mut weather = chaos(plan, seed);
        weather.shut_down();
        for _ in 0..weather.roll(40) {
            weather.step();
        }
        weather.calm_down();
        weather.look_at_rest();
        assert!(weather.is_finished(), "plan with seed {seed}");
    }
}
