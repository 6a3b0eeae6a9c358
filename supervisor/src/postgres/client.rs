//! Speaking to a server through PostgreSQL's own programs: psql, pg_dump, pg_restore.
//!
//! Passwords go by the environment, never by the command line. A socket of ours is reached through the working
//! directory, so that no path is too long for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use super::url;
use crate::context::SYSTEM_PATH;
use crate::settings::Secret;

/// What a program of ours tells psql to write when it has done what it was asked to.
const DONE: &str = "-- glitchbox: done --";
/// How many of a program's last words are shown, in bytes.
const LAST_WORDS: usize = 600;

/// How to reach one database as one role.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The variables that PostgreSQL's programs read.
    variables: Vec<(&'static str, Secret)>,
}

impl Connection {
    /// The database behind the socket in `folder`, a path below the working directory of this process.
    pub fn socket(folder: &str, role: &str, password: &Secret, database: &str) -> Self {
        let variables = [
            ("PGHOST", format!("/proc/self/cwd/{folder}")),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", role.to_owned()),
            ("PGPASSWORD", password.expose().to_owned()),
            ("PGDATABASE", database.to_owned()),
        ];
        Self { variables: variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect() }
    }

    /// The database of an address such as `DATABASE_URL`.
    ///
    /// # Errors
    /// One sentence, without the address.
    pub fn external(address: &Secret) -> Result<Self, String> {
        Ok(Self { variables: url::variables(address.expose())? })
    }

    /// One of PostgreSQL's programs, with nothing in its environment but what it needs to connect.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", SYSTEM_PATH).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.env("PGAPPNAME", "glitchbox-backup").env("PGCONNECT_TIMEOUT", "10");
        command.envs(self.variables.iter().map(|(name, value)| (*name, value.expose())));
        command.stdin(Stdio::null());
        command
    }
}

/// A program that runs, ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    complaints: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `command`; what it writes to standard error is kept.
    ///
    /// # Errors
    /// One sentence: it cannot be started.
    pub fn start(mut command: Command) -> Result<Self, String> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{name} cannot be started: {error}"))?;
        let complaints = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // What could be read before an error is worth showing, too.
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self { name, child, complaints })
    }

    /// The program's standard output, if it is a pipe and has not been taken yet.
    pub fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// The program's standard input, if it is a pipe and has not been taken yet.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Its last words, when it did not succeed.
    pub fn finish(mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| format!("{} cannot be waited for: {error}", self.name))?;
        if status.success() { Ok(()) } else { Err(self.complain(status)) }
    }

    fn complain(&mut self, status: ExitStatus) -> String {
        let words = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        format!("{} failed ({status}): {}", self.name, last_words(&words))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A psql that waits for questions, all of them in one session.
#[derive(Debug)]
pub struct Session {
    running: Running,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Session {
    /// Opens a session. Statements take as long as they take.
    ///
    /// # Errors
    /// Why not, with psql's own words.
    pub fn open(connection: &Connection, psql: &Path) -> Result<Self, String> {
        let mut command = connection.command(psql);
        command.args(["-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-w", "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command)?;
        let (Some(stdin), Some(stdout)) = (running.stdin(), running.stdout()) else {
            return Err("psql has no pipes".to_owned());
        };
        let mut session = Self { running, stdin, stdout: BufReader::new(stdout) };
        session
            .ask("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = '60s';")?;
        Ok(session)
    }

    /// Runs statements, each ended as psql wants it, and returns the rows they gave, columns parted by tabs.
    ///
    /// # Errors
    /// What psql complained about; the session is over then.
    pub fn ask(&mut self, statements: &str) -> Result<Vec<String>, String> {
        let sent = writeln!(self.stdin, "{statements}\n\\echo '{DONE}'").and_then(|()| self.stdin.flush());
        let mut rows = Vec::new();
        while sent.is_ok() {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            let line = line.trim_end_matches('\n').to_owned();
            if line == DONE {
                return Ok(rows);
            }
            rows.push(line);
        }
        let status = self.running.child.wait().map_err(|error| error.to_string())?;
        Err(self.running.complain(status))
    }

    /// Ends the session in order.
    pub fn close(self) {
        drop(self.stdin);
        let _ = self.running.finish();
    }

    /// The one value a question gives.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn value(&mut self, statement: &str) -> Result<String, String> {
        Ok(self.ask(statement)?.into_iter().next().unwrap_or_default())
    }
}

/// The programs of one installed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    bin: PathBuf,
    /// Their major version.
    pub major: u32,
    /// What `pg_dump --version` says.
    pub version: String,
}

impl Tools {
    /// The programs in `bin`.
    ///
    /// # Errors
    /// One sentence: they are not there.
    pub fn in_folder(bin: &Path) -> Result<Self, String> {
        let program = bin.join("pg_dump");
        let output = Command::new(&program).arg("--version").env_clear().output();
        let output = output.map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let major = super::find::parse_version(&version);
        let major = major.ok_or_else(|| format!("{} does not tell its version", program.display()))?;
        Ok(Self { bin: bin.to_path_buf(), major, version })
    }

    /// The newest programs installed, for a server elsewhere.
    ///
    /// # Errors
    /// One sentence: there are none.
    pub fn newest() -> Result<Self, String> {
        let folders = super::find::folders().chain(std::env::split_paths(SYSTEM_PATH));
        let found = folders.filter(|bin| bin.join("pg_dump").is_file()).filter_map(|bin| Self::in_folder(&bin).ok());
        found.max_by_key(|tools| tools.major).ok_or_else(|| {
            "PostgreSQL's programs (pg_dump, psql) are not installed. Install them with: apt-get install postgresql-client"
                .to_owned()
        })
    }

    /// The path of one of them.
    pub fn path(&self, program: &str) -> PathBuf {
        self.bin.join(program)
    }
}

/// The end of what a program had to say, on one line.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" | ");
    match line.char_indices().rev().nth(LAST_WORDS) {
        Some((start, _)) => format!("... {}", line.get(start..).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_quoted() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let failure = Running::start(command).unwrap().finish().unwrap_err();
        assert_eq!(failure, "sh failed (exit status: 3): one | two");
        assert!(Running::start(Command::new("/nowhere/psql")).unwrap_err().starts_with("psql cannot be started"));
        assert_eq!(last_words(&"x".repeat(2000)).len(), LAST_WORDS + 5);
    }

    #[test]
    fn nothing_of_a_connection_shows() {
        let connection = Connection::external(&Secret::new("postgres://me:hunter22@db.example/app")).unwrap();
        assert!(!format!("{connection:?}").contains("hunter22"));
        let command = connection.command(Path::new("/usr/bin/psql"));
        assert_eq!(command.get_args().count(), 0);
        assert!(
            command.get_envs().any(|(name, value)| name == "PGPASSWORD" && value.is_some_and(|it| it == "hunter22"))
        );
    }
}
