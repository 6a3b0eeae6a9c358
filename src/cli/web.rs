//! `glitchbox web`: takes events, and serves the API and the pages.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;

use super::{block_on, start_logging};
use crate::app::App;
use crate::config::{Config, environment};
use crate::http::status_socket::StatusSocket;
use crate::http::{Traffic, health, listener, server};
use crate::ingest::{self, Edge};
use crate::shutdown::Shutdown;
use crate::telemetry::notify::Supervisor;
use crate::telemetry::watchdog::keep_reporting;

/// No arguments: everything comes from the environment.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Threads of the runtime: the budget is two cores, shared with PostgreSQL and Redis.
const WORKER_THREADS: usize = 2;

/// How long a stop waits for the queue to be done with the spool: the rest is taken up by the next start.
const CLOSE_AT_STOP: Duration = Duration::from_millis(300);

/// ... and a drain, while the next generation serves.
const CLOSE_AT_DRAIN: Duration = Duration::from_secs(3);

pub(super) fn run(_: &Args, config: Config) -> anyhow::Result<ExitCode> {
    start_logging("web", &config);
    let listener = listener::open(config.port).with_context(|| format!("listen on port {}", config.port))?;
    let (supervisor, watchdog) =
        (Supervisor::connect(environment("NOTIFY_SOCKET").as_deref()), environment("WATCHDOG_USEC"));
    block_on(WORKER_THREADS, async move {
        let shutdown = Shutdown::on_signals()?;
        let app = Arc::new(App::connect(config)?);
        let config = Arc::new(app.config.clone());
        let address = listener.local_addr()?;
        let edge = Edge::open(&app).context("open the spool")?;
        edge.send_canaries();
        let router = routes(Arc::clone(&edge)).with_state(Arc::clone(&app));
        let traffic = Arc::new(Traffic::default());
        let status = status_socket(&app, &traffic)?;
        supervisor.notify("READY=1");
        tracing::info!(%address, "taking requests");
        let life = keep_reporting(&supervisor, watchdog.as_deref());
        let (ending, teller) = (shutdown.clone(), supervisor.clone());
        tokio::spawn(async move {
            ending.draining().await;
            tracing::info!(stop = ending.is_stopping(), "no more new connections");
            teller.notify("STOPPING=1");
        });
        // In one task with the loop that takes the connections: as stuck as that.
        tokio::select! {
            served = server::serve(listener, router, config, traffic, shutdown.clone()) => served?,
            never = life => match never {},
        }
        edge.close(if shutdown.is_stopping() { CLOSE_AT_STOP } else { CLOSE_AT_DRAIN }).await;
        if let Some(status) = status {
            status.close().await;
        }
        let totals = ingest::counters::TOTALS.snapshot();
        tracing::info!(
            events = totals.events,
            surplus_events = totals.surplus_events,
            other_items = totals.other_items,
            unknown_items = totals.unknown_items,
            refused = totals.refused,
            "stopped"
        );
        Ok(ExitCode::SUCCESS)
    })
}

/// The private socket, where the supervisor has asked for one: it lasts until the process has nothing more to say.
fn status_socket(app: &Arc<App>, traffic: &Arc<Traffic>) -> anyhow::Result<Option<StatusSocket>> {
    let Some(path) = environment("GLITCHBOX_STATUS_SOCKET") else { return Ok(None) };
    let health = health::router().with_state(Arc::clone(app));
    let socket = StatusSocket::open(Path::new(&path), Arc::clone(traffic), health);
    socket.map(Some).with_context(|| format!("listen on the status socket {path}"))
}

/// Every route of the process.
pub fn routes(edge: Arc<Edge>) -> Router<Arc<App>> {
    health::router()
        .merge(super::metrics::router(Arc::clone(&edge), environment("GLITCHBOX_METRICS_SOCKET")))
        .merge(ingest::router(edge))
        .merge(crate::api::router())
        .merge(crate::web::router())
}
