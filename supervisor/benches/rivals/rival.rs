//! The supervisors, and how each is told what to run.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::{Entry, diary};
use crate::processes::runs;

/// A stopped service is killed after so many seconds, where that can be set.
pub(crate) const GRACE_S: u64 = 3;

/// A log file is rotated at this size, in MiB.
const ROTATE_MB: u64 = 10;

/// One that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    Ours,
    Supervisord,
    S6,
    Runit,
}

/// What it is to run.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// The role of `child`, and its argument.
    pub(crate) role: Vec<String>,
    /// It starts once that one is ready.
    pub(crate) after: Option<String>,
    /// Its standard output goes to rotated files.
    pub(crate) logged: bool,
}

impl Service {
    pub(crate) fn new(name: &str, role: &[&str]) -> Self {
        let role = role.iter().map(|&word| word.to_owned()).collect();
        Self { name: name.to_owned(), role, after: None, logged: false }
    }

    fn tells_ready(&self) -> bool {
        self.role.first().is_some_and(|role| role == "ready")
    }
}

/// One that runs, in a folder of its own.
pub(crate) struct Running {
    rival: Rival,
    child: Child,
    folder: tempfile::TempDir,
}

impl Rival {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Supervisord, Self::S6, Self::Runit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "supervisor (ours)",
            Self::Supervisord => "supervisord",
            Self::S6 => "s6",
            Self::Runit => "runit",
        }
    }

    /// Whether it can keep the order of a chain by readiness.
    pub(crate) fn has_readiness(self) -> bool {
        matches!(self, Self::Ours | Self::S6)
    }

    /// The version, unless it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let package = match self {
            Self::Ours => return Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Supervisord => "supervisor",
            Self::S6 => "s6",
            Self::Runit => "runit",
        };
        let output = Command::new("dpkg-query").args(["-W", "-f", "${Status} ${Version}", package]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.strip_prefix("install ok installed ").map(str::to_owned)
    }

    /// Starts it with these services.
    pub(crate) fn start(self, ours: &Path, services: &[Service]) -> Result<Running> {
        let folder = tempfile::tempdir()?;
        let place = folder.path();
        let mut command = match self {
            Self::Ours => plan(ours, place, services)?,
            Self::Supervisord => supervisord(place, services)?,
            Self::S6 => s6(place, services)?,
            Self::Runit => runit(place, services)?,
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Running { rival: self, child: child.with_context(|| self.name().to_owned())?, folder })
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn diary(&self) -> Vec<Entry> {
        diary(self.folder.path())
    }

    /// Waits until the diary has so many entries of this kind and returns them.
    pub(crate) fn until(&self, event: &str, count: usize, patience: Duration) -> Result<Vec<Entry>> {
        let since = Instant::now();
        loop {
            let found: Vec<Entry> = self.diary().into_iter().filter(|entry| entry.event == event).collect();
            if found.len() >= count {
                return Ok(found);
            }
            if since.elapsed() > patience {
                bail!("{}: {} of {count} times \"{event}\"", self.rival.name(), found.len());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The log files of a service.
    pub(crate) fn log_files(&self, service: &str) -> Vec<PathBuf> {
        let (folder, prefix) = match self.rival {
            Rival::Ours => ("data/logs".to_owned(), format!("{service}.log")),
            Rival::Supervisord => ("logs".to_owned(), format!("{service}.log")),
            Rival::S6 | Rival::Runit => (format!("logs/{service}"), String::new()),
        };
        let entries = fs::read_dir(self.folder.path().join(folder)).into_iter().flatten().flatten();
        let is_log = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&prefix) && !["lock", "state", "config", "newstate"].contains(&name.as_str())
        };
        entries.map(|entry| entry.path()).filter(is_log).collect()
    }

    /// Asks it to end, and waits until it and all its services are gone: how long that took.
    pub(crate) fn stop(&mut self, patience: Duration) -> Option<Duration> {
        // runit's end without its services is TERM; HUP ends them too.
        let signal = if self.rival == Rival::Runit { Signal::SIGHUP } else { Signal::SIGTERM };
        let services: Vec<i32> =
            self.diary().iter().filter(|entry| entry.event == "start").map(|entry| entry.pid).collect();
        let since = Instant::now();
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
        let mut ended = false;
        while since.elapsed() < patience {
            ended = ended || self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended && !services.iter().any(|process| runs(*process)) {
                return Some(since.elapsed());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(GRACE_S + 2));
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Whatever any of them has left behind: only what wrote into this diary.
        for entry in self.diary() {
            if fs::read_link(format!("/proc/{}/exe", entry.pid)).ok() == std::env::current_exe().ok() {
                let _ = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
            }
        }
    }
}

/// The words that run a service.
fn words(place: &Path, service: &Service) -> Result<Vec<String>> {
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let head = [own, "child".to_owned(), place.to_string_lossy().into_owned(), service.name.clone()];
    Ok(head.into_iter().chain(service.role.iter().cloned()).collect())
}

fn plan(ours: &Path, place: &Path, services: &[Service]) -> Result<Command> {
    let mut plan = format!("[log]\nmax_size_mb = {ROTATE_MB}\nfiles = 1000\ntotal_mb = 100000\n");
    for service in services {
        let words: Vec<String> = words(place, service)?.iter().map(|word| format!("{word:?}")).collect();
        write!(plan, "[service.{}]\nkind = \"exec\"\ncommand = [{}]\n", service.name, words.join(", "))?;
        write!(plan, "stop = [\"TERM\", \"KILL@{GRACE_S}\"]\nbackoff = {{ healthy_s = 0.05 }}\n")?;
        if service.tells_ready() {
            plan += "ready = \"notify\"\n";
        }
        if let Some(after) = &service.after {
            writeln!(plan, "after = [\"{after}\"]")?;
        }
    }
    fs::write(place.join("plan.toml"), plan)?;
    let mut command = Command::new(ours);
    command
        .env_clear()
        .args(["run", "--data-dir"])
        .arg(place.join("data"))
        .arg("--config")
        .arg(place.join("plan.toml"));
    Ok(command)
}

fn supervisord(place: &Path, services: &[Service]) -> Result<Command> {
    let shown = place.display();
    fs::create_dir(place.join("logs"))?;
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={shown}/pid\nuser=root\n"
    );
    for (number, service) in services.iter().enumerate() {
        let log = if service.logged {
            format!(
                "{shown}/logs/{}.log\nstdout_logfile_maxbytes={ROTATE_MB}MB\nstdout_logfile_backups=1000",
                service.name
            )
        } else {
            "NONE".to_owned()
        };
        write!(
            text,
            "[program:{}]\ncommand={}\npriority={}\nautorestart=true\nstartsecs=0\nstopwaitsecs={GRACE_S}\nstdout_logfile={log}\nstderr_logfile=NONE\n",
            service.name,
            words(place, service)?.join(" "),
            number + 1,
        )?;
    }
    fs::write(place.join("supervisord.conf"), text)?;
    let mut command = Command::new("supervisord");
    command.arg("-c").arg(place.join("supervisord.conf"));
    Ok(command)
}

fn s6(place: &Path, services: &[Service]) -> Result<Command> {
    let scan = place.join("scan");
    for service in services {
        let folder = scan.join(&service.name);
        fs::create_dir_all(&folder)?;
        let mut run = String::new();
        if let Some(after) = &service.after {
            // Its supervisor may not be there yet: then this fails at once.
            writeln!(run, "until s6-svwait -U {}/{after} 2>/dev/null; do :; done", scan.display())?;
        }
        write!(run, "exec {}", words(place, service)?.join(" "))?;
        script(&folder.join("run"), &run)?;
        fs::write(folder.join("timeout-kill"), format!("{}\n", GRACE_S * 1000))?;
        if service.tells_ready() {
            fs::write(folder.join("notification-fd"), "3\n")?;
        }
        if service.logged {
            let log = place.join("logs").join(&service.name);
            fs::create_dir_all(folder.join("log"))?;
            fs::create_dir_all(&log)?;
            let size = ROTATE_MB * 1024 * 1024;
            script(&folder.join("log/run"), &format!("exec s6-log n1000 s{size} {}", log.display()))?;
        }
    }
    let mut command = Command::new("s6-svscan");
    command.arg(scan);
    Ok(command)
}

fn runit(place: &Path, services: &[Service]) -> Result<Command> {
    let scan = place.join("scan");
    for service in services {
        let folder = scan.join(&service.name);
        fs::create_dir_all(&folder)?;
        script(&folder.join("run"), &format!("exec {}", words(place, service)?.join(" ")))?;
        if service.logged {
            let log = place.join("logs").join(&service.name);
            fs::create_dir_all(folder.join("log"))?;
            fs::create_dir_all(&log)?;
            fs::write(log.join("config"), format!("s{}\nn1000\n", ROTATE_MB * 1024 * 1024))?;
            script(&folder.join("log/run"), &format!("exec svlogd {}", log.display()))?;
        }
    }
    let mut command = Command::new("runsvdir");
    command.arg(scan);
    Ok(command)
}

fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{text}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
