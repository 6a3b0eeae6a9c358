//! Is PostgreSQL taking connections? Asked in its own protocol, without logging in.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::secrets::Role;

/// Asks the server behind the socket in `run` for the application's database.
///
/// Ready means that it wants a password; while starting up, recovering or shutting down it answers with an error.
/// The caller sets the time limit.
///
/// # Errors
/// Why it is not ready, in a few words.
pub async fn probe(run: BorrowedFd<'_>) -> Result<(), String> {
    let run = format!("/proc/self/fd/{}", run.as_raw_fd());
    // While it starts, every question becomes a FATAL line in its log; it says elsewhere how far it is.
    let process_file = std::fs::read_to_string(format!("{run}/../postgres/postmaster.pid"));
    // Closed to us (root without its capabilities): then asking is all there is.
    let closed = process_file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if !closed && is_starting(&process_file.unwrap_or_default()) {
        return Err("it is starting up".to_owned());
    }
    let path = format!("{run}/.s.PGSQL.5432");
    let failed = |error: io::Error| error.to_string();
    let mut stream = UnixStream::connect(path).await.map_err(failed)?;
    stream.write_all(&startup_message(Role::App.name(), super::DATABASE)).await.map_err(failed)?;
    let mut reply = vec![0; 1024];
    let length = stream.read(&mut reply).await.map_err(failed)?;
    reply.truncate(length);
    read_reply(&reply)
}

/// Reads line 8 of `postmaster.pid`: `starting`, `ready`, `standby` or `stopping`. Not there yet, it is starting.
fn is_starting(process_file: &str) -> bool {
    matches!(process_file.lines().nth(7).map(str::trim), Some("starting") | None)
}

/// The same line says that it takes connections.
pub(super) fn is_ready(process_file: &str) -> bool {
    process_file.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// Protocol 3.0's first message: length, version, pairs of strings, an empty string.
fn startup_message(user: &str, database: &str) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for word in ["user", user, "database", database] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().to_vec(), body].concat()
}

fn read_reply(reply: &[u8]) -> Result<(), String> {
    match reply.first() {
        Some(b'R') => Ok(()),
        Some(b'E') => Err(error_message(reply).unwrap_or_else(|| "it answered with an error".to_owned())),
        Some(_) => Err("the answer is not PostgreSQL's".to_owned()),
        None => Err("it closed the connection".to_owned()),
    }
}

/// The field `M` of an error: type byte, length, then fields of one letter and a string that ends with a zero byte.
fn error_message(reply: &[u8]) -> Option<String> {
    let (_, fields) = reply.split_at_checked(5)?;
    fields
        .split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"M"))
        .map(|message| String::from_utf8_lossy(message).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_message_says_its_own_length() {
        let message = startup_message("u", "d");
        assert_eq!(message, b"\0\0\0\x1b\0\x03\0\0user\0u\0database\0d\0\0");
        assert_eq!(message.len(), 0x1b);
    }

    #[test]
    fn the_process_file_says_how_far_it_is() {
        let file = |status: &str| format!("1\n/data\n1\n5432\n../run\n\n  1 2\n{status}\n");
        assert!(is_starting(&file("starting")));
        assert!(is_starting("1\n/data\n1\n"));
        assert!(!is_starting(&file("ready   ")) && is_ready(&file("ready   ")));
        assert!(!is_ready(&file("starting")) && !is_ready(""));
    }

    #[test]
    fn replies_are_told_apart() {
        assert_eq!(read_reply(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"), Ok(()));
        let starting = b"E\0\0\0\0SFATAL\0C57P03\0Mthe database system is starting up\0\0";
        assert_eq!(read_reply(starting), Err("the database system is starting up".to_owned()));
        assert!(read_reply(b"").is_err());
        assert!(read_reply(b"HTTP/1.1").is_err());
    }
}
