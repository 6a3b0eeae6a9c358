//! The preparation: the first one-shot of the graph, a child of the same program (`supervisor prepare`).
//!
//! What takes long on a first start (making the cluster) happens here, so that PID 1 keeps reaping and a stop request
//! is heard. What to do comes as JSON on standard input; passwords are on no command line and in no environment.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backup::swap;
use crate::context::Context;
use crate::error::{Fault, exit};
use crate::leftovers;
use crate::postgres::cluster;
use crate::spawn::{LaunchSpec, Program};

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    /// None without the bundled PostgreSQL.
    cluster: Option<cluster::Request>,
}

/// How to start the preparation. It exits with 0 when PostgreSQL and Redis can be started.
///
/// # Errors
/// When our own program cannot be opened.
pub fn launch(context: &Context) -> io::Result<LaunchSpec> {
    let program = Arc::new(OwnedFd::from(File::open("/proc/self/exe")?));
    let argv = vec!["supervisor".into(), "prepare".into()];
    let mut spec = LaunchSpec::new(Program::Fd(program), argv, Arc::clone(&context.data.dir));
    let request = Request { cluster: cluster::Request::new(context) };
    spec.stdin = Some(serde_json::to_vec(&request)?);
    Ok(spec)
}

/// `supervisor prepare`: carries out the request on standard input in the working directory, the data directory.
///
/// # Errors
/// Exit code 15 when not called by the supervisor, 10 when a step fails.
pub fn run() -> Result<(), Fault> {
    let mut request = Vec::new();
    io::stdin().read_to_end(&mut request).map_err(|error| misused(&error.to_string()))?;
    let directory = File::open(".").map_err(|error| misused(&error.to_string()))?;
    carry_out(&request, &directory.into())
}

/// Carries out `request`, the standard input of a [`launch`], in the data directory `directory`.
///
/// # Errors
/// As [`run`].
pub fn carry_out(request: &[u8], directory: &OwnedFd) -> Result<(), Fault> {
    let request: Request = serde_json::from_slice(request).map_err(|error| misused(&error.to_string()))?;
    let failed = |message: String| Fault::new(exit::SERVICE, format!("PostgreSQL cannot be prepared: {message}"));
    leftovers::end(directory).map_err(|error| failed(error.to_string()))?;
    swap::tidy(directory).map_err(|error| failed(format!("removing what a backup left: {error}")))?;
    match request.cluster {
        Some(cluster) => cluster.carry_out(directory).map_err(failed),
        None => Ok(()),
    }
}

fn misused(error: &str) -> Fault {
    Fault::configuration(format!("`supervisor prepare` is for the supervisor itself: {error}."))
}
