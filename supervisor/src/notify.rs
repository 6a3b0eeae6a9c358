//! The socket on which a service reports itself: one per run, so that nobody can speak for another.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::files;
use crate::spawn::Credentials;

/// Longest message taken, in bytes.
const LONGEST: usize = 4096;

/// Most time a service can ask for in one message: an hour, in milliseconds.
const LONGEST_EXTENSION: u64 = 3_600_000;

/// What a service may report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// `READY=1`: it takes work.
    Ready,
    /// `STOPPING=1`: it is on its way out.
    Stopping,
    /// `WATCHDOG=1`: it lives.
    Alive,
    /// `WATCHDOG=trigger`: it hangs, it says itself.
    Alarm,
    /// `EXTEND_TIMEOUT_USEC=n`: it needs so many milliseconds more from now on.
    Extend(u64),
    /// `STATUS=...`: words for people.
    Status(String),
}

/// The receiving end of one run's socket. Dropping it removes the socket.
#[derive(Debug)]
pub struct Channel {
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
}

impl Channel {
    /// Makes `run/notify/NAME`, which only `owner` (or we) may write to. `run` is the open `run/`: the path through its
    /// descriptor is short, however long the data directory's is.
    ///
    /// # Errors
    /// When the socket cannot be made or handed over.
    pub fn bind(run: impl AsFd, name: &str, owner: Option<&Credentials>) -> io::Result<Self> {
        let path = files::proc_path(run).join("notify").join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        if let Some(owner) = owner {
            chown(&path, Some(owner.uid), Some(owner.gid))?;
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, path })
    }

    /// Waits for the next message; one message may hold several reports.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn receive(&self) -> io::Result<Vec<Report>> {
        loop {
            self.socket.readable().await?;
            // Only now: a service that is silent should cost nothing.
            let mut buffer = vec![0; LONGEST];
            match self.socket.try_recv(&mut buffer) {
                Ok(length) => return Ok(parse(&String::from_utf8_lossy(buffer.get(..length).unwrap_or(&[])))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn parse(message: &str) -> Vec<Report> {
    let report = |line: &str| match line.split_once('=')? {
        ("READY", "1") => Some(Report::Ready),
        ("STOPPING", "1") => Some(Report::Stopping),
        ("WATCHDOG", "1") => Some(Report::Alive),
        ("WATCHDOG", "trigger") => Some(Report::Alarm),
        ("EXTEND_TIMEOUT_USEC", text) => {
            Some(Report::Extend(text.parse::<u64>().ok()?.div_ceil(1_000).min(LONGEST_EXTENSION)))
        }
        ("STATUS", text) => Some(Report::Status(text.chars().filter(|c| !c.is_control()).take(200).collect())),
        _ => None,
    };
    message.lines().filter_map(report).collect()
}

/// Sends reports as a service: the other end, for shell scripts.
///
/// # Errors
/// Without `NOTIFY_SOCKET`, or when nobody listens there.
pub fn send(socket: Option<OsString>, message: &str) -> io::Result<()> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "NOTIFY_SOCKET is not set");
    let path = socket.filter(|path| !path.is_empty()).ok_or_else(missing)?;
    UnixDatagram::unbound()?.send_to(message.as_bytes(), Path::new(&path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_reports_are_understood_and_others_passed_over() {
        let message = "READY=1\nMAINPID=3\nSTATUS=loading 3 \u{7} of 4\nSTOPPING=1\nREADY=0\nnonsense";
        let status = Report::Status("loading 3  of 4".to_owned());
        assert_eq!(parse(message), [Report::Ready, status, Report::Stopping]);
        let message = "WATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG=0\nEXTEND_TIMEOUT_USEC=1500\nEXTEND_TIMEOUT_USEC=-1\n\
                       EXTEND_TIMEOUT_USEC=99999999999999999999\nEXTEND_TIMEOUT_USEC=9999999999999";
        let extend = [Report::Extend(2), Report::Extend(3_600_000)];
        assert_eq!(parse(message), [&[Report::Alive, Report::Alarm][..], &extend].concat());
    }
}
