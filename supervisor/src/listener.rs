//! The appliance's own TCP socket. It belongs to the supervisor, so that no restart of web loses a connection.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};

use crate::error::{Fault, exit};

/// Connections the kernel queues while nobody accepts.
const BACKLOG: i32 = 1024;

/// How long a socket may outlast the process that had it: the last thread of a killed web closes it.
const LAST_THREAD: Duration = Duration::from_secs(3);
/// How often to look whether it is closed.
const INTERVAL: Duration = Duration::from_millis(10);

/// As [`bind_port`], after a web that was killed just now: its process is gone for all who look before its socket is.
///
/// # Errors
/// As [`bind_port`], when the port stays taken for three seconds.
pub fn bind_freed_port(port: u16) -> Result<OwnedFd, Fault> {
    let start = Instant::now();
    loop {
        let bound = bind_port(port);
        let is_taken = bound.as_ref().is_err_and(|fault| fault.exit == exit::PORT_IN_USE);
        if !is_taken || start.elapsed() >= LAST_THREAD {
            return bound;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Listens on every address, IPv6 and IPv4 through one socket where the system has IPv6.
///
/// # Errors
/// Exit code 16 when the port is taken or not allowed, naming it.
pub fn bind_port(port: u16) -> Result<OwnedFd, Fault> {
    let both = open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let socket = match both {
        // No IPv6 here; anything else would be the same with IPv4.
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL | Errno::EPROTONOSUPPORT) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        other => other,
    };
    socket.map_err(|errno| {
        let reason = match errno {
            Errno::EADDRINUSE => "it is already in use by another program".to_owned(),
            Errno::EACCES => "this user may not use it; ports below 1024 are for root".to_owned(),
            other => io::Error::from(other).to_string(),
        };
        Fault::new(
            exit::PORT_IN_USE,
            format!("Port {port} cannot be used: {reason}. Choose another with PORT or --port."),
        )
    })
}

fn open(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_freed_soon_is_waited_for() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let (begun, starting) = std::sync::mpsc::channel();
        let binding = std::thread::spawn(move || {
            begun.send(()).unwrap();
            bind_freed_port(port)
        });
        starting.recv().unwrap();
        assert!(bind_port(port).is_err());
        drop(taken);
        assert!(binding.join().unwrap().is_ok());
    }

    #[test]
    fn a_taken_port_is_named_and_a_free_one_answers_on_ipv4() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let fault = bind_port(port).unwrap_err();
        assert_eq!(fault.exit, 16);
        assert!(fault.message.contains(&format!("Port {port} ")), "{fault}");
        drop(taken);
        let socket = bind_port(port).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(socket);
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    }
}
