//! A Redis server of its own for each test that needs one: it starts in some milliseconds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::keeper::{Kept, new_dir};

/// An empty Redis on a Unix socket, without a password and without persistence.
pub(crate) struct TestRedis {
    server: Option<Kept>,
    socket: PathBuf,
}

impl TestRedis {
    /// Starts a server and waits until it accepts connections.
    pub(crate) fn start() -> Self {
        let dir = new_dir("gbt-redis-");
        let socket = dir.join("redis.sock");
        let mut redis = Self { server: None, socket };
        redis.restart();
        redis
    }

    /// `redis+unix:` URL, as `REDIS_URL` takes it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// The socket's path.
    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Sends one inline command (`XLEN q:ingest`) and gives back the reply's first line.
    pub(crate) fn command(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        reply.trim_end().to_owned()
    }

    /// Stops the server, as if it had crashed: what it held is gone.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Starts an empty server on the same socket, in place of the one that runs.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// As [`Self::restart`], with more options; with another `--dir`, what was saved there is loaded.
    pub(crate) fn restart_with(&mut self, options: &[&str]) {
        self.server = None;
        let dir = self.socket.parent().unwrap().to_path_buf();
        std::fs::create_dir_all(&dir).unwrap();
        let socket = self.socket.display().to_string();
        let command =
            ["redis-server", "--port", "0", "--unixsocket", &socket, "--save", "", "--appendonly", "no", "--dir"];
        let dir_text = dir.display().to_string();
        let command: Vec<&str> =
            command.into_iter().chain([dir_text.as_str()]).chain(options.iter().copied()).collect();
        let server = Kept::spawn(dir, "KILL", &command);
        server.wait_until("redis-server", || UnixStream::connect(&self.socket).is_ok());
        self.server = Some(server);
    }
}
