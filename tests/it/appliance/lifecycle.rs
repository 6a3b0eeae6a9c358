//! First boot, stop, start again, side by side.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::Instance;

#[test]
fn first_boot_prints_where_things_are_and_keeps_the_password_to_itself() {
    let instance = Instance::started();
    let password_file = instance.data().join("secrets/admin-password");
    let password = std::fs::read_to_string(&password_file).unwrap();
    wait_for_banner(&instance);
    let log = instance.log();
    for shown in ["admin@localhost", &password_file.display().to_string(), &format!("@localhost:{}/1", port(&instance))]
    {
        assert!(log.contains(shown), "{shown:?} is not in:\n{log}");
    }
    assert!(password.len() >= 12 && !log.contains(&password), "the password was printed, or is too short");
    for entry in std::fs::read_dir(instance.data().join("secrets")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
        let secret = std::fs::read_to_string(entry.path()).unwrap();
        assert!(!log.contains(&secret), "{} was printed", entry.path().display());
    }
    let status = instance.run_json("supervisor", &["status", "--json"]);
    for name in ["postgres", "redis", "worker", "web"] {
        let services = status["services"].as_array().unwrap();
        let service = services.iter().find(|service| service["name"] == name).unwrap();
        assert_eq!(service["restarts"], 0, "{service}");
        assert!(service["pid"].as_u64().is_some(), "{service}");
    }
}

#[test]
fn stop_is_orderly_and_the_next_start_finds_everything() {
    let mut instance = Instance::started();
    let dsn = instance.dsn();
    send(&instance, "kept over a restart");
    let running = instance.processes();
    assert!(running.iter().any(|(_, command)| command.starts_with("glitchbox\0web")), "{running:?}");
    let begun = Instant::now();
    let status = instance.stop();
    assert_eq!(status.code(), Some(0), "{}", instance.log());
    assert!(begun.elapsed() < Duration::from_secs(10), "the stop took {:?}", begun.elapsed());
    assert_eq!(instance.processes(), []);

    instance.start();
    assert_eq!(instance.dsn(), dsn);
    instance.wait_for_events(1);
    let issues = issues(&instance);
    assert_eq!(issues[0]["count"], "1", "{issues}");
    assert_eq!(instance.stop().code(), Some(0), "{}", instance.log());
}

#[test]
fn two_instances_run_side_by_side() {
    let (one, two) = (Instance::started(), Instance::started());
    send(&one, "only in one");
    one.wait_for_events(1);
    assert_eq!(two.sql("select count(*) from event"), "0");
    assert_ne!(one.dsn(), two.dsn());
}

/// What `scripts/run` meets in a clone under a closed home, at the end of a long path.
#[test]
fn a_closed_parent_and_a_long_path_do_no_harm() {
    let mut instance = Instance::new();
    std::fs::set_permissions(instance.root(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let missing = 150 - instance.root().as_os_str().len() - "//data".len();
    let data = instance.root().join("x".repeat(missing)).join("data");
    assert_eq!(data.as_os_str().len(), 150);
    std::fs::create_dir(data.parent().unwrap()).unwrap();
    instance.set_data(data);
    instance.start();
    send(&instance, "at the end of a long path");
    instance.wait_for_events(1);
    assert_eq!(instance.stop().code(), Some(0), "{}", instance.log());
    assert_eq!(instance.processes(), []);
}

fn port(instance: &Instance) -> u16 {
    instance.address().port()
}

/// The banner follows the last service's readiness, which is a moment after web answers.
fn wait_for_banner(instance: &Instance) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !instance.log().contains("admin@localhost") {
        assert!(Instant::now() < deadline, "no banner in:\n{}", instance.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One message event.
fn send(instance: &Instance, message: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let event = serde_json::json!({ "message": message, "platform": "other" });
    let auth = format!("Sentry sentry_key={}", instance.public_key());
    let headers = [("x-sentry-auth", auth.as_str())];
    runtime.block_on(instance.client().post("/api/1/store/", &headers, event.to_string())).expect(200);
}

/// The issues of the organization, through the API.
fn issues(instance: &Instance) -> serde_json::Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let api = instance.api();
    runtime.block_on(api.get("/api/0/organizations/default/issues/?query=")).expect(200).json()
}
