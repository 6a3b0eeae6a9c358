//! Redis, and which of the bundled servers are there at all.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use super::appliance::{Appliance, Place};

#[test]
fn redis_keeps_what_it_acknowledged() {
    let place = Place::new();
    let mut appliance = Appliance::start(&place.path, &[("DATABASE_URL", "postgres://elsewhere/db")]);
    assert_eq!(appliance.redis_cli(&["config", "get", "appendfsync"]).unwrap(), "appendfsync\neverysec");
    assert_eq!(appliance.redis_cli(&["config", "get", "maxmemory-policy"]).unwrap(), "maxmemory-policy\nnoeviction");
    assert_eq!(appliance.redis_cli(&["config", "get", "port"]).unwrap(), "port\n0");
    assert_eq!(appliance.redis_cli(&["xadd", "s", "1-1", "d", "x"]).unwrap(), "1-1");
    appliance.kill_redis();
    drop(appliance);
    // That nothing accepted is missing on the disk is web's business, whose spool feeds Redis.
    let variables = [("DATABASE_URL", "postgres://elsewhere/db"), ("INGEST_FSYNC", "always")];
    let appliance = Appliance::start(&place.path, &variables);
    assert_eq!(appliance.redis_cli(&["xlen", "s"]).unwrap(), "1");
    assert_eq!(appliance.redis_cli(&["config", "get", "appendfsync"]).unwrap(), "appendfsync\neverysec");
}

#[test]
fn redis_wants_its_password() {
    let place = Place::new();
    let variables = [("DATABASE_URL", "postgres://elsewhere/db"), ("REDIS_PASSWORD", "it's \"odd\" 密码")];
    let mut appliance = Appliance::start(&place.path, &variables);
    assert_eq!(appliance.redis_cli(&["ping"]).unwrap(), "PONG");
    appliance.context.secrets.redis = Some(glitchbox_supervisor::settings::Secret::new("wrong"));
    let refused = appliance.redis_cli(&["ping"]);
    assert!(format!("{refused:?}").contains("WRONGPASS"), "{refused:?}");
}

#[test]
fn an_external_server_is_not_started_here() {
    let place = Place::new();
    let variables = [("DATABASE_URL", "postgres://elsewhere/db"), ("REDIS_URL", "redis://elsewhere")];
    let appliance = Appliance::start(&place.path, &variables);
    assert!(appliance.postgres.is_none() && appliance.redis.is_none());
    assert!(!place.path.join("postgres").exists());
    assert!(!place.path.join("secrets/db-password").exists());
    assert!(place.path.join("secrets/secret-key").exists());
}

#[test]
fn secrets_are_closed_to_others() {
    let place = Place::new();
    let appliance = Appliance::start(&place.path, &[]);
    let mode = |name: &str| std::fs::metadata(place.path.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("secrets"), 0o700);
    for name in ["db-password", "postgres-password", "analytics-password", "redis-password", "secret-key"] {
        assert_eq!(mode(&format!("secrets/{name}")), 0o600, "{name}");
    }
    assert_eq!(mode("postgres"), 0o700);
    assert_eq!(mode("redis"), 0o700);
    drop(appliance);
}

#[test]
fn exposed_ports_are_open_and_asked_for_first() {
    let place = Place::new();
    let variables = [("EXPOSE_DB_PORT", "true"), ("EXPOSE_REDIS_PORT", "true")];
    if TcpStream::connect("127.0.0.1:5432").is_ok() || TcpStream::connect("127.0.0.1:6379").is_ok() {
        eprintln!("skipped: something else listens on port 5432 or 6379 of this machine");
        return;
    }
    let appliance = Appliance::start(&place.path, &variables);
    assert!(TcpStream::connect("127.0.0.1:5432").is_ok());
    assert!(TcpStream::connect("127.0.0.1:6379").is_ok());
    let other = Place::new();
    let fault = super::appliance::look(&other.path, &variables).unwrap_err();
    assert_eq!(fault.exit, 16);
    assert!(fault.message.contains("EXPOSE_DB_PORT"), "{}", fault.message);
    assert!(!other.path.exists());
    drop(appliance);
}
