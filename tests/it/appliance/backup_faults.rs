//! Backups and restores that are killed half-way, and disks that are full.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Instance;
use super::backup::{Sender, create, names, refused, stored, wait_for};
use super::instance::{describe, signal};
use crate::support::is_root;

/// Whether a restore has come so far, by what lies in the data directory.
type IsReached = Box<dyn Fn(&Path) -> bool>;

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
