//! The schema: migrations, embedded in the program.

use std::io;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use tokio::time::timeout;

use super::{StoreError, error};

/// A server elsewhere that swallows what it is sent would be waited for for minutes.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Why the schema is not what this program needs.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of the program has been here.
    #[error(
        "the database was made by a newer version of glitchbox (it has migration {0}, the newest known here is {1}); \
         start that version, or restore a backup"
    )]
    Newer(i64, i64),
    /// A migration could not be applied; those before it are in place.
    #[error("{0}")]
    Failed(MigrateError),
    /// No connection, or others in the way: another time may be better.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings the schema up to date under an advisory lock, on a connection without time limits. A newer schema
/// is left alone.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let silent = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
    let connected = timeout(CONNECT_LIMIT, options.connect()).await.unwrap_or_else(|_| Err(silent()));
    let mut connection = connected.map_err(StoreError::from)?;
    let result = MIGRATIONS.run(&mut connection).await;
    // What has been applied is committed; how the connection ends changes nothing.
    drop(connection.close().await);
    result.map_err(|error| match error {
        MigrateError::VersionMissing(version) if version > newest() => SchemaError::Newer(version, newest()),
        // Rolled back; web may be at work beside us, and have won a deadlock.
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if error::is_temporary(&error) => {
            StoreError::from(error).into()
        }
        other => SchemaError::Failed(other),
    })
}

/// Number of the last migration known to this program.
pub fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}
