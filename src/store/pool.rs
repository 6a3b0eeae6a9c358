//! The way to PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};

use super::{Result, StoreError};
use crate::config::{Config, read_secret_file, short_directory};

/// A pool that connects when it is first used, so that a role can start before PostgreSQL. An error only
/// when the settings lead nowhere.
pub fn connect(config: &Config) -> Result<PgPool> {
    let options = options(config)?;
    Ok(PgPoolOptions::new()
        .max_connections(config.database_pool)
        // Within what a person waits for; the worker tries again by itself.
        .acquire_timeout(Duration::from_secs(5))
        // A backend costs PostgreSQL 5 to 20 MB; another one is there in 10 ms.
        .idle_timeout(Duration::from_secs(30))
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

/// Returns when the server has answered the simplest question.
pub async fn answers(pool: &PgPool) -> Result<()> {
    sqlx::query("select 1").execute(pool).await?;
    Ok(())
}

/// Connects once: a pool tries for seconds and then only says that it did.
pub async fn probe(config: &Config) -> Result<()> {
    options(config)?.connect().await?.close().await?;
    Ok(())
}

/// Where the database is and how to sign in: `DATABASE_URL`, else the bundled server under the data directory.
pub fn options(config: &Config) -> Result<PgConnectOptions> {
    if let Some(url) = &config.database_url {
        return PgConnectOptions::from_str(url.expose())
            .map(|options| options.application_name("glitchbox"))
            .map_err(|_| StoreError::Settings("DATABASE_URL is not a PostgreSQL address".to_owned()));
    }
    let password_file = config.secret_path("db-password");
    let password = read_secret_file(&password_file).map_err(|error| {
        StoreError::Settings(format!(
            "cannot read {}: {error}; set DATA_DIR to the directory of a running instance, or DATABASE_URL",
            password_file.display()
        ))
    })?;
    let sockets = config.data_dir.join("run");
    let sockets = short_directory(&sockets)
        .map_err(|error| StoreError::Settings(format!("cannot open {}: {error}", sockets.display())))?;
    Ok(PgConnectOptions::new_without_pgpass()
        .socket(sockets)
        .port(5432)
        .username("glitchbox")
        .password(password.expose())
        .database("glitchbox")
        // TLS has no place on a Unix socket.
        .ssl_mode(PgSslMode::Disable)
        .application_name("glitchbox"))
}
