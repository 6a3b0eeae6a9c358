//! Tells the supervisor how far we are, by the sd_notify protocol.

use std::os::unix::net::UnixDatagram;

/// Sends `state` (`READY=1`, `STOPPING=1`) to the socket that `NOTIFY_SOCKET` names, relative to the
/// working directory. Without that variable nobody asked, and nothing is sent. A failure is logged: the
/// supervisor then takes its own measures.
pub fn notify(socket: Option<&str>, state: &str) {
    let Some(path) = socket else { return };
    let sent = UnixDatagram::unbound().and_then(|datagram| datagram.send_to(state.as_bytes(), path));
    if let Err(error) = sent {
        tracing::warn!(%error, state, "cannot notify the supervisor");
    }
}

/// Sends `WATCHDOG=1` to that socket, and never waits for a supervisor that does not read: it is up to it to be patient.
pub fn report_life(path: &str) {
    let sent = UnixDatagram::unbound().and_then(|datagram| {
        datagram.set_nonblocking(true)?;
        datagram.send_to(b"WATCHDOG=1", path)
    });
    if let Err(error) = sent
        && error.kind() != std::io::ErrorKind::WouldBlock
    {
        tracing::warn!(%error, "cannot show the supervisor that we live");
    }
}
