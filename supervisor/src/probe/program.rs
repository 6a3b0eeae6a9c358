//! Checks that are programs: each in a session of its own, killed with all its descendants when its time is over.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::check::Complaint;
use crate::reap::{Tags, Trace};
use crate::spawn::{LaunchSpec, spawn};
use crate::state::Exit;

/// Most bytes kept of what a check says on either of its outputs: the last ones.
const KEPT: usize = 2048;

/// What it has said shortly before its end is waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// One of them, and who waits for its end.
type Running = (Trace, oneshot::Sender<Exit>);

/// The programs that run as checks; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Children {
    running: Arc<Mutex<HashMap<Pid, Running>>>,
}

impl Children {
    fn add(&self, trace: Trace) -> oneshot::Receiver<Exit> {
        let (ended, end) = oneshot::channel();
        lock(&self.running).insert(trace.main, (trace, ended));
        end
    }

    /// A process has ended. If it was a check, its trace: what it left behind is to be killed.
    pub fn ended(&self, pid: Pid, exit: Exit) -> Option<Trace> {
        let (trace, ended) = lock(&self.running).remove(&pid)?;
        let _whoever_waited_may_be_gone = ended.send(exit);
        Some(trace)
    }

    /// All that run.
    pub fn traces(&self) -> Vec<Trace> {
        lock(&self.running).values().map(|(trace, _)| trace.clone()).collect()
    }
}

/// A check that is a program.
#[derive(Debug)]
pub struct Program {
    /// How to start it.
    pub launch: LaunchSpec,
    /// What marks its processes.
    pub mark: String,
    /// A new tag for each run.
    pub tags: Arc<Tags>,
    /// Where each run is noted while it lasts.
    pub children: Children,
}

impl Program {
    /// Runs it once. Dropping this kills it; what it has left behind is killed when its end is heard of.
    pub(super) async fn run(&self, limit: Duration) -> Result<(), Complaint> {
        let mut launch = self.launch.clone();
        launch.tag = self.tags.next();
        let failed = |error| Complaint::plain(format!("its check cannot be started: {error}"));
        let child = spawn(&launch).map_err(failed)?;
        let mut group = Group(Some(child.pid));
        let end = self.children.add(Trace::of(child.pid, self.mark.clone(), launch.tag));
        let said = [Arc::<Mutex<Vec<u8>>>::default(), Arc::default()];
        let [out, err] = said.clone();
        let listening = tokio::spawn(async { tokio::join!(listen(child.stdout, out), listen(child.stderr, err)) });
        let what = match timeout(limit, end).await {
            Ok(Ok(Exit::Code(0))) => {
                group.0 = None;
                return Ok(());
            }
            Ok(Ok(exit)) => {
                group.0 = None;
                format!("its check failed ({exit})")
            }
            Ok(Err(_)) => "its check was lost".to_owned(),
            Err(_) => format!("its check did not end within {} s", limit.as_secs_f64()),
        };
        drop(group);
        let _what_has_come_by_then_will_do = timeout(LAST_WORDS, listening).await;
        let text = said.map(|said| String::from_utf8_lossy(&lock(&said)).into_owned()).concat();
        Err(Complaint { what, output: text.chars().filter(|c| !c.is_control() || *c == '\n').collect() })
    }
}

/// Reads until every process that holds the other end is gone; the end of what was read is kept.
async fn listen(pipe: OwnedFd, said: Arc<Mutex<Vec<u8>>>) {
    let Ok(mut pipe) = pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let mut said = lock(&said);
        said.extend_from_slice(buffer.get(..count).unwrap_or(&[]));
        let surplus = said.len().saturating_sub(KEPT);
        said.drain(..surplus);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process group of a check that has not been heard to end; killed with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let _gone_already = killpg(pid, Signal::SIGKILL);
        }
    }
}
