//! Asks a bundled server whether it is ready: eagerly while it starts, seldom once it is.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::state::{Event, Id};
use crate::supervisor::Message;
use crate::{postgres, redis};

/// First and longest pause between two questions to a server that is starting.
const EAGER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// A server that says nothing for so long is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Debug, Clone)]
pub enum Target {
    /// PostgreSQL behind the socket in `run/`.
    Postgres,
    /// Redis behind its socket, with its password.
    Redis(String),
}

/// Asks until stopped, and reports readiness once and every change of health after it.
pub async fn watch(id: Id, target: Target, run: Arc<OwnedFd>, every: Duration, to: mpsc::UnboundedSender<Message>) {
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
        let fault = ask(&target, &run).await.err();
        if fault != told {
            told.clone_from(&fault);
            if to.send(Message::Event(Event::Health { id, fault })).is_err() {
                return;
            }
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
