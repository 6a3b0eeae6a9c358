//! `supervisor psql` and `supervisor redis-cli`: the servers' own clients, in our place.
//!
//! Passwords go by the environment, never by the command line, and sockets through an inherited descriptor of their
//! folder, since the data directory's path may be too long for a socket address.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::Client;
use crate::control::Failure;
use crate::secrets::Role;
use crate::{files, postgres};

/// Longest secret read, in bytes.
const LONGEST: u64 = 16 * 1024;

pub(super) fn psql(client: &Client) -> Result<Infallible, Failure> {
    let data_dir = client.place.path();
    let password = secret(&data_dir, Role::Postgres.file(), "PostgreSQL", "DATABASE_URL")?;
    let cluster = open(&data_dir, "postgres")?;
    let version = files::read(&cluster, "PG_VERSION", 100).ok().flatten();
    let version = version.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let server = postgres::find(version, &data_dir, &folders).map_err(|fault| Failure(fault.message))?;
    let run = inherited(open(&data_dir, "run")?)?;
    let mut command = Command::new(server.bin.join("psql"));
    command.env("PGHOST", files::proc_path(&run)).env("PGPORT", "5432").env("PGPASSWORD", password);
    command.env("PGUSER", Role::Postgres.name()).env("PGDATABASE", postgres::DATABASE);
    for name in ["PGHOSTADDR", "PGSERVICE", "PGPASSFILE", "PGOPTIONS", "PGSSLMODE"] {
        command.env_remove(name);
    }
    become_program(command, client)
}

pub(super) fn redis_cli(client: &Client) -> Result<Infallible, Failure> {
    let data_dir = client.place.path();
    let password = secret(&data_dir, "redis-password", "Redis", "REDIS_URL")?;
    let folder = inherited(open(&data_dir, "run/redis")?)?;
    let mut command = Command::new("redis-cli");
    command.arg("-s").arg(files::proc_path(&folder).join("redis.sock")).env("REDISCLI_AUTH", password);
    become_program(command, client)
}

fn become_program(mut command: Command, client: &Client) -> Result<Infallible, Failure> {
    let error = command.args(&client.arguments).exec();
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Failure(format!("{program} cannot be started: {error}.")))
}

fn secret(data_dir: &Path, name: &str, server: &str, variable: &str) -> Result<String, Failure> {
    let folder = open(data_dir, "secrets")?;
    match files::read(&folder, name, LONGEST) {
        Ok(Some(password)) => String::from_utf8(password).map_err(|_| Failure(format!("secrets/{name} is not text."))),
        Ok(None) => {
            let shown = data_dir.display();
            Err(Failure(format!("The appliance in {shown} has no {server} of its own: it uses the one of {variable}.")))
        }
        Err(error) => Err(Failure(format!("secrets/{name} cannot be read: {error}."))),
    }
}

fn open(data_dir: &Path, name: &str) -> Result<File, Failure> {
    File::open(data_dir.join(name)).map_err(|error| {
        let shown = data_dir.display();
        Failure(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "There is no appliance in the data directory {shown}. Choose another with --data-dir or DATA_DIR."
            ),
            io::ErrorKind::PermissionDenied => {
                format!("The appliance in {shown} belongs to another user: try again with sudo.")
            }
            _ => format!("{shown}/{name} cannot be opened: {error}."),
        })
    })
}

/// Stays open in the program we become.
fn inherited(folder: File) -> Result<File, Failure> {
    debug_assert!(folder.as_raw_fd() > 2);
    fcntl(&folder, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| Failure(errno.to_string()))?;
    Ok(folder)
}
