//! Asks a service of the user's own whether it is well: by HTTP, by a connection, or by a program. While it starts this is
//! how its readiness is learnt, later how its health is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::program::Program;
use crate::log::Log;
use crate::metrics::ServiceCounters;
use crate::state::{Event, Id};
use crate::supervisor::Message;

/// First and longest pause between two questions to a service that is starting. A program is not that cheap: its pause is
/// the longest from the first.
const EAGER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// Most bytes of an HTTP answer looked at.
const LONGEST: usize = 16 * 1024;

/// How long the rest of an answer that is a refusal is waited for: it may say why.
const REASON: Duration = Duration::from_millis(200);

/// How to ask.
#[derive(Debug)]
pub enum Way {
    /// By a GET.
    Http {
        /// Whom.
        address: SocketAddr,
        /// `Host`.
        host: String,
        /// Path and query.
        path: String,
    },
    /// By a connection.
    Tcp(SocketAddr),
    /// By a connection to a socket in the file system.
    Unix(PathBuf),
    /// By a program.
    Program(Box<Program>),
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, for a person: the same words for the same thing.
    pub what: String,
    /// What was said besides.
    pub output: String,
}

impl Complaint {
    pub(super) fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), output: String::new() }
    }
}

/// Everything to check one run of a service.
#[derive(Debug)]
pub struct Checker {
    /// Which run.
    pub id: Id,
    /// How.
    pub way: Way,
    /// Time between two checks.
    pub every: Duration,
    /// Longest time for one.
    pub limit: Duration,
    /// The first success makes the service ready.
    pub decides: bool,
    /// Where the results go.
    pub to: mpsc::UnboundedSender<Message>,
    /// Hear of every check of a service that is ready.
    pub counters: Arc<ServiceCounters>,
    /// Takes secrets out of what checks say.
    pub log: Log,
}

impl Checker {
    /// Checks until stopped. Tells every failure, and the first success after one.
    pub async fn watch(self) {
        if self.decides && self.until_ready().await.is_none() {
            return;
        }
        let mut is_failing = false;
        loop {
            sleep(self.every).await;
            let since = Instant::now();
            let found = self.ask().await;
            self.counters.probe(since.elapsed(), found.is_ok());
            let is_news = found.is_err() || is_failing;
            is_failing = found.is_err();
            if is_news && self.tell(found.err()).is_none() {
                return;
            }
        }
    }

    /// Asks again and again, and says what is missing whenever that is something else.
    async fn until_ready(&self) -> Option<()> {
        let is_program = matches!(self.way, Way::Program(_));
        let (mut pause, mut told) = (if is_program { EAGER.1 } else { EAGER.0 }, None);
        while let Err(complaint) = self.ask().await {
            if told.as_ref() != Some(&complaint.what) {
                told = Some(complaint.what.clone());
                self.tell(Some(complaint))?;
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(EAGER.1);
        }
        self.to.send(Message::Event(Event::Ready { id: self.id })).ok()
    }

    fn tell(&self, complaint: Option<Complaint>) -> Option<()> {
        let (fault, output) = complaint
            .map_or((None, String::new()), |found| (Some(self.log.clean(found.what)), self.log.clean(found.output)));
        self.to.send(Message::Event(Event::Checked { id: self.id, fault, output })).ok()
    }

    async fn ask(&self) -> Result<(), Complaint> {
        let silent = |_| Err(Complaint::plain(format!("no answer within {} s", self.limit.as_secs_f64())));
        match &self.way {
            // It sees to its time itself: what it has said by then is worth knowing.
            Way::Program(program) => program.run(self.limit).await,
            Way::Tcp(address) => {
                let taken = async { TcpStream::connect(address).await.map(drop).map_err(|error| refused(&error)) };
                timeout(self.limit, taken).await.unwrap_or_else(silent)
            }
            Way::Unix(path) => {
                let taken = async { UnixStream::connect(path).await.map(drop).map_err(|error| refused(&error)) };
                timeout(self.limit, taken).await.unwrap_or_else(silent)
            }
            Way::Http { address, host, path } => {
                timeout(self.limit, get(*address, host, path)).await.unwrap_or_else(silent)
            }
        }
    }
}

fn refused(error: &std::io::Error) -> Complaint {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Complaint::plain("it takes no connections"),
        std::io::ErrorKind::NotFound => Complaint::plain("its socket is not there"),
        _ => Complaint::plain(format!("it cannot be reached: {error}")),
    }
}

/// Only the first line of the answer matters: whether the rest ever ends is the service's business.
async fn get(address: SocketAddr, host: &str, path: &str) -> Result<(), Complaint> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| refused(&error))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: glitchbox-supervisor\r\naccept: */*\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| refused(&error))?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < LONGEST {
        if read_more(&mut stream, &mut answer).await.map_err(|error| refused(&error))? == 0 {
            break;
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().map(String::from_utf8_lossy).unwrap_or_default();
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let code: u16 = code.ok_or_else(|| Complaint::plain("it does not answer in HTTP"))?;
    if (200..400).contains(&code) {
        return Ok(());
    }
    let rest =
        async { while answer.len() < LONGEST && matches!(read_more(&mut stream, &mut answer).await, Ok(1..)) {} };
    let _what_has_come_by_then_will_do = timeout(REASON, rest).await;
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let output = body.chars().filter(|c| !c.is_control() || *c == '\n').take(1_000).collect();
    Err(Complaint { what: format!("it answers {code}"), output })
}

async fn read_more(stream: &mut TcpStream, answer: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).await?;
    answer.extend_from_slice(buffer.get(..count).unwrap_or(&[]));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What comes of this answer; the connection stays open after it.
    fn asked(answer: &'static str) -> Result<(), Complaint> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            assert!(request.starts_with("GET /health?x HTTP/1.1\r\nhost: here:1\r\n"), "{request}");
            stream.write_all(answer.as_bytes()).unwrap();
            // Until the other side has had enough.
            let _ = stream.read(&mut [0]);
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(get(address, "here:1", "/health?x"));
        server.join().unwrap();
        result
    }

    #[test]
    fn codes_below_400_are_well_and_others_say_why() {
        asked("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").unwrap();
        asked("HTTP/1.0 302 Found\n\n").unwrap();
        let complaint = asked("HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nno\u{7} room\n").unwrap_err();
        assert_eq!(complaint, Complaint { what: "it answers 503".into(), output: "no room\n".into() });
        assert_eq!(asked("SSH-2.0-x\r\n").unwrap_err().what, "it does not answer in HTTP");
    }

    #[test]
    fn nobody_there_is_said_so() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(get(address, "a", "/")).unwrap_err().what, "it takes no connections");
    }
}
