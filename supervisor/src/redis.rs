//! The bundled Redis: starting it and asking whether it is ready.
//!
//! It runs inside its folder with its configuration on standard input, so its password is in no file but the
//! secret's and on no command line, and no path it uses is longer than `../run/redis/redis.sock`.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::context::{Context, SYSTEM_PATH};
use crate::error::Fault;
use crate::settings::Secret;
use crate::spawn::{LaunchSpec, Program};

/// The program's name.
const PROGRAM: &str = "redis-server";
/// Where it is if the search path does not say.
const USUAL_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// The installed Redis.
///
/// # Errors
/// Exit code 15 when there is none.
pub fn find(search_path: &[PathBuf]) -> Result<PathBuf, Fault> {
    let usual = USUAL_FOLDERS.iter().map(Path::new);
    search_path
        .iter()
        .map(PathBuf::as_path)
        .filter(|folder| folder.is_absolute())
        .chain(usual)
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            Fault::configuration(
                "No Redis server (redis-server) is installed. Install it with: apt-get install redis-server; or set REDIS_URL to use one elsewhere.",
            )
        })
}

/// How to start the server. `None` when another server is used (`REDIS_URL`).
pub fn launch(context: &Context) -> Option<LaunchSpec> {
    let (program, password) = (context.redis.as_ref()?, context.secrets.redis.as_ref()?);
    let argv = vec![PROGRAM.into(), "-".into()];
    let mut spec = LaunchSpec::new(Program::Path(program.clone()), argv, Arc::clone(&context.data.redis));
    spec.set_env("PATH", SYSTEM_PATH);
    spec.set_env("LC_ALL", "C.UTF-8");
    spec.set_env("TZ", context.settings.timezone.as_deref().unwrap_or("UTC"));
    spec.credentials.clone_from(&context.users.redis);
    spec.death_signal = Some(Signal::SIGTERM);
    let settings = &context.settings;
    let text = configuration(password, context.memory.redis, settings.expose_redis);
    spec.stdin = Some(text.into_bytes());
    Some(spec)
}

/// Every write reaches the file before the next, and the disk itself within a second. No more is needed: what was accepted
/// stays in web's spool until it is stored, and what a kill or a slow disk takes from the file comes again from there.
fn configuration(password: &Secret, memory: u64, expose: bool) -> String {
    let port = if expose { "port 6379\nbind 0.0.0.0" } else { "port 0" };
    let password = quote(password.expose());
    format!(
        "\
{port}
unixsocket ../run/redis/redis.sock
unixsocketperm 777
requirepass {password}
daemonize no
logfile \"\"
always-show-logo no
loglevel warning
databases 1
maxclients 1000
timeout 0
save \"\"
appendonly yes
appendfsync everysec
no-appendfsync-on-rewrite no
auto-aof-rewrite-min-size 16mb
aof-use-rdb-preamble yes
maxmemory {memory}
maxmemory-policy noeviction
"
    )
}

/// A quoted word of Redis's configuration.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:/@ ".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

/// Asks the server behind the socket in `run` whether it takes commands. The caller sets the time limit.
///
/// A server that has loaded its data but refuses writes (a full disk) counts as ready: starting it again would not
/// help, and reading still works.
///
/// # Errors
/// Why it is not ready, in a few words.
pub async fn probe(run: BorrowedFd<'_>, password: &str) -> Result<(), String> {
    let path = format!("/proc/self/fd/{}/redis/redis.sock", run.as_raw_fd());
    let failed = |error: io::Error| error.to_string();
    let mut stream = UnixStream::connect(path).await.map_err(failed)?;
    let command = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n", password.len());
    stream.write_all(command.as_bytes()).await.map_err(failed)?;
    let mut reply = Vec::new();
    while String::from_utf8_lossy(&reply).matches("\r\n").count() < 2 && reply.len() < 4096 {
        if stream.read_buf(&mut reply).await.map_err(failed)? == 0 {
            break;
        }
    }
    read_reply(&String::from_utf8_lossy(&reply))
}

/// Reads the two lines that answer AUTH and PING.
fn read_reply(reply: &str) -> Result<(), String> {
    let mut lines = reply.lines();
    match lines.next() {
        Some("+OK") => {}
        Some(line) => return Err(line.trim_start_matches('-').to_owned()),
        None => return Err("it closed the connection".to_owned()),
    }
    match lines.next() {
        Some("+PONG") => Ok(()),
        Some(line) if line.starts_with("-MISCONF") => Ok(()),
        Some(line) => Err(line.trim_start_matches('-').to_owned()),
        None => Err("it closed the connection".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_on_the_network_unless_told_to() {
        let text = configuration(&Secret::new("p"), 1 << 25, false);
        assert!(text.starts_with("port 0\n") && !text.contains("bind"), "{text}");
        assert!(text.contains("appendfsync everysec\n") && text.contains("maxmemory 33554432\n"));
        let text = configuration(&Secret::new("p"), 1 << 25, true);
        assert!(text.contains("port 6379\nbind 0.0.0.0\n"));
    }

    #[test]
    fn no_password_can_end_its_line() {
        assert_eq!(quote("a b"), "\"a b\"");
        assert_eq!(quote("a\"b\\c\n"), "\"a\\x22b\\x5cc\\x0a\"");
        assert_eq!(quote("密"), "\"\\xe5\\xaf\\x86\"");
    }

    #[test]
    fn replies_are_told_apart() {
        assert_eq!(read_reply("+OK\r\n+PONG\r\n"), Ok(()));
        assert_eq!(read_reply("+OK\r\n-MISCONF Errors writing to the AOF file\r\n"), Ok(()));
        let loading = "LOADING Redis is loading the dataset in memory";
        assert_eq!(read_reply(&format!("+OK\r\n-{loading}\r\n")), Err(loading.to_owned()));
        assert!(read_reply("-WRONGPASS invalid\r\n").unwrap_err().starts_with("WRONGPASS"));
        assert!(read_reply("").is_err());
    }

    #[test]
    fn a_missing_server_names_its_package() {
        let found = find(&[]);
        if let Err(fault) = found {
            assert_eq!(fault.exit, 15);
            assert!(fault.message.contains("apt-get install redis-server"));
        }
    }
}
