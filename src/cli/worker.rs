//! `glitchbox worker`: processes what is queued, and does what is due.

use std::process::ExitCode;

use super::{block_on, start_logging};
use crate::app::App;
use crate::config::{Config, environment};
use crate::shutdown::Shutdown;
use crate::telemetry::notify::notify;

/// Which worker this is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of this worker among those that run side by side; the same after a restart, so that what the
    /// last process left unfinished is taken up.
    #[arg(long, default_value = "1")]
    slot: String,
}

/// Threads of the runtime; the work itself is done on blocking threads.
const WORKER_THREADS: usize = 2;

pub(super) fn run(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    start_logging("worker", &config);
    let supervisor = environment("NOTIFY_SOCKET");
    block_on(WORKER_THREADS, async move {
        let shutdown = Shutdown::on_signals()?;
        let app = App::connect(config)?;
        notify(supervisor.as_deref(), "READY=1");
        tracing::info!(slot = args.slot, "reading the queue");
        shutdown.draining().await;
        notify(supervisor.as_deref(), "STOPPING=1");
        app.db.close().await;
        Ok(ExitCode::SUCCESS)
    })
}
