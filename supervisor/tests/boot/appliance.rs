//! A data directory with the bundled servers running in it, without the supervisor's loop.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use glitchbox_supervisor::app::App;
use glitchbox_supervisor::context::{Context, Survey};
use glitchbox_supervisor::error::Fault;
use glitchbox_supervisor::secrets::Role;
use glitchbox_supervisor::settings::{Overrides, Settings};
use glitchbox_supervisor::spawn::{LaunchSpec, Program, Spawned, spawn};
use glitchbox_supervisor::{postgres, prepare, redis};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use tempfile::TempDir;

/// Longer than anything here should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A temporary folder (mode 0700) and a data directory with a very long path in it.
pub(super) struct Place {
    _folder: TempDir,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(70)).join("y".repeat(70)).join("data");
        assert!(path.as_os_str().len() > 150);
        Self { _folder: folder, path }
    }
}

pub(super) fn settings(path: &Path, variables: &[(&str, &str)]) -> Settings {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let overrides = Overrides { data_dir: Some(path.to_path_buf()), port: None };
    Settings::from_env(variables, &overrides).unwrap()
}

pub(super) fn look(path: &Path, variables: &[(&str, &str)]) -> Result<Survey, Fault> {
    let app = App::open("/bin/true".into()).unwrap();
    Survey::look(settings(path, variables), app)
}

/// As [`look`], for a directory that was just let go: a child that another test is starting at this very moment may
/// hold a copy of the lock until its `exec`.
pub(super) fn look_again(path: &Path, variables: &[(&str, &str)]) -> Survey {
    let start = Instant::now();
    loop {
        match look(path, variables) {
            Err(fault) if fault.message.contains("in use") && start.elapsed() < Duration::from_secs(2) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            looked => return looked.unwrap(),
        }
    }
}

/// Both bundled servers, ready. Stopped on drop.
pub(super) struct Appliance {
    pub(super) context: Context,
    pub(super) postgres: Option<Spawned>,
    pub(super) redis: Option<Spawned>,
    /// From the start to PostgreSQL accepting connections.
    pub(super) ready_after: Duration,
}

impl Appliance {
    pub(super) fn start(path: &Path, variables: &[(&str, &str)]) -> Self {
        let start = Instant::now();
        let context = look_again(path, variables).settle().unwrap();
        let request = prepare::launch(&context).unwrap().stdin.unwrap();
        prepare::carry_out(&request, &context.data.dir).unwrap();
        let prepared = start.elapsed();
        let redis = redis::launch(&context).map(|spec| spawn(&spec).unwrap());
        let postgres = postgres::launch(&context).unwrap().map(|spec| spawn(&spec).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run = context.data.run.as_fd();
        let ready_after = runtime.block_on(async {
            if postgres.is_some() {
                wait_for(async || postgres::probe(run).await).await;
            }
            let ready_after = start.elapsed();
            if let Some(password) = &context.secrets.redis {
                wait_for(async || redis::probe(run, password.expose()).await).await;
            }
            ready_after
        });
        eprintln!(
            "prepared after {prepared:?}, PostgreSQL ready after {ready_after:?}, all after {:?}",
            start.elapsed()
        );
        Self { context, postgres, redis, ready_after }
    }

    /// Runs `sql` through psql as `role` with `password`; the unaligned rows, or what psql complained about.
    pub(super) fn psql_with(&self, role: Role, password: &str, sql: &str) -> Result<String, String> {
        let words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "/proc/self/fd/3", "-U", role.name()];
        let words = words.into_iter().chain(["-d", postgres::DATABASE, "-c", sql]);
        let cwd = Arc::new(File::open("/").unwrap().into());
        let mut spec = LaunchSpec::new(Program::Path("/usr/bin/psql".into()), words.map(OsString::from).collect(), cwd);
        spec.set_env("PGPASSWORD", password);
        spec.set_env("PATH", "/usr/bin:/bin");
        spec.inherit = vec![(Arc::clone(&self.context.data.run), 3)];
        output(&spec)
    }

    pub(super) fn psql(&self, role: Role, sql: &str) -> Result<String, String> {
        let password = self.context.secrets.role(role).unwrap().expose().to_owned();
        self.psql_with(role, &password, sql)
    }

    /// Runs one Redis command.
    pub(super) fn redis_cli(&self, words: &[&str]) -> Result<String, String> {
        let argv = ["redis-cli", "-s", "run/redis/redis.sock"].iter().chain(words).map(OsString::from).collect();
        let program = Program::Path("/usr/bin/redis-cli".into());
        let mut spec = LaunchSpec::new(program, argv, Arc::clone(&self.context.data.dir));
        spec.set_env("REDISCLI_AUTH", self.context.secrets.redis.as_ref().unwrap().expose());
        output(&spec)
    }

    pub(super) fn kill_redis(&mut self) {
        end(self.redis.take(), Signal::SIGKILL);
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        end(self.redis.take(), Signal::SIGTERM);
        end(self.postgres.take(), Signal::SIGINT);
    }
}

fn end(child: Option<Spawned>, signal: Signal) {
    if let Some(child) = child {
        let _ = kill(child.pid, signal);
        let _ = waitpid(child.pid, None);
    }
}

fn output(spec: &LaunchSpec) -> Result<String, String> {
    let child = spawn(spec).unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    File::from(child.stdout).read_to_string(&mut stdout).unwrap();
    File::from(child.stderr).read_to_string(&mut stderr).unwrap();
    let _ = waitpid(child.pid, None);
    if stderr.is_empty() { Ok(stdout.trim_end().to_owned()) } else { Err(stderr) }
}

async fn wait_for(probe: impl AsyncFn() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(error) = probe().await {
        assert!(start.elapsed() < PATIENCE, "not ready: {error}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
