//! `glitchbox check`: is the environment sound? The supervisor runs it before anything is written.

use std::process::ExitCode;

use crate::config::Config;

/// Reading the settings is the check: whoever got here has them, and every complaint was made before.
pub(super) fn run(_: &Config) -> ExitCode {
    ExitCode::SUCCESS
}
