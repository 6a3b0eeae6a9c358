//! The operator's end of the control socket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Freeze, Outcome, SOCKET, Status, TaskLine};
use crate::files;
use crate::reload::Answer;
use crate::task::{Task, exit};

/// Why the operator's wish was not fulfilled: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<hyper::Error> for Failure {
    fn from(_: hyper::Error) -> Self {
        Self("The supervisor ended before it answered.".to_owned())
    }
}

/// A connection to a running supervisor.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the supervisor of a data directory, however long its path is.
    ///
    /// # Errors
    /// When nothing runs there, or it is somebody else's.
    pub async fn connect(data_dir: &Path) -> Result<Self, Failure> {
        let stream = open(data_dir).await.map_err(|error| explain(data_dir, &error))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// The state of everything.
    ///
    /// # Errors
    /// When the supervisor ends meanwhile.
    pub async fn status(&mut self) -> Result<Status, Failure> {
        let response = self.send(Method::GET, "/v1/status", Bytes::new()).await?;
        let body = response.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| Failure(text_of(&body)))
    }

    /// Starts, stops or restarts a service and waits until that is done.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn act(&mut self, service: &str, verb: &str) -> Result<String, Failure> {
        let response =
            self.send(Method::POST, &format!("/v1/services/{}/{verb}", plain(service)?), Bytes::new()).await?;
        Self::outcome(response).await
    }

    /// Has nothing done by schedule from now on.
    ///
    /// # Errors
    /// Why that could not be kept.
    pub async fn freeze(&mut self, wish: &Freeze) -> Result<String, Failure> {
        let request = serde_json::to_vec(wish).map_err(|error| Failure(error.to_string()))?;
        Self::outcome(self.send(Method::POST, "/v1/freeze", request.into()).await?).await
    }

    /// Has everything done by schedule again.
    ///
    /// # Errors
    /// Why that could not be kept.
    pub async fn thaw(&mut self) -> Result<String, Failure> {
        Self::outcome(self.send(Method::POST, "/v1/thaw", Bytes::new()).await?).await
    }

    async fn outcome(response: Response<Incoming>) -> Result<String, Failure> {
        let body = response.into_body().collect().await?.to_bytes();
        match serde_json::from_slice::<Outcome>(&body) {
            Ok(outcome) if outcome.ok => Ok(outcome.message),
            Ok(outcome) => Err(Failure(outcome.message)),
            Err(_) => Err(Failure(text_of(&body))),
        }
    }

    /// Has the plan read again, or only looked at, and waits until all of it is done.
    ///
    /// # Errors
    /// When the supervisor ends meanwhile.
    pub async fn reload(&mut self, dry_run: bool) -> Result<Answer, Failure> {
        let response = self.send(Method::POST, &format!("/v1/reload?dry_run={dry_run}"), Bytes::new()).await?;
        let body = response.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| Failure(text_of(&body)))
    }

    /// The last lines of some services or of all, and with `follow` every line from now on, handed to `show` in pieces until
    /// it says `false`.
    ///
    /// # Errors
    /// When there is no such service, or the supervisor ends meanwhile.
    pub async fn logs(
        &mut self,
        services: &[impl AsRef<str>],
        lines: usize,
        follow: bool,
        show: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let mut path = format!("/v1/logs?lines={lines}&follow={follow}");
        for (index, service) in services.iter().enumerate() {
            path.push_str(if index == 0 { "&service=" } else { "," });
            path.push_str(plain(service.as_ref())?);
        }
        self.stream(&path, show).await
    }

    /// The last events, and with `follow` every one from now on: lines of JSON, handed to `show` in pieces until it says
    /// `false`.
    ///
    /// # Errors
    /// When the supervisor ends meanwhile.
    pub async fn events(&mut self, lines: usize, follow: bool, show: impl FnMut(&[u8]) -> bool) -> Result<(), Failure> {
        self.stream(&format!("/v1/events?lines={lines}&follow={follow}"), show).await
    }

    /// Everything in numbers, in the text format of Prometheus.
    ///
    /// # Errors
    /// When the supervisor ends meanwhile.
    pub async fn metrics(&mut self) -> Result<String, Failure> {
        let mut text = Vec::new();
        self.stream("/metrics", |bytes| {
            text.extend_from_slice(bytes);
            true
        })
        .await?;
        Ok(text_of(&text))
    }

    async fn stream(&mut self, path: &str, mut show: impl FnMut(&[u8]) -> bool) -> Result<(), Failure> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let found = response.status().is_success();
        let mut body = response.into_body();
        if !found {
            let body = body.collect().await?.to_bytes();
            return Err(Failure(
                serde_json::from_slice::<Outcome>(&body).map_or_else(|_| text_of(&body), |it| it.message),
            ));
        }
        while let Some(frame) = body.frame().await {
            if frame?.data_ref().is_some_and(|data| !show(data)) {
                break;
            }
        }
        Ok(())
    }

    /// Has the supervisor carry out a task, hands its lines of progress to `show`, and returns its exit code and result.
    /// When another task is running, that is exit code 4 and a sentence in the member `error`.
    ///
    /// # Errors
    /// When the task cannot be started, or the supervisor ends meanwhile.
    pub async fn run_task(
        &mut self,
        task: &Task,
        mut show: impl FnMut(&str),
    ) -> Result<(u8, serde_json::Value), Failure> {
        let request = serde_json::to_vec(task).map_err(|error| Failure(error.to_string()))?;
        let response = self.send(Method::POST, "/v1/tasks", request.into()).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let body = body.collect().await?.to_bytes();
            let message =
                serde_json::from_slice::<Outcome>(&body).map_or_else(|_| text_of(&body), |outcome| outcome.message);
            return if status == StatusCode::CONFLICT {
                Ok((exit::BUSY, serde_json::json!({ "error": message })))
            } else {
                Err(Failure(message))
            };
        }
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                match serde_json::from_slice::<TaskLine>(&line) {
                    Ok(TaskLine::Progress { progress }) => show(&progress),
                    Ok(TaskLine::End(outcome)) => return Ok((outcome.exit, outcome.result)),
                    Err(error) => return Err(Failure(format!("The supervisor's answer is not understood: {error}."))),
                }
            }
        }
        Err(Failure("The supervisor ended before the task did.".to_owned()))
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let request = Request::builder().method(method).uri(path).header("host", "supervisor").body(Full::new(body));
        let request = request.map_err(|error| Failure(error.to_string()))?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// A name that can stand in a path.
fn plain(service: &str) -> Result<&str, Failure> {
    let fits = !service.is_empty() && service.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if fits { Ok(service) } else { Err(Failure(format!("There is no service {service:?}."))) }
}

async fn open(data_dir: &Path) -> io::Result<UnixStream> {
    let run = std::fs::File::open(data_dir.join("run"))?;
    UnixStream::connect(files::proc_path(&run).join(SOCKET)).await
}

fn explain(data_dir: &Path, error: &io::Error) -> Failure {
    let shown = std::path::absolute(data_dir).unwrap_or_else(|_| PathBuf::from(data_dir));
    let shown = shown.display();
    Failure(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!(
                "No appliance is running in the data directory {shown}. Choose another with --data-dir or DATA_DIR."
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("The appliance in {shown} belongs to another user: try again with sudo.")
        }
        _ => format!("The appliance in {shown} cannot be reached: {error}."),
    })
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
