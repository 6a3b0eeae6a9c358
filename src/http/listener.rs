//! The listening socket: inherited from the supervisor, or our own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use listenfd::ListenFd;

/// The socket handed over by `LISTEN_FDS`, else a new one on `port` for all addresses, both families where
/// the machine has IPv6. Call before any thread is started: the variables are taken out of the environment.
pub fn open(port: u16) -> io::Result<TcpListener> {
    if let Some(inherited) = ListenFd::from_env().take_tcp_listener(0)? {
        return Ok(inherited);
    }
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        result => result,
    }
}
