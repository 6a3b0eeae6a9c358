//! Backups of a running instance: made, verified, damaged and restored.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Instance;
use super::instance::describe;
use crate::support::TestDatabase;

/// Events sent one after the other until told to stop: the ids of those that were answered 200, and other answers.
pub(super) struct Sender {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Sent>,
}

/// When which event was sent that was answered 200, and the other answers.
type Sent = (Vec<(Instant, String)>, Vec<String>);

impl Sender {
    pub(super) fn start(instance: &Instance) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, client, key) = (Arc::clone(&stop), instance.client(), instance.public_key());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let auth = format!("Sentry sentry_key={key}");
            let (mut sent, mut others) = (Vec::new(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let id = uuid::Uuid::new_v4().simple().to_string();
                let group = sent.len() % 20;
                let event = format!(
                    "{{\"event_id\":\"{id}\",\"platform\":\"other\",\"message\":\"group {group}\",\"tags\":{{\"n\":\"{group}\"}}}}"
                );
                let headers = [("x-sentry-auth", auth.as_str())];
                let begun = Instant::now();
                match runtime.block_on(client.try_send("POST", "/api/1/store/", &headers, Bytes::from(event))) {
                    Ok(reply) if reply.status == 200 => sent.push((begun, id)),
                    Ok(reply) => others.push(format!("{} {}", reply.status, reply.text())),
                    Err(error) => others.push(error.to_string()),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (sent, others)
        });
        Self { stop, thread }
    }

    /// What was answered 200, each with the moment it was sent; anything else fails the test.
    pub(super) fn stop(self) -> Vec<(Instant, String)> {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, others) = self.thread.join().unwrap();
        assert_eq!(others, Vec::<String>::new(), "beside {} that were answered 200", sent.len());
        sent
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(super) fn stored(instance: &Instance) -> BTreeSet<String> {
    instance.sql("select replace(event_id::text, '-', '') from event").lines().map(str::to_owned).collect()
}

/// Waits until all of these are stored.
pub(super) fn wait_for(instance: &Instance, ids: &BTreeSet<String>) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let missing = ids.difference(&stored(instance)).count();
        if missing == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{missing} of {} events are missing:\n{}", ids.len(), instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(super) fn create(instance: &Instance) -> PathBuf {
    let created = instance.run_json("supervisor", &["backup", "create", "--json"]);
    created["file"].as_str().unwrap().into()
}

fn backup(instance: &Instance, arguments: &[&str], file: &Path) -> Output {
    let file = file.display().to_string();
    let arguments = [&["backup"], arguments, &[file.as_str()]].concat();
    instance.command("supervisor", &arguments).output().unwrap()
}

/// The one sentence it fails with.
#[track_caller]
pub(super) fn refused(output: &Output, words: &str) {
    let said = describe(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    assert!(last.contains(words) && last.ends_with('.'), "{words:?} is not in the last line of: {said}");
}

/// The counts of everything a person would miss.
fn counts(instance: &Instance) -> String {
    let tables = [
        "organization",
        "app_user",
        "member",
        "session",
        "api_token",
        "project",
        "project_key",
        "issue",
        "issue_hash",
        "issue_tag",
        "issue_hourly",
        "event",
        "payload_dictionary",
    ];
    let counts = tables.map(|table| format!("select '{table}', count(*) from {table}")).join(" union all ");
    instance.sql(&format!("{counts} order by 1"))
}

#[test]
fn a_backup_made_while_events_come_in_brings_everything_back_in_an_empty_directory() {
    let instance = Instance::started();
    let password = std::fs::read_to_string(instance.data().join("secrets/admin-password")).unwrap();
    let form = [("email", "admin@localhost"), ("password", password.as_str())];
    let signed_in = block_on(instance.client().post_form("/login/", &form)).expect(303);
    let token = instance.run("glitchbox", &["token", "create", "--user", "admin@localhost", "--scope", "event:read"]);
    std::fs::create_dir(instance.data().join("uploads/ab")).unwrap();
    std::fs::write(instance.data().join("uploads/ab/cdef"), "an upload").unwrap();

    let sender = Sender::start(&instance);
    instance.wait_for_events(100);
    let meanwhile = create(&instance);
    assert_eq!(std::fs::metadata(&meanwhile).unwrap().permissions().mode() & 0o777, 0o600);
    instance.wait_for_events(stored(&instance).len() + 50);
    let sent: BTreeSet<String> = sender.stop().into_iter().map(|(_, id)| id).collect();
    wait_for(&instance, &sent);
    let good = backup(&instance, &["verify"], &meanwhile);
    assert!(good.status.success(), "{}", describe(&good));

    let file = create(&instance);
    let (before, key) = (counts(&instance), instance.public_key());
    let listed = instance.run_json("supervisor", &["backup", "list", "--json"]);
    let listed = listed["backups"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["file"], file.display().to_string());
    assert!(listed.iter().all(|backup| backup["readable"] == true && backup["rows"].as_u64().unwrap() > 100));
    let kept = instance.root().join(file.file_name().unwrap());
    std::fs::copy(&file, &kept).unwrap();

    // A directory that does not exist yet, under a closed parent, with a path too long for a socket's address.
    let mut other = Instance::new();
    std::fs::set_permissions(other.root(), std::fs::Permissions::from_mode(0o700)).unwrap();
    other.set_data(other.root().join("x".repeat(90)).join("data"));
    let dry = backup(&other, &["restore", "--dry-run"], &kept);
    assert!(dry.status.success(), "{}", describe(&dry));
    assert!(!other.data().join("postgres").exists());
    let restored = backup(&other, &["restore", "--yes"], &kept);
    assert!(restored.status.success(), "{}", describe(&restored));
    other.start();
    // This instance's own start makes what it needs for today, which are tables and no rows of these.
    assert_eq!(counts(&other), before);
    assert_eq!(stored(&other), stored(&instance));
    assert_eq!(other.public_key(), key);
    assert_eq!(std::fs::read_to_string(other.data().join("uploads/ab/cdef")).unwrap(), "an upload");
    block_on(other.client().post_form("/login/", &form)).expect(303);
    let cookie = signed_in.cookie("glitchbox").unwrap();
    block_on(other.client().with_header("cookie", &cookie).get("/issues/")).expect(200);
    let issues = block_on(other.client().with_token(token.trim()).get("/api/0/organizations/default/issues/?query="));
    let count: u64 = issues.expect(200).json()[0]["count"].as_str().unwrap().parse().unwrap();
    assert!(count > 0);
    let sender = Sender::start(&other);
    other.wait_for_events(sent.len() + 10);
    sender.stop();
    // Nothing is left of how it was done.
    let left: Vec<String> = names(other.data()).into_iter().filter(|name| name.contains("restore")).collect();
    assert_eq!(left, Vec::<String>::new());
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The same backup with some words in its manifest replaced by as many others, sealed again.
fn forged(file: &Path, from: &str, to: &str) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(file).unwrap();
    let place = bytes.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
    bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    let body = bytes.len() - 2048;
    let seal = hex::encode(Sha256::digest(&bytes[..body]));
    bytes[body + 512..body + 576].copy_from_slice(seal.as_bytes());
    let forged = file.with_file_name("forged.tar");
    std::fs::write(&forged, bytes).unwrap();
    forged
}

#[test]
fn what_is_damaged_or_newer_is_refused_and_nothing_changes() {
    let instance = Instance::started();
    let file = create(&instance);
    let whole = std::fs::read(&file).unwrap();
    let damaged = instance.root().join("damaged.tar");
    let before = counts(&instance);
    let mut random = u64::from(std::process::id());
    for round in 0..12 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let offset = usize::try_from(random >> 16).unwrap() % whole.len();
        let mut bytes = whole.clone();
        bytes[offset] ^= 1 << (round % 8);
        std::fs::write(&damaged, bytes).unwrap();
        refused(&backup(&instance, &["verify"], &damaged), "damaged");
    }
    refused(&backup(&instance, &["restore", "--yes"], &damaged), "damaged");
    std::fs::write(&damaged, &whole[..whole.len() - 700]).unwrap();
    refused(&backup(&instance, &["restore", "--yes"], &damaged), "damaged");
    refused(&backup(&instance, &["restore", "--yes"], &instance.root().join("absent.tar")), "There is no backup");

    let schema = instance.sql("select max(version) from _sqlx_migrations");
    let forgeries = [
        ("\"format\": 1", "\"format\": 2".to_owned(), "its format is 2"),
        (
            &format!("\"schema_version\": {schema},\n  "),
            format!("\"schema_version\": {schema}999,"),
            "made by a newer glitchbox",
        ),
        ("\"postgres_major\": 1", "\"postgres_major\": 9".to_owned(), "newer than the PostgreSQL"),
    ];
    for (from, to, words) in forgeries {
        let file = forged(&file, from, &to);
        refused(&backup(&instance, &["restore", "--dry-run"], &file), words);
        refused(&backup(&instance, &["restore", "--yes"], &file), words);
        refused(&backup(&instance, &["verify"], &file), words);
    }
    refused(&backup(&instance, &["restore"], &file), "--yes");
    assert_eq!(counts(&instance), before);
    let services = instance.run_json("supervisor", &["status", "--json"]);
    assert!(services["services"].as_array().unwrap().iter().all(|service| service["restarts"] == 0), "{services}");
}

#[test]
fn a_restore_while_events_come_in_answers_all_and_keeps_those_of_its_time() {
    let instance = Instance::started();
    let sender = Sender::start(&instance);
    instance.wait_for_events(50);
    let file = create(&instance);
    let in_backup = instance.run_json("supervisor", &["backup", "list", "--json"])["backups"][0]["rows"].clone();
    instance.wait_for_events(stored(&instance).len() + 50);
    let before = stored(&instance);

    let begun = Instant::now();
    let restored = backup(&instance, &["restore", "--yes", "--json"], &file);
    assert!(restored.status.success(), "{}\n{}", describe(&restored), instance.log());
    let result: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!((&result["rows"], &result["warnings"]), (&in_backup, &serde_json::json!([])));
    std::thread::sleep(Duration::from_millis(300));
    let sent = sender.stop();
    // The worker pauses a moment after the command has begun.
    let since: BTreeSet<String> =
        sent.into_iter().filter(|(at, _)| *at > begun + Duration::from_secs(1)).map(|(_, id)| id).collect();
    wait_for(&instance, &since);
    let gone = before.difference(&stored(&instance)).count();
    assert!(gone > 0, "what came after the backup is still there");
    let left = names(instance.data()).into_iter().filter(|name| name.contains("restore")).count();
    assert_eq!(left, 0, "{:?}", names(instance.data()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_database_is_backed_up_and_restored_only_into_an_empty_one() {
    let (database, other, third) = (TestDatabase::new().await, TestDatabase::new().await, TestDatabase::new().await);
    let urls = (database.url(), other.url(), third.url());
    for empty in [&other, &third] {
        sqlx::raw_sql("drop schema analytics cascade; drop schema public cascade; create schema public")
            .execute(empty.pool())
            .await
            .unwrap();
    }
    tokio::task::spawn_blocking(move || {
        let mut instance = Instance::new();
        instance.set_env("DATABASE_URL", &urls.0);
        instance.start();
        let file = create(&instance);
        let good = backup(&instance, &["verify"], &file);
        assert!(good.status.success(), "{}", describe(&good));
        refused(&backup(&instance, &["restore", "--yes"], &file), "is not empty");
        let key = instance.public_key();
        let mut second = Instance::new();
        second.set_env("DATABASE_URL", &urls.1);
        let restored = backup(&second, &["restore", "--yes"], &file);
        assert!(restored.status.success(), "{}", describe(&restored));
        second.start();
        assert_eq!(second.public_key(), key);
        // What fails once that database is filled cannot be undone there, and says so.
        let mut fourth = Instance::new();
        fourth.set_env("DATABASE_URL", &urls.2);
        let forged = forged(&file, "\"public.organization\": 1", "\"public.organization\": 2");
        let words = "empty the database before you try again";
        refused(&backup(&fourth, &["restore", "--yes"], &forged), words);
        refused(&backup(&fourth, &["restore", "--yes"], &file), "is not empty");
        // And into an appliance with a PostgreSQL of its own.
        let mut third = Instance::new();
        let restored = backup(&third, &["restore", "--yes"], &file);
        assert!(restored.status.success(), "{}", describe(&restored));
        third.start();
        assert_eq!(third.public_key(), key);
        assert_eq!(third.sql("select has_table_privilege('analytics_ro', 'analytics.events', 'select')"), "t");
    })
    .await
    .unwrap();
}
