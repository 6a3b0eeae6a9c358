//! What is refused: one sentence, the right exit code, and nothing changed on disk.

use std::path::Path;
use std::time::SystemTime;

use glitchbox_supervisor::context::Survey;
use glitchbox_supervisor::files;

use super::appliance::{Appliance, Place, look};

/// Every name below `path` with the time of its last change.
fn snapshot(path: &Path) -> Vec<(String, SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.push((entry.path().display().to_string(), metadata.modified().unwrap()));
        if metadata.is_dir() {
            found.extend(snapshot(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_directory_in_use_is_refused() {
    let place = Place::new();
    let variables = [("DATABASE_URL", "postgres://elsewhere/db")];
    let appliance = Appliance::start(&place.path, &variables);
    let fault = look(&place.path, &variables).unwrap_err();
    assert_eq!(fault.exit, 13);
    assert!(fault.message.contains("in use"), "{}", fault.message);
    assert_eq!(appliance.redis_cli(&["ping"]).unwrap(), "PONG", "the running one is left alone");
}

#[test]
fn a_newer_cluster_is_refused_and_left_alone() {
    let place = Place::new();
    let context = look(&place.path, &[]).unwrap().settle().unwrap();
    let cluster = files::make_folder(&context.data.dir, "postgres", 0o700, None).unwrap();
    files::write(&cluster, "PG_VERSION", b"99\n", 0o600, None).unwrap();
    drop(context);
    let before = snapshot(&place.path);
    let fault = look(&place.path, &[]).unwrap_err();
    assert_eq!(fault.exit, 13);
    assert!(fault.message.contains("PostgreSQL 99"), "{}", fault.message);
    assert_eq!(snapshot(&place.path), before);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let place = Place::new();
    drop(look(&place.path, &[]).unwrap().settle().unwrap());
    std::fs::write(place.path.join("format"), "2\n").unwrap();
    let before = snapshot(&place.path);
    let fault = look(&place.path, &[]).unwrap_err();
    assert_eq!(fault.exit, 13);
    assert!(fault.message.contains("newer glitchbox"), "{}", fault.message);
    assert_eq!(snapshot(&place.path), before);
}

#[test]
fn looking_at_a_missing_directory_does_not_make_it() {
    let place = Place::new();
    let survey = look(&place.path, &[]).unwrap();
    drop(survey);
    assert!(!place.path.parent().unwrap().exists());
}

#[test]
fn an_ordinary_user_is_told_who_owns_the_directory() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can make a directory that belongs to somebody else.
        let fault = look(Path::new("/"), &[]).unwrap_err();
        assert_eq!(fault.exit, 13);
        assert!(fault.message.contains("belongs to user id 0"), "{}", fault.message);
    }
}

#[test]
fn a_parent_that_cannot_be_written_is_named() {
    // Root may write anywhere, as far as permissions go; then making it is what fails.
    let fault = look(Path::new("/proc/glitchbox/data"), &[]).and_then(Survey::settle).unwrap_err();
    assert_eq!(fault.exit, 13);
    assert!(fault.message.contains("/proc"), "{}", fault.message);
}
