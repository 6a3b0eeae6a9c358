//! Asking the bundled Redis: is it well, and how much waits in it.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::model::Depth;
use crate::settings::Secret;

/// The bundled server's socket, seen from the data directory.
const SOCKET: &str = "run/redis/redis.sock";

/// The application's stream of accepted events, its consumers' group and the stream of what can never be stored.
const STREAM: &str = "q:ingest";
const GROUP: &str = "workers";
const DEAD: &str = "q:ingest:dead";

/// Longest answer to one command.
const LONGEST: usize = 1024 * 1024;

/// What the server says of itself, and what waits in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) used_memory: u64,
    pub(super) depth: Depth,
}

/// One conversation. The caller sets the time limit.
///
/// # Errors
/// What Redis or the system says, in one line.
pub(super) async fn facts(password: &Secret) -> Result<Facts, String> {
    let mut talk = Talk::begin(password).await?;
    match talk.ask(&["PING"]).await? {
        Reply::Text(text) if text == "PONG" => {}
        other => return Err(format!("it answers PING with {other:?}")),
    }
    let Reply::Text(info) = talk.ask(&["INFO"]).await? else { return Err("it does not answer INFO".to_owned()) };
    let value = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let depth = talk.depth().await?;
    Ok(Facts {
        version: value("redis_version").unwrap_or("?").to_owned(),
        used_memory: value("used_memory").and_then(|number| number.parse().ok()).unwrap_or(0),
        depth,
    })
}

struct Talk {
    stream: BufReader<UnixStream>,
}

#[derive(Debug)]
enum Reply {
    Text(String),
    Number(u64),
    /// The first item of a list; lists are not needed in full.
    First(Option<Box<Reply>>),
    Nothing,
}

impl Talk {
    async fn begin(password: &Secret) -> Result<Self, String> {
        let stream = UnixStream::connect(SOCKET).await.map_err(|error| told(&error))?;
        let mut talk = Self { stream: BufReader::new(stream) };
        talk.ask(&["AUTH", password.expose()]).await?;
        Ok(talk)
    }

    async fn depth(&mut self) -> Result<Depth, String> {
        let entries = number(&self.ask(&["XLEN", STREAM]).await?);
        let dead = number(&self.ask(&["XLEN", DEAD]).await?);
        // Before the first event there is neither a stream nor its group.
        let pending = self.ask(&["XPENDING", STREAM, GROUP]).await.map_or(0, |reply| number(&reply));
        Ok(Depth { entries, pending, dead })
    }

    async fn ask(&mut self, words: &[&str]) -> Result<Reply, String> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a string cannot fail.
            let _ = write!(command, "${}\r\n{word}\r\n", word.len());
        }
        self.stream.write_all(command.as_bytes()).await.map_err(|error| told(&error))?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<Reply, String> {
        let line = self.line().await?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or(("", ""));
        match kind {
            "+" => Ok(Reply::Text(rest.to_owned())),
            "-" => Err(rest.to_owned()),
            ":" => Ok(Reply::Number(rest.parse().unwrap_or(0))),
            "$" => match rest.parse::<usize>() {
                Ok(length) if length <= LONGEST => {
                    let mut bytes = vec![0; length + 2];
                    self.stream.read_exact(&mut bytes).await.map_err(|error| told(&error))?;
                    bytes.truncate(length);
                    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
                }
                _ => Ok(Reply::Nothing),
            },
            "*" => {
                let mut first = None;
                for index in 0..rest.parse::<usize>().unwrap_or(0).min(LONGEST) {
                    let item = Box::pin(self.reply()).await?;
                    if index == 0 {
                        first = Some(Box::new(item));
                    }
                }
                Ok(Reply::First(first))
            }
            _ => Err("its answer is not Redis's".to_owned()),
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let mut limited = (&mut self.stream).take(LONGEST as u64);
        if limited.read_line(&mut line).await.map_err(|error| told(&error))? == 0 {
            return Err("it closed the connection".to_owned());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn number(reply: &Reply) -> u64 {
    match reply {
        Reply::Number(number) => *number,
        Reply::Text(text) => text.parse().unwrap_or(0),
        Reply::First(Some(first)) => number(first),
        Reply::First(None) | Reply::Nothing => 0,
    }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "it is not running".to_owned(),
        _ => error.to_string(),
    }
}
