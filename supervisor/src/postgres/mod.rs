//! The bundled PostgreSQL: finding it, starting it, asking whether it is ready.
//!
//! It runs on an inherited descriptor of its data directory (`-D /proc/self/fd/3`) and puts its socket into `../run`.
//! So neither parents closed to its user nor a long path are in its way.

pub mod client;
pub mod cluster;
mod config;
mod find;
mod probe;
pub mod scratch;
mod session;
pub mod template;
mod url;

use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;

pub use find::{Server, find};
pub use probe::probe;
pub(crate) use session::run;

use crate::context::Context;
use crate::files;
use crate::limits;
use crate::spawn::{Credentials, LaunchSpec, Program};

/// The database of the application.
pub const DATABASE: &str = "glitchbox";
/// The number of the data directory's descriptor in every PostgreSQL program.
const DATA_FD: RawFd = 3;

/// How to start the server. `None` when another server is used (`DATABASE_URL`).
///
/// # Errors
/// When the cluster's folder cannot be opened; the preparation makes it.
pub fn launch(context: &Context) -> io::Result<Option<LaunchSpec>> {
    let Some(server) = &context.postgres else { return Ok(None) };
    let data = Arc::new(files::open_folder(&context.data.dir, "postgres")?);
    let mut spec = command(&server.bin, "postgres", &[], data, context.users.postgres.clone())?;
    // Fast shutdown: SIGTERM would wait for every client to leave.
    spec.death_signal = Some(Signal::SIGINT);
    // Only the first process is spared when memory runs out: without it there is no database, a backend can be had again.
    spec.set_env("PG_OOM_ADJUST_FILE", "/proc/self/oom_score_adj");
    spec.set_env("PG_OOM_ADJUST_VALUE", limits::own_oom_score().to_string());
    Ok(Some(spec))
}

/// One of PostgreSQL's programs, working on the data directory `data`.
fn command(
    bin: &Path,
    program: &str,
    arguments: &[&str],
    data: Arc<OwnedFd>,
    credentials: Option<Credentials>,
) -> io::Result<LaunchSpec> {
    let path: PathBuf = bin.join(program);
    let mut argv: Vec<OsString> = vec![path.clone().into()];
    // `--single` has to be the first argument.
    argv.extend(arguments.iter().map(OsString::from));
    argv.extend(["-D".into(), format!("/proc/self/fd/{DATA_FD}").into()]);
    // Not the data directory: finding itself, PostgreSQL changes away and back by name, which a closed parent forbids.
    let cwd = Arc::new(OwnedFd::from(std::fs::File::open("/")?));
    let mut spec = LaunchSpec::new(Program::Path(path), argv, cwd);
    spec.set_env("PATH", crate::context::SYSTEM_PATH);
    spec.set_env("LC_ALL", "C.UTF-8");
    spec.set_env("TZ", "UTC");
    spec.inherit = vec![(data, DATA_FD)];
    spec.credentials = credentials;
    Ok(spec)
}
