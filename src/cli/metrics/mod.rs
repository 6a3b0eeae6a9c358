//! `/metrics`: the numbers of one web process and of what stands behind it, for Prometheus.
//!
//! Each part of the program keeps its own numbers; here they are put together. Whatever needs a server that is away is
//! left out, and `glitchbox_database_up`, `glitchbox_ledger_up`, `glitchbox_redis_up` or `glitchbox_supervisor_up` is 0.

mod ledger;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use chrono::Utc;
use tokio::time::timeout;

use self::ledger::Growth;
use self::supervisor::Supervisor;
use crate::app::App;
use crate::http::{ClientInfo, Traffic, metrics_access};
use crate::ingest::{Edge, SpoolNumbers, counters};
use crate::queue::Overview;
use crate::store::pool;
use crate::telemetry::exposition::{CONTENT_TYPE, Exposition, MetricKind};
use crate::telemetry::process;

/// How long a server has to answer: the whole has to be there within a second.
const LIMIT: Duration = Duration::from_millis(800);

/// `/metrics`, with and without its last slash. `supervisor` is the socket on which the supervisor tells its numbers.
pub(super) fn router(edge: Arc<Edge>, supervisor: Option<String>) -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(show))
        .route("/metrics/", get(show))
        .layer(Extension(Arc::new(Growth::default())))
        .layer(Extension(edge))
        .layer(Extension(Arc::new(Supervisor::new(supervisor))))
}

async fn show(
    State(app): State<Arc<App>>,
    Extension(growth): Extension<Arc<Growth>>,
    Extension(edge): Extension<Arc<Edge>>,
    Extension(traffic): Extension<Arc<Traffic>>,
    Extension(supervisor): Extension<Arc<Supervisor>>,
    client: ClientInfo,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = metrics_access::check(&app.config, client.peer, &headers) {
        return refusal.into_response();
    }
    let mut out = Exposition::default();
    let mut build = out.metric("glitchbox_build_info", MetricKind::Gauge, "Always 1; the version of the program.");
    build.value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    items(&mut out);
    spool(&edge.spool(), &mut out);
    requests(&traffic, &mut out);
    let (queues, ledger, supervisor) = tokio::join!(queues(&app), database(&app, &growth), supervisor.describe());
    out.append(&queues);
    out.append(&ledger);
    process::describe(&mut out);
    out.append(&supervisor);
    ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], out.into_text()).into_response()
}

/// What passed the edge.
fn items(out: &mut Exposition) {
    let totals = counters::TOTALS.snapshot();
    let mut items =
        out.metric("glitchbox_ingest_items_total", MetricKind::Counter, "Items that SDKs sent, by what they are.");
    for (kind, count) in [
        ("event", totals.events),
        ("surplus_event", totals.surplus_events),
        ("other", totals.other_items),
        ("unknown", totals.unknown_items),
    ] {
        items.value(&[("kind", kind)], count);
    }
    out.counter(
        "glitchbox_ingest_refused_requests_total",
        "Requests of SDKs that were answered with an error.",
        totals.refused,
    );
}

/// What was accepted and is not stored yet.
fn spool(spool: &SpoolNumbers, out: &mut Exposition) {
    let state = spool.state;
    out.gauge(
        "glitchbox_spool_segments",
        "Files of this process with accepted items that are not all stored.",
        state.segments,
    );
    out.gauge("glitchbox_spool_bytes", "Size of these files.", state.bytes);
    out.gauge("glitchbox_spool_unshipped_bytes", "Bytes of them that are not in the queue yet.", state.unshipped_bytes);
    let waiting = Duration::from_millis(state.waiting_ms).as_secs_f64();
    out.gauge("glitchbox_spool_waiting_seconds", "How long the oldest of these has waited.", waiting);
    out.counter("glitchbox_spool_damaged_total", "Stretches of the spool that could not be read.", spool.damaged);
    out.gauge("glitchbox_spool_full", "1 while nothing more is taken in for want of room.", u8::from(spool.is_full));
}

/// What passed the listener.
fn requests(traffic: &Traffic, out: &mut Exposition) {
    let counts = traffic.counts();
    out.counter("glitchbox_http_requests_total", "Requests answered, whatever the answer.", counts.served);
    out.counter("glitchbox_http_failures_total", "Answers of 500 and above, and requests broken off.", counts.failed);
    out.gauge("glitchbox_http_requests_in_flight", "Requests that are not answered in full.", counts.in_flight);
}

/// How the queues are.
async fn queues(app: &App) -> Exposition {
    let mut out = Exposition::default();
    let all = timeout(LIMIT, app.queue.overview()).await.ok().and_then(Result::ok);
    out.gauge("glitchbox_redis_up", "1 when Redis answered.", u8::from(all.is_some()));
    let Some(all) = all else { return out };
    let mut metric = |name, help, number: fn(&Overview) -> u64| {
        let mut metric = out.metric(name, MetricKind::Gauge, help);
        for one in &all {
            metric.value(&[("queue", one.queue.name())], number(one));
        }
    };
    metric("glitchbox_queue_length", "Entries that are not settled, those in hand included.", |one| one.length);
    metric("glitchbox_queue_pending", "Entries in the hands of workers.", |one| one.pending);
    metric("glitchbox_queue_delayed", "Work whose time has not come.", |one| one.delayed);
    metric("glitchbox_queue_dead_letters", "Entries that can never be done.", |one| one.dead);
    metric("glitchbox_queue_paused", "1 while nobody reads the queue, by a person's order.", |one| one.paused.into());
    metric("glitchbox_queue_consumers", "Names under which workers read the queue.", |one| one.consumers);
    let help = "Age of the oldest entry that is not settled; 0 when there is none.";
    let mut metric = out.metric("glitchbox_queue_oldest_age_seconds", MetricKind::Gauge, help);
    for one in &all {
        let age = Duration::from_millis(one.oldest_ms.unwrap_or_default());
        metric.value(&[("queue", one.queue.name())], age.as_secs_f64());
    }
    out
}

/// What PostgreSQL knows. It can be well while the ledger is too slow to read.
async fn database(app: &App, growth: &Growth) -> Exposition {
    let mut known = Exposition::default();
    let ledger = timeout(LIMIT, growth.describe(&app.db, Utc::now(), &mut known));
    let (is_up, ledger) = tokio::join!(timeout(LIMIT, pool::answers(&app.db)), ledger);
    let (is_up, is_read) = (matches!(is_up, Ok(Ok(()))), matches!(ledger, Ok(Ok(()))));
    let mut out = Exposition::default();
    out.gauge("glitchbox_database_up", "1 when PostgreSQL answered.", u8::from(is_up));
    out.gauge("glitchbox_ledger_up", "1 when the ledger could be read in time.", u8::from(is_read));
    if is_read {
        out.append(&known);
    }
    out
}
