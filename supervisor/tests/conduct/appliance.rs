//! One running supervisor with a data directory and a plan of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The program under test.
pub(super) const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");

/// What a test waits for at most; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Appliance {
    folder: TempDir,
    /// The data directory.
    data: PathBuf,
    arguments: Vec<String>,
    /// A command in front of the supervisor's own.
    under: Vec<String>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
    /// The folder is a disk of its own.
    mounted: bool,
}

impl Appliance {
    /// Starts with this plan. `SUPERVISOR` in it stands for the program under test, `DIR` for a folder of the test's own.
    pub(super) fn start(plan: &str) -> Self {
        Self::start_with(plan, &[], &[])
    }

    pub(super) fn start_with(plan: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut appliance = Self::new(plan, arguments, variables);
        appliance.start_again();
        appliance
    }

    /// Nothing runs yet.
    pub(super) fn new(plan: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let appliance = Self {
            data: folder.path().join("data"),
            folder,
            under: Vec::new(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            child: None,
            mounted: false,
        };
        appliance.write_plan(plan);
        appliance
    }

    /// Puts another plan in the place of the one it was started with.
    pub(super) fn write_plan(&self, plan: &str) {
        let plan = plan.replace("SUPERVISOR", SUPERVISOR).replace("DIR", self.folder.path().to_str().unwrap());
        std::fs::write(self.path("plan.toml"), plan).unwrap();
    }

    /// Puts the data directory on a small disk of its own, at `disk`; false without the right to mount one.
    pub(super) fn move_to_small_disk(&mut self, size: &str) -> bool {
        let disk = self.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&disk).output();
        self.mounted = mount.is_ok_and(|output| output.status.success());
        self.data = disk.join("data");
        self.mounted
    }

    /// Starts go through this command, which must replace itself by the supervisor.
    pub(super) fn run_under(&mut self, command: &[&str]) {
        self.under = command.iter().map(|&word| word.to_owned()).collect();
    }

    /// Starts the supervisor; what it says replaces what it said before.
    pub(super) fn start_again(&mut self) {
        let output = File::create(self.path("output")).unwrap();
        let words: Vec<&str> = self.under.iter().map(String::as_str).chain([SUPERVISOR]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .args(["run", "--data-dir"])
            .arg(&self.data)
            .arg("--config")
            .arg(self.path("plan.toml"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL to the supervisor alone, and the next one at once.
    pub(super) fn kill_supervisor_and_start_again(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.take().unwrap().wait().unwrap();
        self.start_again();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().cast_signed())
    }

    pub(super) fn output(&self) -> String {
        std::fs::read_to_string(self.path("output")).unwrap()
    }

    /// Lines of one service on the supervisor's output, without time and name.
    pub(super) fn said(&self, service: &str) -> Vec<String> {
        let output = self.output();
        let mark = format!(" {service} | ");
        output.lines().filter_map(|line| line.split_once(&mark)).map(|(_, text)| text.to_owned()).collect()
    }

    /// Waits until the output contains this.
    #[track_caller]
    pub(super) fn until_said(&self, text: &str) {
        wait_until(|| self.output().contains(text), || format!("{text:?} in:\n{}", self.output()));
    }

    /// Runs one of the operator's commands.
    pub(super) fn command(&self, arguments: &[&str]) -> Output {
        self.bare_command(arguments).output().unwrap()
    }

    /// The same, not yet run.
    pub(super) fn bare_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SUPERVISOR);
        command.env_clear().env("DATA_DIR", &self.data).args(arguments).stdin(Stdio::null());
        command
    }

    /// The same, which must succeed, and its output.
    #[track_caller]
    pub(super) fn done(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", self.output());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, which must fail with exit code 1 and one line.
    #[track_caller]
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}\n{}", self.output());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }

    /// A service's row of `status --json`.
    pub(super) fn service(&self, name: &str) -> serde_json::Value {
        let output = self.command(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap().clone()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end and returns the exit code.
    #[track_caller]
    pub(super) fn exit_code(&mut self) -> i32 {
        let output = self.path("output");
        let child = self.child.as_mut().unwrap();
        let shown = || format!("the end of the supervisor:\n{}", std::fs::read_to_string(&output).unwrap());
        let mut code = None;
        wait_until(
            || {
                code = child.try_wait().unwrap();
                code.is_some()
            },
            shown,
        );
        self.child = None;
        code.unwrap().code().unwrap()
    }

    /// SIGTERM, and the exit code.
    #[track_caller]
    pub(super) fn stop(&mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.exit_code()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            let _ = child.wait();
        }
        if self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(self.path("disk")).status();
        }
    }
}

#[track_caller]
pub(super) fn wait_until(mut condition: impl FnMut() -> bool, what: impl Fn() -> String) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < PATIENCE, "waited in vain for {}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process whose id is in this file runs.
pub(super) fn runs(pid_file: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", text.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
