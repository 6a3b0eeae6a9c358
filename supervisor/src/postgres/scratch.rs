//! A second cluster in the data directory, to restore a backup into: laid out like a data directory of its own, with
//! its own socket, ended and deleted with its owner.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{geteuid, syncfs};

use super::client::Connection;
use super::{DATABASE, Server, cluster, command, probe, session};
use crate::files::{self, Owner};
use crate::secrets::Role;
use crate::settings::Secret;
use crate::spawn::{Credentials, Spawned, spawn};

/// A server that has nothing to recover is ready within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a starting or stopping server is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// What suits a server whose data are thrown away if it crashes, beside another that needs the memory.
const SETTINGS: [&str; 11] = [
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "archive_mode=off",
    "autovacuum=off",
    "shared_buffers=64MB",
    "maintenance_work_mem=64MB",
    "max_connections=10",
];

/// What a cluster is made of.
#[derive(Debug)]
pub struct Ingredients {
    /// The server's programs.
    pub server: Server,
    /// Who runs it; none when everything is ours.
    pub user: Option<Owner>,
    /// Who owns secrets; none when everything is ours.
    pub app_owner: Option<Owner>,
    /// A password for each role.
    pub roles: Vec<(Role, Secret)>,
}

/// A cluster of no consequence. Dropped, it is stopped and deleted.
#[derive(Debug)]
pub struct Scratch {
    data: OwnedFd,
    name: &'static str,
    folder: OwnedFd,
    ingredients: Ingredients,
    server: Option<Started>,
}

#[derive(Debug)]
struct Started {
    child: Spawned,
    words: JoinHandle<String>,
}

impl Scratch {
    /// Makes a cluster in the folder `name` of the data directory `data`, which must be the working directory. What is
    /// left there of an earlier one is deleted; none of its processes may be alive.
    ///
    /// # Errors
    /// What failed.
    pub fn make(data: &OwnedFd, name: &'static str, ingredients: Ingredients) -> Result<Self, String> {
        let told = |error: io::Error| format!("making the folder {name}: {error}");
        files::remove_folder(data, name).map_err(told)?;
        let is_root = geteuid().is_root();
        let folder = files::make_folder(data, name, if is_root { 0o711 } else { 0o700 }, None).map_err(told)?;
        let data = data.try_clone().map_err(told)?;
        let scratch = Self { data, name, folder, ingredients, server: None };
        scratch.fill().map_err(|error| format!("making a scratch cluster: {error}"))?;
        Ok(scratch)
    }

    fn fill(&self) -> Result<(), String> {
        let told = |error: io::Error| error.to_string();
        let Ingredients { server, user, app_owner, roles } = &self.ingredients;
        let run_mode = if user.is_some() { 0o771 } else { 0o700 };
        files::make_folder(&self.folder, "run", run_mode, user.map(|(_, group)| (0, group))).map_err(told)?;
        files::make_folder(&self.folder, "secrets", 0o700, *app_owner).map_err(told)?;
        let request = cluster::Request::scratch(server.clone(), *user, *app_owner, roles.clone());
        request.carry_out(&self.folder)
    }

    /// Starts the server and waits until it takes connections. Not from a thread that ends before the server should.
    ///
    /// # Errors
    /// What failed, with the server's last words.
    pub fn start(&mut self) -> Result<(), String> {
        let told = |error: io::Error| format!("starting a scratch server: {error}");
        let cluster = Arc::new(files::open_folder(&self.folder, cluster::FOLDER).map_err(told)?);
        let user = self.ingredients.user.map(|(uid, gid)| Credentials { uid, gid, groups: Vec::new() });
        let arguments: Vec<&str> = SETTINGS.iter().flat_map(|setting| ["-c", setting]).collect();
        let mut spec = command(&self.ingredients.server.bin, "postgres", &arguments, cluster, user).map_err(told)?;
        // It must not outlive us. Fast shutdown: SIGTERM would wait for every client to leave.
        spec.death_signal = Some(Signal::SIGINT);
        let mut child = spawn(&spec).map_err(told)?;
        drop(std::mem::replace(&mut child.stdout, File::open("/dev/null").map_err(told)?.into()));
        let stderr = child.stderr.try_clone().map_err(told)?;
        let words = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = File::from(stderr).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        self.server = Some(Started { child, words });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
        let run = files::open_folder(&self.folder, "run").map_err(told)?;
        let since = Instant::now();
        loop {
            match runtime.block_on(probe(run.as_fd())) {
                Ok(()) => return Ok(()),
                Err(_) if self.has_ended() => {
                    let words = self.server.take().and_then(|server| {
                        drop(server.child);
                        server.words.join().ok()
                    });
                    let words = words.unwrap_or_default();
                    return Err(format!("the scratch server ended: {}", session::last_lines(&words)));
                }
                Err(error) if since.elapsed() > PATIENCE => return Err(format!("the scratch server: {error}")),
                Err(_) => std::thread::sleep(INTERVAL),
            }
        }
    }

    /// The application's database in it, as `role`.
    pub fn connection(&self, role: Role) -> Connection {
        let known = self.ingredients.roles.iter().find(|(known, _)| *known == role);
        let password = known.map_or_else(|| Secret::new(""), |(_, password)| password.clone());
        Connection::socket(&format!("{}/run", self.name), role.name(), &password, DATABASE)
    }

    /// Stops the server in order; its data are then all on the disk.
    ///
    /// # Errors
    /// When it does not end, or the disk does not take it.
    pub fn stop(&mut self) -> Result<(), String> {
        self.end(Signal::SIGINT)?;
        syncfs(&self.folder).map_err(|errno| format!("syncing the restored cluster: {errno}"))
    }

    /// The folder that holds the stopped cluster in [`cluster::FOLDER`].
    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// The folder's name in the data directory.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn has_ended(&self) -> bool {
        let Some(server) = &self.server else { return true };
        !matches!(waitpid(server.child.pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
    }

    fn end(&mut self, signal: Signal) -> Result<(), String> {
        let Some(pid) = self.server.as_ref().map(|server| server.child.pid) else { return Ok(()) };
        let mut next = Some(signal);
        let mut since = Instant::now();
        loop {
            if let Some(signal) = next.take()
                && let Err(errno) = kill(pid, signal)
                && errno != Errno::ESRCH
            {
                return Err(format!("the scratch server cannot be stopped: {errno}"));
            }
            if self.has_ended() {
                self.server = None;
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                (next, since) = (Some(Signal::SIGQUIT), Instant::now());
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.end(Signal::SIGQUIT);
        let _ = files::remove_folder(&self.data, self.name);
    }
}
