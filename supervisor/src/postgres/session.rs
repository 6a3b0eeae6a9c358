//! A session of our own with a cluster that nobody else can reach: to set passwords before its server is started.
//!
//! Single-user mode needs no password, but it wants to look its user up by number. A container can be told to run as a
//! number that has no name (`--user 12345`); there a server is started with its socket inside the cluster's own folder,
//! which is closed to everybody else, and told the same by psql with the superuser's password.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{User, geteuid};

use super::probe::is_ready;
use super::{DATA_FD, DATABASE, command};
use crate::files::{self, Owner};
use crate::secrets::Role;
use crate::settings::Secret;
use crate::spawn::{Credentials, LaunchSpec, Program, Spawned, spawn};

/// Ends a script, and shows that every statement before it was carried out.
const DONE: &str = "glitchbox session done";
/// How often a server that is starting is looked at.
const STEP: Duration = Duration::from_millis(5);
/// A clean cluster is ready within a second, and one that has to recover within minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// A cluster without a server, and who may start one.
pub(super) struct Session<'a> {
    /// The folder with PostgreSQL's programs.
    pub(super) bin: &'a Path,
    /// Who owns the cluster; `None` is ourselves.
    pub(super) user: Option<Owner>,
    /// The cluster.
    pub(super) folder: &'a Arc<OwnedFd>,
    /// The superuser's password that is in force, as far as it is known.
    pub(super) password: Option<&'a Secret>,
    /// True when the cluster is thrown away if this fails, so that nothing needs to be on disk.
    pub(super) disposable: bool,
}

impl Session<'_> {
    /// Carries out `statements` as the superuser. Recovers the cluster first if it has to.
    ///
    /// # Errors
    /// What failed, with the last words of the program that failed.
    pub(super) fn run(&self, statements: &[String]) -> Result<(), String> {
        let mut script: String = statements.iter().flat_map(|statement| [statement, ";\n"]).collect();
        script.push_str("select '");
        script.push_str(DONE);
        script.push_str("';\n");
        if self.user.is_some() || matches!(User::from_uid(geteuid()), Ok(Some(_))) {
            self.single_user(script)
        } else {
            self.private_server(script)
        }
    }

    fn single_user(&self, script: String) -> Result<(), String> {
        let mut arguments = vec!["--single", "-c", "exit_on_error=on"];
        arguments.extend(self.options());
        let mut spec = self.command("postgres", &arguments)?;
        spec.argv.push("postgres".into());
        spec.stdin = Some(script.into_bytes());
        // In this mode an error does not always end the session: the last statement shows that we got there.
        check_done("the single-user session", &run("the single-user session", &spec)?)
    }

    fn private_server(&self, script: String) -> Result<(), String> {
        let password = self.password.ok_or("the superuser's password (secrets/postgres-password) is lost")?;
        let mut arguments = vec!["-c", "listen_addresses=", "-c", "unix_socket_directories=."];
        arguments.extend(self.options());
        let mut spec = self.command("postgres", &arguments)?;
        spec.death_signal = Some(Signal::SIGINT);
        let server = Server::start(&spec)?;
        server.wait_until_ready(self.folder)?;
        let told = self.psql(script, password);
        server.stop()?;
        told
    }

    fn psql(&self, script: String, password: &Secret) -> Result<(), String> {
        let path = self.bin.join("psql");
        let argv = [path.as_os_str(), "-XqAt".as_ref(), "--set=ON_ERROR_STOP=1".as_ref(), DATABASE.as_ref()];
        let root = File::open("/").map_err(|error| error.to_string())?;
        let argv = argv.into_iter().map(Into::into).collect();
        let mut spec = LaunchSpec::new(Program::Path(path.clone()), argv, Arc::new(root.into()));
        spec.set_env("LC_ALL", "C.UTF-8");
        spec.set_env("PGHOST", format!("/proc/self/fd/{DATA_FD}"));
        spec.set_env("PGUSER", Role::Postgres.name());
        spec.set_env("PGPASSWORD", password.expose());
        spec.inherit = vec![(Arc::clone(self.folder), DATA_FD)];
        spec.stdin = Some(script.into_bytes());
        check_done("psql", &run("psql", &spec)?)
    }

    /// A failing statement must not put a password into the log.
    fn options(&self) -> &'static [&'static str] {
        let all = &["-c", "log_min_error_statement=panic", "-c", "fsync=off"];
        if self.disposable { all } else { &["-c", "log_min_error_statement=panic"] }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Result<LaunchSpec, String> {
        let credentials = self.user.map(|(uid, gid)| Credentials { uid, gid, groups: Vec::new() });
        command(self.bin, program, arguments, Arc::clone(self.folder), credentials).map_err(|error| error.to_string())
    }
}

/// A server that nobody but us can reach.
struct Server {
    child: Spawned,
}

impl Server {
    fn start(spec: &LaunchSpec) -> Result<Self, String> {
        let child = spawn(spec).map_err(|error| format!("postgres could not be run: {error}"))?;
        Ok(Self { child })
    }

    fn wait_until_ready(&self, folder: &OwnedFd) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let process_file = files::read(folder, "postmaster.pid", 4096).ok().flatten().unwrap_or_default();
            if is_ready(&String::from_utf8_lossy(&process_file)) {
                return Ok(());
            }
            match waitpid(self.child.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if Instant::now() < deadline => std::thread::sleep(STEP),
                Ok(WaitStatus::StillAlive) => {
                    let _ = kill(self.child.pid, Signal::SIGQUIT);
                    return Err("postgres did not become ready".to_owned());
                }
                _ => return Err(format!("postgres ended: {}", last_lines(&self.said()))),
            }
        }
    }

    /// Fast shutdown: everything is written and the cluster is clean.
    fn stop(self) -> Result<(), String> {
        let failed = |errno: nix::errno::Errno| format!("postgres could not be stopped: {errno}");
        kill(self.child.pid, Signal::SIGINT).map_err(failed)?;
        match waitpid(self.child.pid, None).map_err(failed)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            status => Err(format!("postgres was stopped and ended with {status:?}: {}", last_lines(&self.said()))),
        }
    }

    /// What it wrote; it has ended. (Far less than a pipe holds: nothing but the lines of a start and a stop.)
    fn said(&self) -> String {
        let copy = self.child.stderr.try_clone();
        let mut bytes = Vec::new();
        let _ = copy.and_then(|fd| File::from(fd).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn check_done(name: &str, output: &str) -> Result<(), String> {
    if output.contains(DONE) { Ok(()) } else { Err(format!("{name} failed: {}", last_lines(output))) }
}

/// Runs `spec` to its end and returns all it wrote, provided that it succeeded.
pub(crate) fn run(name: &str, spec: &LaunchSpec) -> Result<String, String> {
    let failed = |error: io::Error| format!("{name} could not be run: {error}");
    let child = spawn(spec).map_err(failed)?;
    let read = |fd: OwnedFd| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What could be read before an error is worth showing, too.
            let _ = File::from(fd).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let (stdout, stderr) = (read(child.stdout), read(child.stderr));
    let output = stdout.join().unwrap_or_default() + &stderr.join().unwrap_or_default();
    match waitpid(child.pid, None).map_err(|errno| failed(errno.into()))? {
        WaitStatus::Exited(_, 0) => Ok(output),
        WaitStatus::Exited(_, code) => Err(format!("{name} ended with code {code}: {}", last_lines(&output))),
        status => Err(format!("{name} was ended ({status:?}): {}", last_lines(&output))),
    }
}

/// The last few lines of a program's output, on one line.
pub(super) fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_is_shown() {
        assert_eq!(last_lines("1\n\n2\n3\n4\n5\n6\n"), "2 | 3 | 4 | 5 | 6");
    }
}
