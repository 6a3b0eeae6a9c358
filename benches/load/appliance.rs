//! The real thing under measurement: the release supervisor on a data directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Kernel ticks in a second, as /proc counts them on every Linux of today.
const TICKS: f64 = 100.0;

/// A data directory and, while it runs, the supervisor over it.
pub(crate) struct Appliance {
    binaries: PathBuf,
    data: PathBuf,
    port: u16,
    supervisor: Option<Child>,
}

/// One process of the appliance.
pub(crate) struct Process {
    /// Program and, for ours, the role.
    pub(crate) name: String,
    /// Its own CPU time and that of the children it has waited for, in seconds.
    pub(crate) cpu: f64,
    /// Proportional set size in bytes.
    pub(crate) pss: u64,
}

impl Appliance {
    /// An empty data directory; nothing is started yet.
    pub(crate) fn new(binaries: &Path) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("gbt-bench-").tempdir()?.keep();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { binaries: binaries.canonicalize()?, data: data.join("data"), port, supervisor: None })
    }

    /// Starts and waits for `/_health/`; the time it took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let log = fs::File::create(self.data.with_extension("log"))?;
        let started = Instant::now();
        let mut command = self.command("supervisor");
        command.arg("run").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("start the supervisor")?;
        self.supervisor = Some(child);
        while !self.is_healthy() {
            if started.elapsed() > Duration::from_mins(1) {
                let log = fs::read_to_string(self.data.with_extension("log")).unwrap_or_default();
                bail!("not healthy after a minute:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(started.elapsed())
    }

    /// Stops in order; an exit code other than 0 is an error.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.supervisor.take() {
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
            let status = child.wait()?;
            ensure!(status.success(), "the supervisor ended with {status}");
        }
        Ok(())
    }

    /// A program of ours, with nothing in its environment but what the instance needs.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DATA_DIR", &self.data).env("PORT", self.port.to_string());
        command
    }

    /// `supervisor scheduled-restart`: what it reports, if it went well.
    pub(crate) fn restart(&self) -> Result<serde_json::Value> {
        let output = self.command("supervisor").args(["scheduled-restart", "--json"]).output()?;
        ensure!(output.status.success(), "the restart ended with {}", String::from_utf8_lossy(&output.stdout));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let request = "GET /_health/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.set_read_timeout(Some(Duration::from_mins(1))).is_ok()
            && stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// The DSN of project `default`, on loopback.
    pub(crate) fn dsn(&self) -> Result<String> {
        let output = self.command("glitchbox").args(["key", "list", "--json"]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let keys: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let dsn = keys.pointer("/0/dsn").and_then(|dsn| dsn.as_str()).context("a DSN in `key list --json`")?;
        Ok(dsn.replace("localhost", "127.0.0.1"))
    }

    /// As [`database`], for this one.
    pub(crate) fn database(&self) -> Result<sqlx::postgres::PgConnectOptions> {
        database(&self.data)
    }

    /// Every process of the appliance, the supervisor included.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        let root = self.supervisor.as_ref().context("the appliance runs")?.id();
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if let Some(parent) = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let (mut found, mut open) = (Vec::new(), vec![root]);
        while let Some(pid) = open.pop() {
            open.extend(children.get(&pid).into_iter().flatten());
            found.extend(describe(pid));
        }
        Ok(found)
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        drop(self.stop());
        drop(self.data.parent().map(fs::remove_dir_all));
    }
}

/// Options to connect to the bundled PostgreSQL of a data directory as the application's role.
pub(crate) fn database(data: &Path) -> Result<sqlx::postgres::PgConnectOptions> {
    let password = fs::read_to_string(data.join("secrets/db-password")).context("the database's password")?;
    let options = sqlx::postgres::PgConnectOptions::new().socket(data.join("run"));
    Ok(options.username("glitchbox").database("glitchbox").password(&password))
}

/// The fields of /proc/PID/stat that follow the program's name: state, parent, ...
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn describe(pid: u32) -> Option<Process> {
    let fields = stat_fields(pid)?;
    // utime, stime, cutime, cstime
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = command.split('\0');
    // Some servers put what they do in place of their arguments.
    let title = words.next()?;
    let program = match title.split_once(' ') {
        Some((path, doing)) if doing.contains('/') => path,
        _ => title,
    };
    let program = program.rsplit('/').next()?.to_owned();
    let role = words.next().filter(|_| matches!(program.as_str(), "glitchbox" | "supervisor")).unwrap_or("");
    let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss =
        memory.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Some(Process {
        name: format!("{program} {role}").trim().to_owned(),
        cpu: ticks / TICKS,
        pss: pss.unwrap_or(0) * 1024,
    })
}
