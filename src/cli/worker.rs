//! `glitchbox worker`: processes what is queued, and does what is due.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::time::sleep;

use super::{block_on, start_logging};
use crate::alert::throttle;
use crate::app::App;
use crate::config::{Config, environment};
use crate::jobs::{BEATS, beat, send_alerts, send_tests, store_events};
use crate::queue::{Consumer, Queue};
use crate::shutdown::{DRAIN_LIMIT, STOP_LIMIT, Shutdown};
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
        let consumer = Consumer::connect(&config, Queue::Ingest, &args.slot)?;
        let requests = Consumer::connect(&config, Queue::Notify, &args.slot)?;
        let app = Arc::new(App::connect(config)?);
        beat::start(&app, BEATS, &shutdown);
        let is_ready = || {
            notify(supervisor.as_deref(), "READY=1");
            tracing::info!(slot = args.slot, "reading the queue");
        };
        let work = async {
            tokio::join!(
                store_events::run(&app, consumer, &shutdown, is_ready),
                send_alerts::run(&app, throttle::POLICY, &shutdown),
                send_tests::run(&app, requests, &shutdown),
            );
        };
        tokio::select! {
            () = work => tracing::info!("stopped"),
            () = out_of_time(&shutdown) => tracing::warn!("stopped with a batch in hand; it stays in the queue"),
        }
        notify(supervisor.as_deref(), "STOPPING=1");
        Ok(ExitCode::SUCCESS)
    })
}

/// Completes when the batch in hand has had all the time it may have.
async fn out_of_time(shutdown: &Shutdown) {
    shutdown.draining().await;
    tokio::select! {
        () = sleep(DRAIN_LIMIT) => {}
        () = async {
            shutdown.stopping().await;
            sleep(STOP_LIMIT).await;
        } => {}
    }
}
