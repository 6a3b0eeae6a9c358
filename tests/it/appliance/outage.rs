//! Starts without a database, and without a supervisor that ended its services.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Instance;
use super::instance::{describe, signal};

/// One row of `supervisor status`.
fn service(instance: &Instance, name: &str) -> Value {
    let output = instance.command("supervisor", &["status", "--json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    status["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap().clone()
}

#[track_caller]
fn wait_for(instance: &Instance, name: &str, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while service(instance, name)["state"] != state {
        assert!(Instant::now() < deadline, "{}\n{}", service(instance, name), instance.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The keys that web keeps, as far as the supervisor looks at them: there, or not.
fn see_to_keys(instance: &Instance) {
    let keys = instance.data().join("spool/keys");
    if !keys.exists() {
        std::fs::write(keys, "").unwrap();
    }
}

#[test]
fn web_starts_and_the_appliance_stays_while_a_database_elsewhere_is_away() {
    let mut instance = Instance::started();
    wait_for(&instance, "banner", "done");
    assert_eq!(instance.stop().code(), Some(0));
    see_to_keys(&instance);
    instance.set_env("DATABASE_URL", "postgres://nobody:nothing@127.0.0.1:1/nowhere");
    let took = instance.start();
    assert!(took >= Duration::from_secs(3), "web has not waited for the migrations: {took:?}");
    // More often than any service may fail.
    let deadline = Instant::now() + Duration::from_mins(1);
    while service(&instance, "migrate")["generation"].as_u64() < Some(7) {
        assert!(Instant::now() < deadline, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(service(&instance, "migrate")["last_exit"], "exit 75");
    assert_eq!(service(&instance, "worker")["health"], "waits for migrate");
    assert_eq!(service(&instance, "web")["state"], "ready");
    let health = instance.run("supervisor", &["healthcheck"]);
    assert!(health.starts_with("ok\n") && health.contains("\nmigrate: "), "{health}");
    assert_eq!(instance.stop().code(), Some(0), "{}", instance.log());
}

#[test]
fn on_a_new_volume_a_database_that_cannot_be_reached_is_a_failed_migration() {
    let mut instance = Instance::new();
    instance.set_env("DATABASE_URL", "postgres://nobody:nothing@127.0.0.1:1/nowhere");
    let output = instance.command("supervisor", &["run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(12), "{}", describe(&output));
}

#[test]
fn web_starts_while_postgres_takes_long_and_everything_follows() {
    let mut instance = Instance::started();
    wait_for(&instance, "banner", "done");
    assert_eq!(instance.stop().code(), Some(0));
    see_to_keys(&instance);
    // Whatever it has come to by then, it goes no further.
    let file = instance.data().join("postgres/postmaster.pid");
    let stopper = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) {
                signal("STOP", pid);
                return pid;
            }
            assert!(Instant::now() < deadline, "PostgreSQL is not started");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    instance.start();
    let postmaster = stopper.join().unwrap();
    assert_eq!(service(&instance, "worker")["health"], "waits for migrate", "{}", instance.log());
    signal("CONT", postmaster);
    wait_for(&instance, "banner", "done");
    assert!(instance.log().contains("web: is started without migrate"), "{}", instance.log());
    assert_eq!(instance.sql("select count(*) from project"), "1");
    assert_eq!(instance.stop().code(), Some(0), "{}", instance.log());
}
