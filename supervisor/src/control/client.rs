//! The operator's end of the control socket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Outcome, SOCKET, Status};
use crate::files;

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
    sender: SendRequest<Empty<Bytes>>,
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
        let response = self.send(Method::GET, "/v1/status").await?;
        let body = response.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| Failure(text_of(&body)))
    }

    /// Starts, stops or restarts a service and waits until that is done.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn act(&mut self, service: &str, verb: &str) -> Result<String, Failure> {
        let response = self.send(Method::POST, &format!("/v1/services/{}/{verb}", plain(service)?)).await?;
        let body = response.into_body().collect().await?.to_bytes();
        match serde_json::from_slice::<Outcome>(&body) {
            Ok(outcome) if outcome.ok => Ok(outcome.message),
            Ok(outcome) => Err(Failure(outcome.message)),
            Err(_) => Err(Failure(text_of(&body))),
        }
    }

    /// The last lines, and with `follow` every line from now on, handed to `show` in pieces until it says `false`.
    ///
    /// # Errors
    /// When there is no such service, or the supervisor ends meanwhile.
    pub async fn logs(
        &mut self,
        service: Option<&str>,
        lines: usize,
        follow: bool,
        mut show: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let mut path = format!("/v1/logs?lines={lines}&follow={follow}");
        if let Some(service) = service {
            path.push_str("&service=");
            path.push_str(plain(service)?);
        }
        let response = self.send(Method::GET, &path).await?;
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

    async fn send(&mut self, method: Method, path: &str) -> Result<Response<Incoming>, Failure> {
        let request = Request::builder().method(method).uri(path).header("host", "supervisor").body(Empty::new());
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
