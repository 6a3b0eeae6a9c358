//! The way to PostgreSQL.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use super::{Result, StoreError};
use crate::config::Config;

/// A Unix socket's address holds 107 bytes; `/.s.PGSQL.5432` takes 14 of them.
const MAX_SOCKET_DIRECTORY: usize = 93;

/// A pool that connects when it is first used, so that a role can start before PostgreSQL. An error only
/// when the settings lead nowhere.
pub fn connect(config: &Config, max_connections: u32) -> Result<PgPool> {
    let options = options(config)?;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        // Within what a person waits for; the worker tries again by itself.
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_mins(5))
        .after_connect(|connection, _meta| {
            Box::pin(async move {
                // Unnested arrays make plans look dear enough for the just-in-time compiler, which then costs
                // more than the statement. No statement of ours takes 30 s unless something is wrong.
                sqlx::raw_sql("set jit = off; set statement_timeout = '30s'; set lock_timeout = '10s'")
                    .execute(connection)
                    .await
                    .map(|_| ())
            })
        })
        .connect_lazy_with(options))
}

/// Where the database is and how to sign in: `DATABASE_URL`, else the bundled server under the data directory.
pub fn options(config: &Config) -> Result<PgConnectOptions> {
    if let Some(url) = &config.database_url {
        return PgConnectOptions::from_str(url.expose())
            .map(|options| options.application_name("glitchbox"))
            .map_err(|_| StoreError::Settings("DATABASE_URL is not a PostgreSQL address".to_owned()));
    }
    let password_file = config.data_dir.join("secrets/db-password");
    let password = std::fs::read_to_string(&password_file).map_err(|error| {
        StoreError::Settings(format!(
            "cannot read {}: {error}; set DATA_DIR to the directory of a running instance, or DATABASE_URL",
            password_file.display()
        ))
    })?;
    Ok(PgConnectOptions::new_without_pgpass()
        .socket(short_path(&config.data_dir.join("run"))?)
        .port(5432)
        .username("glitchbox")
        .password(password.trim_end())
        .database("glitchbox")
        // TLS has no place on a Unix socket.
        .ssl_mode(PgSslMode::Disable)
        .application_name("glitchbox"))
}

/// The directory under a name short enough for a socket's address: its own, else by a descriptor of it that
/// stays open as long as the process.
fn short_path(directory: &Path) -> Result<PathBuf> {
    if directory.as_os_str().len() <= MAX_SOCKET_DIRECTORY {
        return Ok(directory.to_owned());
    }
    let descriptor = File::open(directory)
        .map_err(|error| StoreError::Settings(format!("cannot open {}: {error}", directory.display())))?
        .into_raw_fd();
    Ok(PathBuf::from(format!("/proc/self/fd/{descriptor}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_reached_by_descriptor() {
        let long = std::env::temp_dir().join("d".repeat(120)).join(format!("p{}", std::process::id()));
        std::fs::create_dir_all(&long).unwrap();
        let short = short_path(&long).unwrap();
        assert!(short.as_os_str().len() < 40);
        assert_eq!(std::fs::canonicalize(&short).unwrap(), std::fs::canonicalize(&long).unwrap());
        assert_eq!(short_path(Path::new("./run")).unwrap(), PathBuf::from("./run"));
        std::fs::remove_dir_all(long.parent().unwrap()).unwrap();
    }
}
