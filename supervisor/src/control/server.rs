//! The supervisor's end of the control socket.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::{Outcome, SOCKET, Status, TaskLine, freeze};
use crate::files;
use crate::log::Log;
use crate::plan::{Plan, closest};
use crate::rest::Rest;
use crate::schedule::{Overview, Timetable};
use crate::state::Verb;
use crate::supervisor::Message;
use crate::task::{News, Refusal, Task};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Lines shown when the request does not say how many.
const LINES: usize = 50;

/// Longest body of a request, in bytes.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// What requests are answered from.
#[derive(Debug)]
pub struct Desk {
    /// The services there are.
    pub plan: Arc<Plan>,
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

/// Makes the socket, with mode 0600, and answers on it from now on.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(run: impl AsFd, desk: Desk) -> io::Result<()> {
    let path = files::proc_path(run).join(SOCKET);
    // Whatever lies there is a leftover: the data directory's lock is ours.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    tokio::spawn(accept(listener, Arc::new(desk)));
    Ok(())
}

async fn accept(listener: UnixListener, desk: Arc<Desk>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: some will come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let desk = Arc::clone(&desk);
                async move { Ok::<_, Infallible>(answer(&desk, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(desk: &Desk, request: Request<Incoming>) -> Response<Body> {
    desk.rest.stir();
    let path = request.uri().path().to_owned();
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), words.as_slice()) {
        (&Method::GET, ["v1", "status"]) => status(desk).await,
        (&Method::GET, ["v1", "logs"]) => logs(desk, request.uri().query().unwrap_or("")),
        (&Method::POST, ["v1", "freeze"]) => freeze::freeze(desk, request.into_body()).await,
        (&Method::POST, ["v1", "thaw"]) => freeze::thaw(desk).await,
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

async fn status(desk: &Desk) -> Response<Body> {
    let (reply, answer) = oneshot::channel();
    let _ = desk.messages.send(Message::Status(reply));
    match answer.await {
        Ok(services) => {
            let Overview { schedules, frozen } = desk.timetable.overview();
            json(StatusCode::OK, &Status { pid: std::process::id(), port: desk.port, services, schedules, frozen })
        }
        Err(_) => ending(),
    }
}

async fn act(desk: &Desk, name: &str, verb: Verb) -> Response<Body> {
    let service = match find(&desk.plan, name) {
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
        Ok(Ok(news)) => {
            let mut response = Response::new(Progress { news }.boxed_unsync());
            response
                .headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/x-ndjson"));
            response
        }
        Ok(Err(Refusal::Busy(message))) => refuse(StatusCode::CONFLICT, message),
        Ok(Err(Refusal::Failed(message))) => refuse(StatusCode::SERVICE_UNAVAILABLE, message),
        Err(_) => ending(),
    }
}

fn logs(desk: &Desk, query: &str) -> Response<Body> {
    let value = |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    let service = value("service").map(|(_, service)| service.to_owned());
    if let Some(name) = service.as_deref().filter(|name| *name != "supervisor" && !Task::NAMES.contains(name))
        && let Err(message) = find(&desk.plan, name)
    {
        return refuse(StatusCode::NOT_FOUND, message);
    }
    let lines = value("lines").and_then(|(_, lines)| lines.parse().ok()).unwrap_or(LINES);
    let follow = value("follow").is_some_and(|(_, follow)| follow == "true");
    // Followed first: a line that comes now is shown twice rather than not at all.
    let next = follow.then(|| desk.log.follow(service.clone()));
    let mut text = String::new();
    for line in desk.log.last(service.as_deref(), lines) {
        text.push_str(&line);
        text.push('\n');
    }
    let body = match next {
        None => Full::new(Bytes::from(text)).boxed_unsync(),
        Some(next) => Lines { first: Some(text).filter(|text| !text.is_empty()), next }.boxed_unsync(),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The news of a task as they come. It goes on when the reader has gone.
struct Progress {
    news: mpsc::Receiver<News>,
}

impl hyper::body::Body for Progress {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.news.poll_recv(context).map(|news| {
            let line = match news? {
                News::Progress(progress) => TaskLine::Progress { progress },
                News::End(outcome) => TaskLine::End(outcome),
            };
            let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
            bytes.push(b'\n');
            Some(Ok(Frame::data(bytes.into())))
        })
    }
}

/// Lines as they come. When the reader goes this is dropped, and with it its end of the log.
struct Lines {
    first: Option<String>,
    next: mpsc::Receiver<Arc<str>>,
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first.into()))));
        }
        let line = self.next.poll_recv(context);
        line.map(|line| Some(Ok(Frame::data(format!("{}\n", line?).into()))))
    }
}

/// The index of a service, or a sentence that helps.
fn find(plan: &Plan, name: &str) -> Result<usize, String> {
    plan.find(name).ok_or_else(|| {
        let known: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
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
    let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed_unsync());
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
