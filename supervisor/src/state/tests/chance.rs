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
watchdog_s = 12
restart = "overlap"
backoff = { attempts = 1000 }
[service.web]
kind = "exec"
command = ["web"]
after = ["prepare", "task"]
start_without = { services = ["task"], after_s = 3, if_exists = "spool/keys" }
ready = "notify"
watchdog_s = 12
restart = "overlap"
listen = true
backoff = { attempts = 1000 }
[service.side]
kind = "exec"
command = ["side"]
after = ["web", "worker"]
check = { tcp = "127.0.0.1:1" }
essential = false
backoff = { attempts = 2 }
"#;

/// How many stories of each plan are told, and how long they are.
const STORIES: u64 = 120;
const STEPS: u64 = 250;

/// The wide plan otherwise: one service less, one more, another order, other programs, other stops.
fn others() -> [String; 4] {
    let changed = WIDE.replace("[\"web\"]", "[\"web\", \"--new\"]").replace("[\"worker\"]", "[\"worker\", \"--new\"]");
    let more = "[service.more]\nkind = \"exec\"\ncommand = [\"more\"]\nafter = [\"task\"]\n";
    let side = "[service.side]\nkind = \"exec\"\ncommand = [\"other\"]\nafter = [\"more\"]\nstop = [\"INT\", \"TERM@1\", \"KILL@9\"]\n";
    let (without_side, _) = WIDE.split_once("[service.side]").unwrap();
    [
        WIDE.to_owned(),
        changed.clone(),
        format!("{without_side}{more}"),
        format!("{without_side}{more}{side}")
            .replace("after = [\"task\"]\nready", "after = [\"more\"]\nready")
            .replace("[\"worker\"]", "[\"worker\", \"2\"]"),
    ]
}

fn chaos(plan: &str, seed: u64) -> Weather {
    let mut weather = Weather::new(plan, seed);
    if plan == WIDE {
        let others = others();
        weather.may_change_to(&others.each_ref().map(String::as_str));
    }
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
