//! Replaces services by new generations of them, and counts what happens to requests meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::model::{Action, Requests};
use super::restart::{CONTROL_LIMIT, say};
use super::text::action_line;
use super::web::{self, Counts};
use super::{checks, facts};
use crate::control::Client;
use crate::state::ServiceStatus;

/// A new generation that is not ready by then never will be: the supervisor itself gives up before.
const READY_WITHIN: Duration = Duration::from_secs(70);

/// The supervisor gives an old generation 35 s and then stops it.
const DRAINED_WITHIN: Duration = Duration::from_secs(40);

const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Answers of a generation's private socket come at once.
const COUNTS_LIMIT: Duration = Duration::from_secs(2);

/// What has been done.
#[derive(Debug, Default)]
pub(super) struct Recycled {
    pub(super) actions: Vec<Action>,
    pub(super) requests: Option<Requests>,
    pub(super) warnings: Vec<String>,
}

/// The old generation of a service on its way out.
struct Old {
    name: String,
    generation: u64,
    pid: Option<i32>,
    /// When the new one served.
    since: Instant,
    traffic: Option<Traffic>,
}

/// What the old generation of web counts.
struct Traffic {
    /// At the order.
    first: Counts,
    /// When the new one served.
    drain: Counts,
    /// When its last request was over.
    last: JoinHandle<(Result<Counts, String>, Instant)>,
}

/// What became of an old generation.
struct SeenOff {
    action: Action,
    requests: Option<Requests>,
    warnings: Vec<String>,
}

/// Replaces each of `names`, one after the other, and waits for the old generations to end. One that does not serve by
/// `deadline` has failed.
///
/// # Errors
/// When the supervisor does not answer.
pub(super) async fn recycle(names: &[&str], deadline: Instant) -> Result<Recycled, String> {
    let mut recycled = Recycled::default();
    let mut leaving = Vec::new();
    for name in names {
        say(&format!("restarting {name}"));
        let (action, old) = replace(name, deadline).await?;
        say(&action_line(&action));
        let stays = !action.ok;
        recycled.actions.push(action);
        leaving.push(old);
        // With web as it was, the worker had better stay as it is too.
        if stays {
            break;
        }
    }
    // All at once: how long one takes is not to count for another.
    let actions = std::mem::take(&mut recycled.actions);
    let ends: Vec<_> =
        leaving.into_iter().zip(actions).map(|(old, action)| tokio::spawn(see_off(old, action))).collect();
    for end in ends {
        let end = end.await.map_err(|error| error.to_string())??;
        recycled.actions.push(end.action);
        recycled.requests = recycled.requests.or(end.requests);
        recycled.warnings.extend(end.warnings);
    }
    Ok(recycled)
}

/// Orders a new generation and waits until it serves.
async fn replace(name: &str, deadline: Instant) -> Result<(Action, Option<Old>), String> {
    let before = row(name).await?;
    let (pid, generation) = (before.pid, before.generation);
    let mut action =
        Action { service: name.to_owned(), old_pid: pid, old_rss: pid.and_then(facts::rss), ..Action::default() };
    let first = if name == "web" { counts(generation).await } else { None };
    // Asked before the order, so that it is there to be answered.
    let last = first.map(|_| {
        tokio::spawn(async move {
            let last = web::last_counts(generation).await;
            (last, Instant::now())
        })
    });
    let began = Instant::now();
    let ordered = async { Client::connect(Path::new(".")).await?.act(name, "restart").await };
    let within = READY_WITHIN.min(deadline.saturating_duration_since(began));
    let answer = timeout(within, ordered).await;
    action.ready_ms = millis(began.elapsed());
    let since = Instant::now();
    match answer {
        Ok(Ok(message)) => (action.ok, action.message) = (true, message),
        Ok(Err(failure)) => action.message = failure.0,
        Err(_) => action.message = format!("not ready within {} s", within.as_secs()),
    }
    action.new_pid = row(name).await?.pid;
    if !action.ok {
        if let Some(last) = last {
            last.abort();
        }
        return Ok((action, None));
    }
    let mut traffic = None;
    if let (Some(first), Some(last)) = (first, last) {
        let drain = counts(generation).await;
        action.inflight_at_drain = drain.map(|counts| counts.in_flight);
        traffic = Some(Traffic { first, drain: drain.unwrap_or(first), last });
    }
    let old = Old { name: name.to_owned(), generation, pid, since, traffic };
    Ok((action, Some(old)))
}

/// Waits for the end of an old generation and takes down what it counted.
async fn see_off(old: Option<Old>, action: Action) -> Result<SeenOff, String> {
    let mut seen = SeenOff { action, requests: None, warnings: Vec::new() };
    let Some(old) = old else { return Ok(seen) };
    let action = &mut seen.action;
    let deadline = old.since + DRAINED_WITHIN;
    if let Some(traffic) = old.traffic {
        let left = deadline.saturating_duration_since(Instant::now());
        let last = if let Ok(Ok((Ok(last), at))) = timeout(left, traffic.last).await {
            action.drain_ms = Some(millis(at.saturating_duration_since(old.since)));
            last
        } else {
            let (generation, name) = (old.generation, &old.name);
            seen.warnings.push(format!("generation {generation} of {name} ended without telling its last numbers"));
            // Whatever it had in hand then may not have been answered.
            Counts { failed: traffic.drain.failed + traffic.drain.in_flight, ..traffic.drain }
        };
        let new = match row(&old.name).await {
            Ok(row) => counts(row.generation).await.unwrap_or_default(),
            Err(_) => Counts::default(),
        };
        seen.requests = Some(Requests {
            served: last.served.saturating_sub(traffic.first.served) + new.served,
            failed: last.failed.saturating_sub(traffic.first.failed) + new.failed,
            max_latency_ms: traffic.drain.max_latency_ms.max(last.max_latency_ms).max(new.max_latency_ms),
        });
    }
    while old.pid.is_some_and(facts::is_alive) && Instant::now() < deadline {
        if let Some(leaving) = row(&old.name).await?.draining.iter().find(|it| it.generation == old.generation) {
            action.killed |= leaving.overdue;
        }
        sleep(LOOK_PAUSE).await;
    }
    if old.pid.is_some_and(facts::is_alive) {
        action.killed = true;
        action.drain_ms = None;
    } else if action.drain_ms.is_none() {
        action.drain_ms = Some(millis(old.since.elapsed()));
    }
    action.new_rss = action.new_pid.and_then(facts::rss);
    Ok(seen)
}

async fn row(name: &str) -> Result<ServiceStatus, String> {
    let status = async { Client::connect(Path::new(".")).await?.status().await };
    let silent = |_| "the supervisor does not answer".to_owned();
    let status = timeout(CONTROL_LIMIT, status).await.map_err(silent)?.map_err(|failure| failure.0)?;
    checks::find(&status.services, name).cloned().ok_or_else(|| format!("there is no service {name}"))
}

async fn counts(generation: u64) -> Option<Counts> {
    timeout(COUNTS_LIMIT, web::counts(generation)).await.ok()?.ok()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
