//! One instance of the appliance.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, keeper};

/// A data directory and, while it runs, the supervisor over it. Dropping it kills what is left and
/// removes the directory.
pub(crate) struct Instance {
    root: PathBuf,
    data: PathBuf,
    port: u16,
    environment: Vec<(String, String)>,
    supervisor: Option<Child>,
}

/// Where cargo put the programs.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_glitchbox")).with_file_name(name);
    assert!(path.exists(), "{} is missing: cargo build --workspace", path.display());
    path
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Instance {
    /// An empty data directory that does not exist yet; nothing runs.
    pub(crate) fn new() -> Self {
        let root = keeper::new_dir("gbt-appliance-");
        Self { data: root.join("data"), root, port: free_port(), environment: Vec::new(), supervisor: None }
    }

    /// A new instance, running and healthy.
    pub(crate) fn started() -> Self {
        let mut instance = Self::new();
        instance.start();
        instance
    }

    /// The folder that holds the data directory and nothing else of the appliance.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Moves the data directory of an instance that has not run yet.
    pub(crate) fn set_data(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// Where web listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Moves the instance to another port, for the next start.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Sets a variable for every program from now on.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A client of web, without credentials.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// A program of ours, pointed at this instance and with nothing else in its environment.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command.args(arguments).env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("DATA_DIR", &self.data).env("PORT", self.port.to_string()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the supervisor and waits until the instance is healthy; gives back how long that took.
    pub(crate) fn start(&mut self) -> Duration {
        let log = std::fs::File::options().create(true).append(true).open(self.root.join("log")).unwrap();
        let mut command = self.command("supervisor", &["run"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let begun = Instant::now();
        self.supervisor = Some(command.spawn().unwrap());
        while !self.is_healthy() {
            let ended = self.supervisor.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the supervisor ended with {}:\n{}", ended.unwrap(), self.log());
            assert!(begun.elapsed() < Duration::from_mins(1), "not healthy after a minute:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        begun.elapsed()
    }

    fn is_healthy(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(self.address()) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = b"GET /_health/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request).is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
    }

    /// Everything the supervisor has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    /// Asks for an ordered end and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut child = self.supervisor.take().expect("the supervisor runs");
        signal("TERM", child.id());
        child.wait().unwrap()
    }

    /// Kills the supervisor alone.
    pub(crate) fn kill_supervisor(&mut self) {
        let mut child = self.supervisor.take().expect("the supervisor runs");
        signal("KILL", child.id());
        drop(child.wait());
    }

    /// Kills the supervisor and all processes at once, as a power cut would end them.
    pub(crate) fn kill_everything(&mut self) {
        let mut child = self.supervisor.take().expect("the supervisor runs");
        signal("KILL", child.id());
        for (pid, _) in self.processes() {
            signal("KILL", pid);
        }
        drop(child.wait());
    }

    /// Processes that have this data directory, or a folder in it, as their working directory.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let Ok(data) = self.data.canonicalize() else { return Vec::new() };
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ours = pids.filter(|pid| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory.starts_with(&data))
        });
        ours.map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default())).collect()
    }

    /// Runs a program of ours to its end; panics with its output unless it succeeds.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name, arguments).output().unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}\n{}", describe(&output), self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// As `run`, for commands with `--json`.
    pub(crate) fn run_json(&self, name: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(name, arguments)).unwrap()
    }

    /// The one value an SQL query gives.
    pub(crate) fn sql(&self, query: &str) -> String {
        self.run("supervisor", &["psql", "--", "-XAtc", query]).trim().to_owned()
    }

    /// The DSN of project `default`, at the address this instance listens on.
    pub(crate) fn dsn(&self) -> String {
        let keys = self.run_json("glitchbox", &["key", "list", "--json"]);
        keys[0]["dsn"].as_str().unwrap().replace("localhost", "127.0.0.1")
    }

    /// The public key in it.
    pub(crate) fn public_key(&self) -> String {
        let dsn = self.dsn();
        dsn.trim_start_matches("http://").split('@').next().unwrap().to_owned()
    }

    /// A client with an API token that may read everything.
    pub(crate) fn api(&self) -> Client {
        let scopes = "org:read,project:read,event:read,event:write";
        let arguments = ["token", "create", "--user", "admin@localhost", "--scope", scopes];
        self.client().with_token(self.run("glitchbox", &arguments).trim())
    }

    /// Waits until this many events are stored.
    pub(crate) fn wait_for_events(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let stored = self.sql("select count(*) from event");
            if stored.parse::<usize>().unwrap() >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{stored} of {count} events stored:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Every file and folder under `root`, but for the supervisor's output: path, mode, owner, size, time of change.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.root, &mut found);
        found.retain(|line| !line.starts_with(&format!("{} ", self.root.join("log").display())));
        found.sort();
        found
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.supervisor.take() {
            signal("TERM", child.id());
            drop(child.wait());
        }
        // A supervisor that was killed, or that failed its test, may leave some.
        for (pid, _) in self.processes() {
            signal("KILL", pid);
        }
        drop(std::fs::remove_dir_all(&self.root));
    }
}

fn list(folder: &Path, found: &mut Vec<String>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let data = path.symlink_metadata().unwrap();
        let (mode, owner, size) = (data.mode(), data.uid(), data.len());
        found.push(format!("{} {mode:o} {owner} {size} {}.{}", path.display(), data.mtime(), data.mtime_nsec()));
        if data.is_dir() {
            list(&path, found);
        }
    }
}

/// Sends a signal by name (`TERM`).
pub(crate) fn signal(name: &str, pid: u32) {
    drop(Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status());
}

/// Status and both outputs, for messages.
pub(crate) fn describe(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{stdout}\n{stderr}", output.status)
}
