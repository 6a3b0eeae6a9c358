//! Backups of a running instance: made, verified, damaged, restored, and killed half-way.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Instance;
use super::instance::{describe, signal};
use crate::support::{TestDatabase, is_root};

/// Events sent one after the other until told to stop: the ids of those that were answered 200, and other answers.
struct Sender {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Sent>,
}

/// When which event was sent that was answered 200, and the other answers.
type Sent = (Vec<(Instant, String)>, Vec<String>);

/// Whether a restore has come so far, by what lies in the data directory.
type IsReached = Box<dyn Fn(&Path) -> bool>;

impl Sender {
    fn start(instance: &Instance) -> Self {
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
    fn stop(self) -> Vec<(Instant, String)> {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, others) = self.thread.join().unwrap();
        assert_eq!(others, Vec::<String>::new(), "beside {} that were answered 200", sent.len());
        sent
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn stored(instance: &Instance) -> BTreeSet<String> {
    instance.sql("select replace(event_id::text, '-', '') from event").lines().map(str::to_owned).collect()
}

/// Waits until all of these are stored.
fn wait_for(instance: &Instance, ids: &BTreeSet<String>) {
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

fn create(instance: &Instance) -> PathBuf {
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
fn refused(output: &Output, words: &str) {
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

fn names(folder: &Path) -> Vec<String> {
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

/// The process that carries out the instance's task.
fn task(instance: &Instance) -> Option<u32> {
    instance.processes().into_iter().find(|(_, command)| command.starts_with("supervisor\0task")).map(|(pid, _)| pid)
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_data_served() {
    let mut instance = Instance::started();
    let file = create(&instance);
    let sender = Sender::start(&instance);
    instance.wait_for_events(50);
    let has_begun = |name: &'static str| move |data: &Path| names(data).iter().any(|known| known.starts_with(name));
    let moments: [(&str, IsReached); 3] = [
        ("the journal is written", Box::new(has_begun("restore.journal"))),
        ("the cluster is made", Box::new(|data: &Path| data.join("restore.tmp/postgres").exists())),
        ("the old cluster is aside", Box::new(has_begun("postgres.before-restore-"))),
    ];
    for (what, is_reached) in moments {
        let before = stored(&instance);
        let path = file.display().to_string();
        let mut command = instance.command("supervisor", &["backup", "restore", "--yes", &path]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_reached(instance.data()) {
            assert!(Instant::now() < deadline, "never: {what}\n{}", instance.log());
            std::thread::sleep(Duration::from_micros(200));
        }
        if let Some(pid) = task(&instance) {
            signal("KILL", pid);
        }
        let output = child.wait_with_output().unwrap();
        // On a slow day the last moment has passed before the signal comes.
        if output.status.success() {
            eprintln!("{what}: the restore was faster");
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{what}: {}", describe(&output));
        let deadline = Instant::now() + Duration::from_secs(30);
        while instance.data().join("restore.journal").exists() || !is_well(&instance) {
            assert!(Instant::now() < deadline, "{what}: not well again\n{}", instance.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        wait_for(&instance, &before);
    }
    let sent: BTreeSet<String> = sender.stop().into_iter().map(|(_, id)| id).collect();

    // The same with everything killed at once: the next start brings the old data back.
    let path = file.display().to_string();
    let mut command = instance.command("supervisor", &["backup", "restore", "--yes", &path]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !names(instance.data()).iter().any(|name| name.starts_with("postgres.before-restore-")) {
        assert!(Instant::now() < deadline, "{}", instance.log());
        std::thread::sleep(Duration::from_micros(200));
    }
    instance.kill_everything();
    let output = child.wait_with_output().unwrap();
    instance.start();
    if output.status.success() {
        eprintln!("the restore was faster than the kill");
    } else {
        wait_for(&instance, &sent);
    }
    let left = names(instance.data()).into_iter().filter(|name| name.contains("restore")).count();
    assert_eq!(left, 0, "{:?}", names(instance.data()));
}

#[test]
fn what_a_killed_task_leaves_is_cleared_up_at_once() {
    let instance = Instance::started();
    let file = create(&instance).display().to_string();
    let moments: [(&[&str], &str); 2] =
        [(&["verify", &file], "verify.tmp/postgres"), (&["restore", "--yes", &file], "restore.done")];
    for (arguments, mark) in moments {
        let mut command = instance.command("supervisor", &[&["backup"], arguments].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !instance.data().join(mark).exists() {
            assert!(Instant::now() < deadline, "never: {mark}\n{}", instance.log());
            std::thread::sleep(Duration::from_micros(200));
        }
        if let Some(pid) = task(&instance) {
            signal("KILL", pid);
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            eprintln!("{mark}: it was faster");
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let is_left = |name: &String| name.contains("restore") || name.contains("verify");
        while names(instance.data()).iter().any(is_left) || task(&instance).is_some() || !is_well(&instance) {
            assert!(Instant::now() < deadline, "{mark}: {:?}\n{}", names(instance.data()), instance.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // The restored data count, and the worker stores again what web takes.
    let sender = Sender::start(&instance);
    instance.wait_for_events(20);
    let sent = sender.stop().into_iter().map(|(_, id)| id).collect();
    wait_for(&instance, &sent);
}

fn is_well(instance: &Instance) -> bool {
    instance.command("supervisor", &["status"]).output().unwrap().status.success()
}

#[test]
fn a_full_backup_disk_is_a_clear_error_and_nothing_is_left() {
    let instance = Instance::started();
    let folder = instance.root().join("small");
    std::fs::create_dir(&folder).unwrap();
    let is_mounted = |size: &str| {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&folder).output();
        mount.is_ok_and(|output| output.status.success())
    };
    if !is_root() || !is_mounted("size=1m") {
        eprintln!("SKIPPED: only root can mount a small disk");
        return;
    }
    let to = folder.display().to_string();
    let create = || instance.command("supervisor", &["backup", "create", "--to", &to]).output().unwrap();
    let unmount = || drop(Command::new("umount").arg(&folder).output());
    let (output, left) = (create(), names(&folder));
    unmount();
    refused(&output, "1 MB free");
    assert_eq!(left, Vec::<String>::new());
    // Room enough at first, and taken by somebody else while the backup is written.
    assert!(is_mounted("size=100m"));
    let (output, left) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while names(&folder).is_empty() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(100));
            }
            drop(Command::new("fallocate").args(["-l", "104853504"]).arg(folder.join("filler")).output());
        });
        (create(), names(&folder))
    });
    unmount();
    if output.status.success() {
        eprintln!("SKIPPED: the backup was written before the disk was full");
    } else {
        refused(&output, "is full");
        assert!(left.iter().all(|name| name == "filler"), "{left:?}");
    }
    // Another disk with room is fine; the path is relative to where the operator is.
    let mut command = instance.command("supervisor", &["backup", "create", "--to", "small", "--json"]);
    let output = command.current_dir(instance.root()).output().unwrap();
    assert!(output.status.success(), "{}", describe(&output));
    assert_eq!(names(&folder).len(), 1);
    assert_eq!(names(&instance.data().join("backups")), Vec::<String>::new());
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
