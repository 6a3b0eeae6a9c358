//! What there is to say about a program before it is started.

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::limits::Confinement;

/// What to execute.
#[derive(Debug, Clone)]
pub enum Program {
    /// An absolute path.
    Path(PathBuf),
    /// An open executable. It is run through its descriptor, so that a parent folder closed to the service's user
    /// does not matter. Not for scripts: their interpreter could not open them again.
    Fd(Arc<OwnedFd>),
}

/// The user a service runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups (may be empty).
    pub groups: Vec<u32>,
}

/// Everything there is to say about starting one process.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The program.
    pub program: Program,
    /// The arguments, `argv[0]` included.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, entered before privileges are dropped.
    pub cwd: Arc<OwnedFd>,
    /// Who the process becomes; `None` stays who we are.
    pub credentials: Option<Credentials>,
    /// Descriptors to hand on, each with its number in the child. All others are closed by `exec`.
    pub inherit: Vec<(Arc<OwnedFd>, RawFd)>,
    /// Bytes for the child's standard input (at most 64 KiB), which ends after them; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// File mode mask of the child.
    pub umask: u32,
    /// Sent by the kernel to the child when the supervisor itself is killed, so that nothing is left running alone.
    pub death_signal: Option<Signal>,
    /// What it may use and do.
    pub confinement: Confinement,
    /// The number by which its processes are known (`reap`); `None` leaves our own.
    pub tag: Option<u64>,
    /// The open list of a control group it joins.
    pub group: Option<Arc<OwnedFd>>,
}

impl LaunchSpec {
    /// A launch with a bare environment, our own user, `/dev/null` as standard input and umask 077.
    pub fn new(program: Program, argv: Vec<OsString>, cwd: Arc<OwnedFd>) -> Self {
        Self {
            program,
            argv,
            env: Vec::new(),
            cwd,
            credentials: None,
            inherit: Vec::new(),
            stdin: None,
            umask: 0o077,
            death_signal: Some(Signal::SIGTERM),
            confinement: Confinement::default(),
            tag: None,
            group: None,
        }
    }

    /// Sets an environment variable, replacing one of the same name.
    pub fn set_env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
    }
}
