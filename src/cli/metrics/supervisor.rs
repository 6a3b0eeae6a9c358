//! What the supervisor knows of the services, its schedules and its disk: it has a page of its own, which is passed on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::telemetry::exposition::Exposition;

/// How long it has: it reads some files, and asks nobody.
const LIMIT: Duration = Duration::from_millis(500);

/// Most bytes of the answer.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The supervisor's socket for metrics; none when we were started by somebody else.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<PathBuf>,
}

impl Supervisor {
    pub(super) fn new(socket: Option<String>) -> Self {
        Self { socket: socket.map(PathBuf::from) }
    }

    /// Its page, behind a number that says whether it was there in time; nothing where there is no supervisor.
    pub(super) async fn describe(&self) -> Exposition {
        let mut out = Exposition::default();
        let Some(socket) = &self.socket else { return out };
        let page = timeout(LIMIT, ask(socket)).await.ok().and_then(Result::ok);
        out.gauge("glitchbox_supervisor_up", "1 when the supervisor answered.", u8::from(page.is_some()));
        if let Some(page) = page {
            out.append_text(&page);
        }
        out
    }
}

async fn ask(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: supervisor\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.starts_with("HTTP/1.1 200 ") && page.ends_with('\n') => Ok(page.to_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// What is shown when the supervisor answers this; nothing is nothing at all.
    async fn shown(answer: &'static str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request.get(..length).unwrap().starts_with(b"GET /metrics HTTP/1.1\r\n"));
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let text = Supervisor::new(Some(path.display().to_string())).describe().await.into_text();
        server.abort();
        text
    }

    #[tokio::test]
    async fn the_supervisors_page_is_passed_on_if_it_is_whole_and_in_time() {
        let text = shown("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na 1\n").await;
        assert!(text.ends_with("\nglitchbox_supervisor_up 1\na 1\n"), "{text}");
        for answer in ["HTTP/1.1 503 No\r\n\r\na 1\n", "HTTP/1.1 200 OK\r\n\r\na 1", "a 1\n", ""] {
            let text = shown(answer).await;
            assert!(text.ends_with("\nglitchbox_supervisor_up 0\n"), "{answer:?}: {text}");
        }
    }

    #[tokio::test]
    async fn without_a_supervisor_nothing_is_said_of_it() {
        assert_eq!(Supervisor::new(None).describe().await.into_text(), "");
        let gone = Supervisor::new(Some("/nowhere/metrics.sock".to_owned())).describe().await;
        assert!(gone.into_text().ends_with("\nglitchbox_supervisor_up 0\n"));
    }
}
