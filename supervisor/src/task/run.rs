//! The child's side: `supervisor task`.

use std::io::{self, Read, Write};

use super::{Task, TaskOutcome, TaskRequest};
use crate::backup;
use crate::error::{Fault, exit};
use crate::report;

/// Carries out the request on standard input in the working directory, the data directory, and puts the result on
/// standard output. Returns the exit code.
///
/// # Errors
/// Exit code 15 when not called by the supervisor, 10 when the result cannot be handed over.
pub fn run() -> Result<u8, Fault> {
    let mut request = Vec::new();
    io::stdin().read_to_end(&mut request).map_err(|error| misused(&error.to_string()))?;
    let request = serde_json::from_slice(&request).map_err(|error| misused(&error.to_string()))?;
    let outcome = carry_out(&request);
    let lost =
        |error: io::Error| Fault::new(exit::SERVICE, format!("The task's result cannot be handed over: {error}."));
    let mut result = outcome.result.to_string();
    result.push('\n');
    io::stdout().write_all(result.as_bytes()).map_err(lost)?;
    Ok(outcome.exit)
}

fn carry_out(request: &TaskRequest) -> TaskOutcome {
    match &request.task {
        Task::ScheduledRestart { .. } => report::restart(request),
        Task::BackupCreate { to } => backup::create::run(&request.place, to.as_deref()),
        Task::BackupVerify { file } => backup::verify::run(&request.place, file),
        Task::BackupVerifyNewest => backup::verify::run_newest(&request.place),
        Task::BackupRestore { file, dry_run } => backup::restore::run(&request.place, file, *dry_run),
        Task::BackupRecover => backup::restore::recover(&request.place),
        Task::ReportSkipped { scheduled_for, reason } => report::skipped(&request.place, *scheduled_for, reason),
        Task::ReportResend { id, channel } => report::resend(&request.place, id.as_deref(), *channel),
        Task::ReportTest { channel } => report::trial(&request.place, *channel),
        Task::Deliver => report::deliver(&request.place),
    }
}

fn misused(error: &str) -> Fault {
    Fault::configuration(format!("`supervisor task` is for the supervisor itself: {error}."))
}
