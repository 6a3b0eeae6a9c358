//! Asks a bundled server whether it is ready: eagerly while it starts, seldom once it is. Asks a role that listens once,
//! before it is trusted with what an older generation serves. Checks what the user says how to check ([`Checker`]).

mod check;
mod program;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

pub use check::{Checker, Complaint, Way};
pub use program::{Children, Program};

use crate::metrics::ServiceCounters;
use crate::state::{Event, Id};
use crate::supervisor::Message;
use crate::{postgres, redis};

/// First and longest pause between two questions to a server that is starting.
const EAGER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// A server that says nothing for so long is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of an answer.
const LONGEST: u64 = 64 * 1024;

/// Whom to ask.
#[derive(Debug, Clone)]
pub enum Target {
    /// PostgreSQL behind the socket in `run/`.
    Postgres,
    /// Redis behind its socket, with its password.
    Redis(String),
}

/// Asks until stopped, and reports readiness once and every change of health after it. `counters` hear of every probe of a
/// service that is ready.
pub async fn watch(
    id: Id,
    target: Target,
    run: Arc<OwnedFd>,
    every: Duration,
    to: mpsc::UnboundedSender<Message>,
    counters: Arc<ServiceCounters>,
) {
    let mut pause = EAGER.0;
    while ask(&target, &run).await.is_err() {
        sleep(pause).await;
        pause = (pause * 3 / 2).min(EAGER.1);
    }
    let mut told = None;
    if to.send(Message::Event(Event::Ready { id })).is_err() {
        return;
    }
    loop {
        sleep(every).await;
        let since = Instant::now();
        let fault = ask(&target, &run).await.err();
        counters.probe(since.elapsed(), fault.is_none());
        if fault != told {
            told.clone_from(&fault);
            if to.send(Message::Event(Event::Health { id, fault })).is_err() {
                return;
            }
        }
    }
}

/// Asks one run over its private socket whether it serves.
///
/// # Errors
/// What is wrong, for a person.
pub async fn ask_health(socket: &Path) -> Result<(), String> {
    let answer = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"GET /_health/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => String::from_utf8_lossy(&answer).into_owned(),
        Ok(Err(error)) => return Err(format!("its status socket cannot be asked: {error}")),
        Err(_) => return Err(format!("it does not answer within {} s", PATIENCE.as_secs())),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        code => {
            let reason: String = body.chars().filter(|c| !c.is_control()).take(200).collect();
            Err(format!("it answers {} {}", code.unwrap_or("nothing"), reason.trim()).trim_end().to_owned())
        }
    }
}

async fn ask(target: &Target, run: &OwnedFd) -> Result<(), String> {
    let answer = async {
        match target {
            Target::Postgres => postgres::probe(run.as_fd()).await,
            Target::Redis(password) => redis::probe(run.as_fd(), password).await,
        }
    };
    let silent = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, answer).await.unwrap_or_else(silent)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What comes of this answer.
    fn asked(answer: &'static str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.1");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /_health/ HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(ask_health(&path));
        server.join().unwrap();
        result
    }

    #[test]
    fn only_200_is_healthy_and_the_reason_is_handed_on() {
        asked("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        let fault = asked("HTTP/1.1 503 Service Unavailable\r\n\r\nthe disk is full\n").unwrap_err();
        assert_eq!(fault, "it answers 503 the disk is full");
        assert_eq!(asked("").unwrap_err(), "it answers nothing");
    }
}
