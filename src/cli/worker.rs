//! `glitchbox worker`: processes what is queued, and does what is due.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{block_on, start_logging};
use crate::alert::throttle;
use crate::app::App;
use crate::config::{Config, environment};
use crate::jobs::store_events::{self, Ended};
use crate::jobs::{BEATS, KINDS, beat, runner, send_alerts};
use crate::queue::{Queue, Seat};
use crate::shutdown::{DRAIN_LIMIT, STOP_LIMIT, Shutdown};
use crate::telemetry::notify::Supervisor;
use crate::telemetry::watchdog::keep_reporting;

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

/// Jobs of queue `notify` at a time: a recipient that hangs keeps nobody else waiting.
const NOTIFY_CONCURRENCY: usize = 4;

/// Jobs of queue `maintenance` at a time: they have time, and the machine has better to do.
const MAINTENANCE_CONCURRENCY: usize = 1;

/// How long after a start entries that have ended the worker by themselves are not tried: longer than it takes the
/// supervisor to call the worker healthy, which would give it up after so many deaths in a row.
const REST: Duration = Duration::from_secs(35);

/// How long the end may take to hand back what is in hand.
const HAND_BACK_LIMIT: Duration = Duration::from_millis(300);

pub(super) fn run(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    start_logging("worker", &config);
    let (supervisor, watchdog) =
        (Supervisor::connect(environment("NOTIFY_SOCKET").as_deref()), environment("WATCHDOG_USEC"));
    block_on(WORKER_THREADS, async move {
        let shutdown = Shutdown::on_signals()?;
        let seat = Seat::connect(&config, &args.slot, &Queue::ALL, REST)?;
        let consumer = |queue| seat.consumer(queue);
        let (items, notices, upkeep) =
            (consumer(Queue::Ingest)?, consumer(Queue::Notify)?, consumer(Queue::Maintenance)?);
        let app = Arc::new(App::connect(config)?);
        beat::start(&app, BEATS, &shutdown);
        let is_ready = || {
            supervisor.notify("READY=1");
            tracing::info!(slot = args.slot, "reading the queue");
        };
        let store = async {
            let ended = store_events::run(&app, items, &shutdown, is_ready).await;
            if ended == Ended::Hung {
                shutdown.stop();
            }
            ended
        };
        let work = async {
            tokio::join!(
                store,
                send_alerts::run(&app, throttle::POLICY, &shutdown),
                runner::run(&app, KINDS, notices, NOTIFY_CONCURRENCY, &shutdown),
                runner::run(&app, KINDS, upkeep, MAINTENANCE_CONCURRENCY, &shutdown),
            )
        };
        // In one task with the loop that reads the queue: as stuck as that.
        let life = keep_reporting(&supervisor, watchdog.as_deref());
        let ended = tokio::select! {
            never = life => match never {},
            (ended, ..) = work => ended,
            () = out_of_time(&shutdown) => {
                tracing::warn!("stopped with work in hand; it goes back to the queue");
                Ended::InOrder
            }
        };
        // What is in hand at the end is not to blame for it, and is there for whichever worker comes first.
        if !matches!(timeout(HAND_BACK_LIMIT, seat.hand_back()).await, Ok(Ok(()))) {
            tracing::warn!("what is left could not be handed back; it is taken up by the next start");
        }
        tracing::info!("stopped");
        supervisor.notify("STOPPING=1");
        Ok(if ended == Ended::Hung { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
