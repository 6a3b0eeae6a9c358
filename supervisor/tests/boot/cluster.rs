//! The cluster: made once, complete or not at all, with passwords from the first moment on.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use glitchbox_supervisor::files;
use glitchbox_supervisor::secrets::Role;
use glitchbox_supervisor::spawn::{LaunchSpec, Program, spawn};

use super::appliance::{Appliance, Place};

#[test]
fn a_first_start_makes_a_cluster_that_the_next_one_finds() {
    let place = Place::new();
    let appliance = Appliance::start(&place.path, &[]);
    assert!(appliance.ready_after < Duration::from_secs(8), "{:?}", appliance.ready_after);
    for (setting, wanted) in [
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(appliance.psql(Role::App, &format!("show {setting}")).unwrap(), wanted, "{setting}");
    }
    let collation = "select datcollate from pg_database where datname = current_database()";
    assert_eq!(appliance.psql(Role::App, collation).unwrap(), "C.UTF-8");
    appliance.psql(Role::App, "create table kept (id int); insert into kept values (7)").unwrap();
    drop(appliance);

    let again = Appliance::start(&place.path, &[]);
    assert!(again.ready_after < Duration::from_secs(4), "{:?}", again.ready_after);
    assert_eq!(again.psql(Role::App, "select id from kept").unwrap(), "7");
}

#[test]
fn each_role_has_its_own_password_and_rights() {
    let place = Place::new();
    let appliance = Appliance::start(&place.path, &[]);
    assert_eq!(appliance.psql(Role::Postgres, "select rolsuper from pg_roles where rolname = user").unwrap(), "t");
    assert_eq!(appliance.psql(Role::App, "select rolsuper from pg_roles where rolname = user").unwrap(), "f");
    appliance.psql(Role::App, "create extension pg_trgm; create schema analytics").unwrap();
    let analytics = "select rolconnlimit from pg_roles where rolname = user";
    assert_eq!(appliance.psql(Role::Analytics, analytics).unwrap(), "5");
    assert_eq!(appliance.psql(Role::Analytics, "show statement_timeout").unwrap(), "30s");
    assert!(appliance.psql(Role::Analytics, "create table t (id int)").is_err());
    for role in Role::ALL {
        let refused = appliance.psql_with(role, "wrong", "select 1").unwrap_err();
        assert!(refused.contains("password authentication failed"), "{refused}");
    }
    let peer = appliance.psql_with(Role::Postgres, "", "select 1").unwrap_err();
    assert!(peer.contains("no password supplied"), "{peer}");
}

#[test]
fn a_changed_password_is_in_force_after_the_next_start() {
    let place = Place::new();
    let file = place.path.join("secrets/db-password");
    let odd = r#"it's "quoted" \ and spaced"#;
    drop(Appliance::start(&place.path, &[("DB_PASSWORD", odd)]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), odd);

    let appliance = Appliance::start(&place.path, &[("DB_PASSWORD", "another one")]);
    assert_eq!(appliance.psql_with(Role::App, "another one", "select 1").unwrap(), "1");
    assert!(appliance.psql_with(Role::App, odd, "select 1").is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "another one");
    drop(appliance);

    // A lost file is replaced, and the new password works.
    std::fs::remove_file(&file).unwrap();
    let appliance = Appliance::start(&place.path, &[]);
    let password = std::fs::read_to_string(&file).unwrap();
    assert_eq!(appliance.psql_with(Role::App, &password, "select 1").unwrap(), "1");
}

#[test]
fn an_unfinished_cluster_is_thrown_away() {
    let place = Place::new();
    let context = super::appliance::look_again(&place.path, &[]).settle().unwrap();
    let folder = files::make_folder(&context.data.dir, "postgres.tmp", 0o700, None).unwrap();
    files::write(&folder, "PG_VERSION", b"15\n", 0o600, None).unwrap();
    files::make_folder(&context.data.dir, "postgres", 0o700, None).unwrap();
    drop(context);
    let appliance = Appliance::start(&place.path, &[]);
    assert_eq!(appliance.psql(Role::App, "select 1").unwrap(), "1");
    assert!(!place.path.join("postgres.tmp").exists());
}

#[test]
fn what_a_killed_supervisor_left_running_is_ended() {
    let place = Place::new();
    let mut abandoned = Appliance::start(&place.path, &[]);
    abandoned.psql(Role::App, "create table kept (id int); insert into kept values (7)").unwrap();
    abandoned.redis_cli(&["set", "kept", "7"]).unwrap();
    let (postgres, redis) = (abandoned.postgres.take().unwrap(), abandoned.redis.take().unwrap());
    // Whoever looked after them is gone, and with it the lock; somebody else reaps.
    drop(abandoned);
    let reaper = std::thread::spawn(move || {
        for child in [postgres, redis] {
            nix::sys::wait::waitpid(child.pid, None).unwrap();
        }
    });
    let appliance = Appliance::start(&place.path, &[]);
    reaper.join().unwrap();
    assert_eq!(appliance.psql(Role::App, "select id from kept").unwrap(), "7");
    assert_eq!(appliance.redis_cli(&["get", "kept"]).unwrap(), "7");
}

#[test]
fn an_abandoned_initdb_is_ended_before_its_folder_is_made_again() {
    let place = Place::new();
    let context = super::appliance::look_again(&place.path, &[]).settle().unwrap();
    let folder = files::make_folder(&context.data.dir, "postgres.tmp", 0o700, None).unwrap();
    let cwd = Arc::new(std::fs::File::open("/").unwrap().into());
    let script = "trap '' INT TERM; while :; do sleep 0.1; done";
    let argv = vec!["sh".into(), "-c".into(), script.into()];
    let mut spec = LaunchSpec::new(Program::Path("/bin/sh".into()), argv, cwd);
    spec.inherit = vec![(Arc::new(folder), 3)];
    let child = spawn(&spec).unwrap();
    drop((spec, context));
    let reaper = std::thread::spawn(move || nix::sys::wait::waitpid(child.pid, None).unwrap());
    let appliance = Appliance::start(&place.path, &[]);
    assert_eq!(appliance.psql(Role::App, "select 1").unwrap(), "1");
    reaper.join().unwrap();
}

#[test]
fn a_stale_process_file_does_not_stop_the_start() {
    let place = Place::new();
    drop(Appliance::start(&place.path, &[]));
    let context = super::appliance::look_again(&place.path, &[]).settle().unwrap();
    let folder = files::open_folder(context.data.dir.as_fd(), "postgres").unwrap();
    // Our own process id: alive, as after a restart of a container where numbers repeat.
    let stale = format!("{}\n/somewhere\n1\n5432\n\n\n", std::process::id());
    files::write(&folder, "postmaster.pid", stale.as_bytes(), 0o600, None).unwrap();
    drop((folder, context));
    assert_eq!(Appliance::start(&place.path, &[]).psql(Role::App, "select 1").unwrap(), "1");
}

#[test]
fn root_takes_over_what_another_user_id_filled() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let first = Appliance::start(&place.path, &[]);
    first.psql(Role::App, "create table kept (id int); insert into kept values (7)").unwrap();
    first.redis_cli(&["set", "kept", "7"]).unwrap();
    drop(first);
    // As in an image where the users have other numbers.
    let directory = std::fs::File::open(&place.path).unwrap();
    files::hand_over(&directory, (12_345, 12_345)).unwrap();
    drop(directory);
    let appliance = Appliance::start(&place.path, &[]);
    assert_eq!(appliance.psql(Role::App, "select id from kept").unwrap(), "7");
    assert_eq!(appliance.redis_cli(&["get", "kept"]).unwrap(), "7");
    assert_eq!(std::fs::metadata(&place.path).unwrap().uid(), 0);
}
