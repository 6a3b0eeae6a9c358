//! The data directory's disk fills up, slowly and at once, and is given back.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::Trial;
use crate::support::is_root;

const MEGABYTE: u64 = 1024 * 1024;

/// Of the whole disk.
const SIZE: u64 = 300 * MEGABYTE;

#[test]
fn a_full_disk_refuses_politely_and_loses_nothing() {
    full_disk(Duration::from_secs(3));
}

#[test]
#[ignore = "long"]
fn a_full_disk_refuses_politely_and_loses_nothing_long() {
    full_disk(Duration::from_mins(2));
}

fn full_disk(stays: Duration) {
    let mut disk = None;
    let mut trial = Trial::with(|instance| disk = Disk::mount(instance.data()));
    let Some(disk) = &disk else { return };
    trial.may_refuse();

    // Slowly: refused before anything has run full.
    trial.load();
    std::thread::sleep(Duration::from_secs(1));
    let mut ballast = Ballast::new(&disk.path);
    while trial.send_one().is_ok() {
        assert!(ballast.grow(4 * MEGABYTE), "the disk is full, and nothing was refused:\n{}", trial.instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("refused with {} MB of {} MB free", free(&disk.path) / MEGABYTE, SIZE / MEGABYTE);
    std::thread::sleep(stays);
    for name in ["web", "worker", "redis", "postgres"] {
        assert_eq!(trial.service(name).unwrap()["restarts"], 0, "{name} did not survive the floor");
    }
    drop(ballast);
    recover(&mut trial, "above the floor");
    let settled = trial.settle("the disk slowly filled");
    assert!(settled.refused > 0);

    // At once, to the last byte.
    trial.load();
    std::thread::sleep(Duration::from_secs(1));
    let mut ballast = Ballast::new(&disk.path);
    while ballast.grow(MEGABYTE) {}
    let until = Instant::now() + stays;
    while Instant::now() < until {
        // What others give back is taken as well.
        while ballast.grow(64 * 1024) {}
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(ballast);
    recover(&mut trial, "the whole disk");
    trial.settle("the disk filled at once");
}

/// Waits until events are taken again and all services are well, without a hand.
fn recover(trial: &mut Trial, what: &str) {
    let begun = Instant::now();
    while let Err(answer) = trial.send_one() {
        let log = trial.instance.log();
        assert!(begun.elapsed() < Duration::from_mins(2), "events are not taken again: {answer:?}\n{log}");
        std::thread::sleep(Duration::from_millis(250));
    }
    for name in ["web", "worker", "redis", "postgres"] {
        trial.wait_for(name, |service| service["health"] == "ok");
    }
    println!("{what} given back: well again after {:.1?}", begun.elapsed());
    std::thread::sleep(Duration::from_secs(1));
}

/// A small file system of its own.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// None where it cannot be mounted, which is said loudly.
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let target = path.to_str().unwrap();
        let size = format!("size={SIZE},mode=755");
        if is_root() && succeeds("mount", &["-t", "tmpfs", "-o", &size, "gbt-small-disk", target]) {
            return Some(Self { path: path.to_owned() });
        }
        eprintln!("SKIPPED: a full disk needs a small file system, and none can be mounted here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        succeeds("umount", &["--lazy", self.path.to_str().unwrap()]);
        drop(self.path.parent().map(std::fs::remove_dir_all));
    }
}

/// Bytes that an ordinary user may still write.
fn free(path: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

/// A file that takes room; removed when this is dropped.
struct Ballast {
    path: PathBuf,
    file: File,
}

impl Ballast {
    fn new(disk: &Path) -> Self {
        let path = disk.join("ballast");
        Self { file: File::create(&path).unwrap(), path }
    }

    /// False when there is no more room.
    fn grow(&mut self, bytes: u64) -> bool {
        let block = vec![1_u8; usize::try_from(bytes).unwrap()];
        self.file.write_all(&block).is_ok()
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

impl Drop for Ballast {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}
