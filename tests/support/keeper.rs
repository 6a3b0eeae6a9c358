//! A child process that cannot outlive the tests.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A server in its own temporary folder; both go when this is dropped or the test process dies.
pub(crate) struct Kept {
    shell: Child,
    stdin: Option<ChildStdin>,
    dir: PathBuf,
}

/// A new folder under the system's temporary one: short enough for a socket's path, open to the
/// user the server runs as.
pub(crate) fn new_dir(prefix: &str) -> PathBuf {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir().unwrap().keep();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

impl Kept {
    /// Runs `command`; `signal` (`INT`, `TERM`, ...) ends it. `dir` is removed after it.
    pub(crate) fn spawn(dir: PathBuf, signal: &str, command: &[&str]) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("keeper.sh"), "keeper"])
            .arg(&dir)
            .arg(signal)
            .args(command)
            .stdin(Stdio::piped())
            // The shell would announce each child it has killed.
            .stderr(Stdio::null())
            // Ctrl-C reaches the tests; the keeper then sees its standard input end.
            .process_group(0)
            .spawn()
            .unwrap();
        let stdin = shell.stdin.take();
        Self { shell, stdin, dir }
    }

    /// The folder given to `spawn`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Waits until `ready` holds; panics with the server's log after 60 seconds.
    pub(crate) fn wait_until(&self, what: &str, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !ready() {
            assert!(Instant::now() < deadline, "{what} did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.shell.wait());
    }
}

/// True when the tests run as root, whom PostgreSQL refuses to serve.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}
