//! Redis or PostgreSQL away for a while: no client notices.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::Trial;
use super::redis_wrapper::Wrapper;
use super::trial::Settled;

/// How long a service is away.
#[derive(Debug, Clone, Copy)]
struct Form {
    away: Duration,
    /// On a machine that does nothing else: acknowledgements have a time limit.
    is_timed: bool,
}

const SHORT: Form = Form { away: Duration::from_secs(5), is_timed: false };
const LONG: Form = Form { away: Duration::from_mins(1), is_timed: true };

/// What 99 of 100 acknowledgements stay under in the long form.
const P99: Duration = Duration::from_millis(300);

const PAUSE: Duration = Duration::from_secs(1);

/// One name for both forms.
macro_rules! forms {
    ($($name:ident, $long:ident: $test:ident;)*) => {$(
        #[test]
        fn $name() {
            $test(SHORT);
        }

        #[test]
        #[ignore = "long"]
        fn $long() {
            $test(LONG);
        }
    )*};
}

forms! {
    nobody_notices_that_redis_is_away, nobody_notices_that_redis_is_away_long: redis_away;
    nobody_notices_that_postgres_is_away, nobody_notices_that_postgres_is_away_long: postgres_away;
    nobody_notices_that_both_are_away, nobody_notices_that_both_are_away_long: both_away;
    redis_may_come_back_empty, redis_may_come_back_empty_long: redis_comes_back_empty;
    redis_may_take_long_to_load, redis_may_take_long_to_load_long: redis_loads_slowly;
    web_may_start_without_postgres, web_may_start_without_postgres_long: web_starts_without_postgres;
}

fn redis_away(form: Form) {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    let frozen = trial.freeze("redis-server");
    std::thread::sleep(form.away);
    drop(frozen);
    trial.wait_for("redis", |_| true);
    std::thread::sleep(PAUSE);
    stopped(&trial, &["redis"], form.away);
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "Redis away");
}

fn postgres_away(form: Form) {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    let frozen = trial.freeze("postgres");
    std::thread::sleep(form.away);
    drop(frozen);
    trial.wait_for("postgres", |_| true);
    std::thread::sleep(PAUSE);
    stopped(&trial, &["postgres"], form.away);
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "PostgreSQL away");
}

fn both_away(form: Form) {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    let frozen = (trial.freeze("redis-server"), trial.freeze("postgres"));
    std::thread::sleep(form.away);
    drop(frozen);
    trial.wait_for("redis", |_| true);
    trial.wait_for("postgres", |_| true);
    std::thread::sleep(PAUSE);
    stopped(&trial, &["postgres", "redis"], form.away);
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "Redis and PostgreSQL away");
}

/// Once with nothing but what comes in meanwhile, and once with a backlog that PostgreSQL has not seen.
fn redis_comes_back_empty(form: Form) {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    supervisor(&trial, "stop", "redis");
    empty_redis(&trial);
    supervisor(&trial, "start", "redis");
    std::thread::sleep(PAUSE);

    supervisor(&trial, "stop", "postgres");
    std::thread::sleep(form.away);
    supervisor(&trial, "stop", "redis");
    empty_redis(&trial);
    supervisor(&trial, "start", "redis");
    std::thread::sleep(PAUSE);
    supervisor(&trial, "start", "postgres");
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "Redis back with empty data");
}

/// Redis takes its time for each command of its append-only file, and answers LOADING meanwhile; then it is stopped in
/// the middle of its start, and answers nothing.
fn redis_loads_slowly(form: Form) {
    // 5 ms a command; and all commands stay in the file.
    let configuration = "key-load-delay 5000\nauto-aof-rewrite-percentage 0";
    let wrapper = Wrapper { configuration, ..Wrapper::default() };
    let mut trial = Trial::with(|instance| wrapper.install(instance));
    assert_eq!(trial.redis(&["CONFIG", "GET", "key-load-delay"]), "key-load-delay\n5000");
    trial.load();
    std::thread::sleep(PAUSE);
    supervisor(&trial, "stop", "postgres");
    std::thread::sleep(form.away);
    supervisor(&trial, "stop", "redis");
    let mut starting = start_in_background(&trial, "redis");
    std::thread::sleep(PAUSE);
    let ended = starting.try_wait().unwrap();
    assert!(ended.is_none(), "Redis has loaded everything already ({ended:?}):\n{}", trial.instance.log());
    let frozen = trial.freeze("redis-server");
    std::thread::sleep(form.away);
    drop(frozen);
    assert!(starting.wait().unwrap().success());
    supervisor(&trial, "start", "postgres");
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "Redis back after a slow load");
}

/// By restart, which breaks nothing off, and by kill.
fn web_starts_without_postgres(form: Form) {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(PAUSE);
    supervisor(&trial, "stop", "postgres");
    supervisor(&trial, "restart", "web");
    std::thread::sleep(form.away);
    trial.break_connections(|trial| trial.kill("web"));
    std::thread::sleep(PAUSE);
    supervisor(&trial, "start", "postgres");
    std::thread::sleep(PAUSE);
    end(&mut trial, form, "web restarted and killed while PostgreSQL is away");
}

fn end(trial: &mut Trial, form: Form, what: &str) -> Settled {
    let settled = trial.settle(what);
    let p99 = trial.p99();
    assert!(!form.is_timed || p99 <= P99, "{what}: 99 of 100 acknowledgements took up to {p99:.1?}");
    settled
}

/// Stops services in order, and starts them again.
fn stopped(trial: &Trial, services: &[&str], away: Duration) {
    for service in services {
        supervisor(trial, "stop", service);
    }
    std::thread::sleep(away);
    for service in services {
        supervisor(trial, "start", service);
    }
}

fn supervisor(trial: &Trial, verb: &str, service: &str) {
    trial.instance.run("supervisor", &[verb, service]);
}

fn start_in_background(trial: &Trial, service: &str) -> Child {
    let mut command = trial.instance.command("supervisor", &["start", service]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// As if its files had been lost.
fn empty_redis(trial: &Trial) {
    std::fs::remove_dir_all(trial.instance.data().join("redis/appendonlydir")).unwrap();
}
