//! Tells the supervisor how far we are, by the sd_notify protocol.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

/// The way to the supervisor; clones are the same.
///
/// It is opened once: a process that has run out of descriptors must not look like one that hangs.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    sockets: Option<Arc<Sockets>>,
}

#[derive(Debug)]
struct Sockets {
    news: UnixDatagram,
    /// Never waits.
    life: UnixDatagram,
}

impl Supervisor {
    /// Opens the socket that `NOTIFY_SOCKET` names, relative to the working directory. Without that variable nobody asked,
    /// and nothing is ever sent. A failure is logged: the supervisor then takes its own measures.
    pub fn connect(path: Option<&str>) -> Self {
        let sockets = path.map(Sockets::connect).transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot reach the supervisor");
            None
        });
        Self { sockets: sockets.map(Arc::new) }
    }

    /// Whether anybody is told anything.
    pub fn is_there(&self) -> bool {
        self.sockets.is_some()
    }

    /// Sends `state` (`READY=1`, `STOPPING=1`). A failure is logged.
    pub fn notify(&self, state: &str) {
        let Some(sockets) = &self.sockets else { return };
        if let Err(error) = sockets.news.send(state.as_bytes()) {
            tracing::warn!(%error, state, "cannot notify the supervisor");
        }
    }

    /// Sends `WATCHDOG=1`, and never waits for a supervisor that does not read: it is up to it to be patient.
    pub fn report_life(&self) {
        let Some(sockets) = &self.sockets else { return };
        if let Err(error) = sockets.life.send(b"WATCHDOG=1")
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::warn!(%error, "cannot show the supervisor that we live");
        }
    }
}

impl Sockets {
    fn connect(path: &str) -> io::Result<Self> {
        let (news, life) = (UnixDatagram::unbound()?, UnixDatagram::unbound()?);
        news.connect(path)?;
        life.connect(path)?;
        life.set_nonblocking(true)?;
        Ok(Self { news, life })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_takes_no_more_descriptors_nor_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::connect(path.to_str());
        // The way is open: where it led to does not matter any more.
        std::fs::remove_file(&path).unwrap();
        supervisor.clone().notify("READY=1");
        // More than a socket holds for a reader that does not read.
        for _ in 0..10_000 {
            supervisor.report_life();
        }
        let mut heard = [0; 64];
        for expected in ["READY=1", "WATCHDOG=1"] {
            let length = listener.recv(&mut heard).unwrap();
            assert_eq!(heard.get(..length), Some(expected.as_bytes()));
        }
        assert!(supervisor.is_there() && !Supervisor::connect(None).is_there());
        assert!(!Supervisor::connect(path.to_str()).is_there());
    }
}
