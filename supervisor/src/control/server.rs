//! The supervisor's end of the control socket.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::body::{Lines, Next, Progress};
use super::{METRICS_SOCKET, Outcome, SOCKET, Status, freeze};
use crate::disk::Room;
use crate::files::{self, Owner};
use crate::log::Log;
use crate::metrics::{self, Facts, Mail};
use crate::plan::{Plan, closest};
use crate::reload::Reloader;
use crate::rest::Rest;
use crate::schedule::{Overview, Timetable};
use crate::state::{Level, ServiceStatus, Verb};
use crate::supervisor::Message;
use crate::task::{Refusal, Task};
use crate::usage::Processes;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Lines shown when the request does not say how many.
const LINES: usize = 50;

/// The type of answers with a JSON document a line.
const NEWS: &str = "application/x-ndjson";

/// Longest body of a request, in bytes.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// A page of metrics that is still being made is waited for so long.
const PAGE_WAIT: Duration = Duration::from_millis(300);

/// What requests are answered from.
#[derive(Debug)]
pub struct Desk {
    /// Shows the plan in force.
    pub plans: watch::Receiver<Arc<Plan>>,
    /// Reads it again.
    pub reloader: Arc<Reloader>,
    /// The appliance's port.
    pub port: u16,
    /// The log.
    pub log: Log,
    /// The way to the loop.
    pub messages: mpsc::UnboundedSender<Message>,
    /// What comes next by schedule.
    pub timetable: Timetable,
    /// Whom each request keeps from resting.
    pub rest: Rest,
}

/// A desk that is open.
#[derive(Debug)]
struct Office {
    desk: Desk,
    since: Instant,
    run: Arc<OwnedFd>,
    /// One page of metrics at a time: on a disk that hangs, threads must not pile up.
    press: Arc<Semaphore>,
}

/// Makes both sockets and answers on them from now on: the operator's, with mode 0600; and the one for metrics, which is
/// the application's (`reader`) as well, and answers nothing else.
///
/// # Errors
/// When the operator's socket cannot be made.
pub fn serve(run: &Arc<OwnedFd>, desk: Desk, reader: Option<Owner>) -> io::Result<()> {
    let operators = listen(run, SOCKET, None)?;
    let office =
        Arc::new(Office { desk, since: Instant::now(), run: Arc::clone(run), press: Arc::new(Semaphore::new(1)) });
    match listen(run, METRICS_SOCKET, reader) {
        Ok(metrics) => drop(tokio::spawn(accept(metrics, Arc::clone(&office), Door::Metrics))),
        Err(error) => {
            let text = format!("run/{METRICS_SOCKET} cannot be made: {error}; /metrics lacks the supervisor's numbers");
            office.desk.log.say(Level::Warn, text);
        }
    }
    tokio::spawn(accept(operators, office, Door::Operators));
    Ok(())
}

/// Who comes in where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Operators,
    Metrics,
}

fn listen(run: &Arc<OwnedFd>, name: &str, owner: Option<Owner>) -> io::Result<UnixListener> {
    let path = files::proc_path(run).join(name);
    // Whatever lies there is a leftover: the data directory's lock is ours.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
    }
    Ok(listener)
}

async fn accept(listener: UnixListener, office: Arc<Office>, door: Door) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: some will come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let office = Arc::clone(&office);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let office = Arc::clone(&office);
                async move { Ok::<_, Infallible>(answer(&office, door, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(office: &Office, door: Door, request: Request<Incoming>) -> Response<Body> {
    let desk = &office.desk;
    desk.rest.stir();
    let path = request.uri().path().to_owned();
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), words.as_slice()) {
        (&Method::GET, ["metrics"]) => show_metrics(office).await,
        _ if door == Door::Metrics => refuse(StatusCode::NOT_FOUND, "Here are only metrics.".to_owned()),
        (&Method::GET, ["v1", "status"]) => status(office).await,
        (&Method::GET, ["v1", "events"]) => events(desk, request.uri().query().unwrap_or("")),
        (&Method::GET, ["v1", "logs"]) => logs(desk, request.uri().query().unwrap_or("")),
        (&Method::POST, ["v1", "freeze"]) => freeze::freeze(desk, request.into_body()).await,
        (&Method::POST, ["v1", "thaw"]) => freeze::thaw(desk).await,
        (&Method::POST, ["v1", "reload"]) => {
            let dry_run = request.uri().query() == Some("dry_run=true");
            json(StatusCode::OK, &desk.reloader.reload(dry_run).await)
        }
        (&Method::POST, ["v1", "tasks"]) => task(desk, request.into_body()).await,
        (&Method::POST, ["v1", "services", name, verb]) => match *verb {
            "start" => act(desk, name, Verb::Start).await,
            "stop" => act(desk, name, Verb::Stop).await,
            "restart" => act(desk, name, Verb::Restart).await,
            _ => refuse(StatusCode::NOT_FOUND, "There is no such request.".to_owned()),
        },
        _ => refuse(StatusCode::NOT_FOUND, "There is no such request.".to_owned()),
    }
}

/// How all services are; `None` when the supervisor is ending.
async fn services(desk: &Desk) -> Option<Vec<ServiceStatus>> {
    let (reply, answer) = oneshot::channel();
    let _ = desk.messages.send(Message::Status(reply));
    answer.await.ok()
}

async fn status(office: &Office) -> Response<Body> {
    let desk = &office.desk;
    let Some(services) = services(desk).await else { return ending() };
    let Overview { schedules, frozen } = desk.timetable.overview();
    let status = Status {
        pid: std::process::id(),
        port: desk.port,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: office.since.elapsed().as_secs(),
        services,
        schedules,
        frozen,
    };
    json(StatusCode::OK, &status)
}

async fn show_metrics(office: &Office) -> Response<Body> {
    let desk = &office.desk;
    let Some(services) = services(desk).await else { return ending() };
    let facts = Facts {
        uptime: office.since.elapsed(),
        services,
        schedules: desk.timetable.overview(),
        counters: Arc::clone(desk.log.counters()),
    };
    let run = Arc::clone(&office.run);
    let page = one_at_a_time(&office.press, move || {
        metrics::page(
            &facts,
            &Processes::look(),
            Room::of(&run).as_ref(),
            &Mail::look(&files::proc_path(&run).join("..")),
        )
    });
    match page.await {
        Some(text) => typed("text/plain; version=0.0.4; charset=utf-8", Full::new(Bytes::from(text)).boxed_unsync()),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, "Another page is being made.".to_owned()),
    }
}

/// Does work off the loop, for it reads from a disk or takes milliseconds. `None` when other work keeps the place for too
/// long: it is kept until that has really ended, even if nobody waits for it any more.
async fn one_at_a_time<T: Send + 'static>(
    press: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let place = timeout(PAGE_WAIT, Arc::clone(press).acquire_owned()).await.ok()?.ok()?;
    let worked = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    worked.await.ok()
}

async fn act(desk: &Desk, name: &str, verb: Verb) -> Response<Body> {
    let service = match find(&desk.plans.borrow(), name) {
        Ok(service) => service,
        Err(message) => return refuse(StatusCode::NOT_FOUND, message),
    };
    let (reply, answer) = oneshot::channel();
    let _ = desk.messages.send(Message::Act { service, verb, reply });
    match answer.await {
        Ok(Ok(message)) => json(StatusCode::OK, &Outcome { ok: true, message }),
        Ok(Err(message)) => refuse(StatusCode::CONFLICT, message),
        Err(_) => ending(),
    }
}

async fn task(desk: &Desk, body: Incoming) -> Response<Body> {
    let Ok(body) = Limited::new(body, LONGEST_BODY).collect().await else {
        return refuse(StatusCode::BAD_REQUEST, "The request cannot be read.".to_owned());
    };
    let task: Task = match serde_json::from_slice(&body.to_bytes()) {
        Ok(task) => task,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("There is no such task: {error}.")),
    };
    let (reply, answer) = oneshot::channel();
    let _ = desk.messages.send(Message::Task { task, reply });
    match answer.await {
        Ok(Ok(news)) => typed(NEWS, Progress { news }.boxed_unsync()),
        Ok(Err(Refusal::Busy(message))) => refuse(StatusCode::CONFLICT, message),
        Ok(Err(Refusal::Failed(message))) => refuse(StatusCode::SERVICE_UNAVAILABLE, message),
        Err(_) => ending(),
    }
}

fn logs(desk: &Desk, query: &str) -> Response<Body> {
    let service = value(query, "service").map(str::to_owned);
    let named = service.as_deref().map_or("supervisor", |names| names).split(',');
    for name in named.filter(|name| *name != "supervisor" && !Task::NAMES.contains(name)) {
        if let Err(message) = find(&desk.plans.borrow(), name) {
            return refuse(StatusCode::NOT_FOUND, message);
        }
    }
    let (lines, follow) = extent(query);
    // Followed first: a line that comes now is shown twice rather than not at all.
    let next = if follow {
        let Some(next) = desk.log.follow(service.clone()) else {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "As many as may be follow the log already.".to_owned());
        };
        Some(Next::Log(next))
    } else {
        None
    };
    let mut text = String::new();
    for line in desk.log.last(service.as_deref(), lines) {
        text.push_str(&line);
        text.push('\n');
    }
    let body = match next {
        None => Full::new(Bytes::from(text)).boxed_unsync(),
        Some(next) => Lines { first: Some(text).filter(|text| !text.is_empty()), next }.boxed_unsync(),
    };
    typed("text/plain; charset=utf-8", body)
}

fn events(desk: &Desk, query: &str) -> Response<Body> {
    let (lines, follow) = extent(query);
    let (last, next) = desk.log.events().read(lines, follow);
    let next = next.map(Next::Events);
    let text: String = last.iter().flat_map(|line| [line, "\n"]).collect();
    let body = match next {
        None => Full::new(Bytes::from(text)).boxed_unsync(),
        Some(next) => Lines { first: Some(text).filter(|text| !text.is_empty()), next }.boxed_unsync(),
    };
    typed(NEWS, body)
}

fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// How many lines to begin with, and whether to go on.
fn extent(query: &str) -> (usize, bool) {
    let lines = value(query, "lines").and_then(|lines| lines.parse().ok()).unwrap_or(LINES);
    (lines, value(query, "follow") == Some("true"))
}

/// The index of a service, or a sentence that helps.
fn find(plan: &Plan, name: &str) -> Result<usize, String> {
    plan.find(name).ok_or_else(|| {
        let known = plan.services.iter().filter(|service| !service.removed);
        let known: Vec<&str> = known.map(|service| service.name.as_str()).collect();
        match closest(name, known.iter().copied()) {
            Some(near) => format!("There is no service \"{name}\"; did you mean \"{near}\"?"),
            None => format!("There is no service \"{name}\"; there are: {}.", known.join(", ")),
        }
    })
}

fn ending() -> Response<Body> {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "The supervisor is ending.".to_owned())
}

pub(super) fn refuse(code: StatusCode, message: String) -> Response<Body> {
    json(code, &Outcome { ok: false, message })
}

pub(super) fn json(code: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut response = typed("application/json", Full::new(Bytes::from(bytes)).boxed_unsync());
    *response.status_mut() = code;
    response
}

fn typed(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_keeps_others_from_piling_up_behind_it() {
        let press = Arc::new(Semaphore::new(1));
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, start) = oneshot::channel();
        let caller = tokio::spawn({
            let press = Arc::clone(&press);
            async move {
                let work = move || {
                    let _ = begun.send(());
                    released.recv().is_err()
                };
                one_at_a_time(&press, work).await
            }
        });
        start.await.unwrap();
        caller.abort();
        assert_eq!(one_at_a_time(&press, || 1).await, None, "nobody waits for it, and yet it keeps its place");
        drop(release);
        drop(press.acquire().await.unwrap());
        assert_eq!(one_at_a_time(&press, || 2).await, Some(2));
    }
}
