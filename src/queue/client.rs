//! A Redis client that survives Redis. The library's defaults give up; ours wait and reconnect.

use std::path::Path;
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::{Config as RedisConfig, ReconnectPolicy, Server, ServerConfig, UnresponsiveConfig};
use fred::types::{Builder, ConnectHandle};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::error::QueueError;
use crate::config::{Config, read_secret_file, short_directory};

/// Commands that may wait for a connection; past that, more are refused instead of filling the memory.
const MAX_WAITING: usize = 10_000;

/// The same trouble with the connection is told once in this time.
const AGAIN: Duration = Duration::from_mins(1);

/// Starts a client that connects in the background. `command_limit` is how long a command may take, the
/// wait for a connection included. Call inside the runtime.
pub(super) fn connect(settings: &Config, command_limit: Duration) -> Result<Client, QueueError> {
    // Ends with the runtime; its result is told to each command.
    Ok(open(settings, command_limit)?.0)
}

/// As [`connect`], with the task that is the connection: it ends when that is aborted.
pub(super) fn open(settings: &Config, command_limit: Duration) -> Result<(Client, ConnectHandle), QueueError> {
    let mut config = match &settings.redis_url {
        Some(url) => {
            RedisConfig::from_url(url.expose()).map_err(|error| QueueError::Settings(error.details().to_owned()))?
        }
        None => bundled(settings)?,
    };
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .set_policy(ReconnectPolicy::new_exponential(0, 20, 500, 2))
        .with_performance_config(|performance| performance.default_command_timeout = command_limit)
        .with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(3);
            connection.internal_command_timeout = Duration::from_secs(3);
            connection.max_command_buffer_len = MAX_WAITING;
            connection.reconnect_on_auth_error = true;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(command_limit * 2), interval: Duration::from_secs(5) };
        });
    let client = builder.build().map_err(|error| QueueError::Settings(error.details().to_owned()))?;
    tokio::spawn(tell_errors(client.error_rx()));
    let connection = client.connect();
    Ok((client, connection))
}

/// Says why there is no connection: commands only learn that they took too long. The same cause is not told again
/// within a minute. Ends with the client.
async fn tell_errors(mut errors: Receiver<(fred::error::Error, Option<Server>)>) {
    let mut last: Option<(String, Instant)> = None;
    loop {
        let cause = match errors.recv().await {
            Ok((error, _)) => error.details().to_owned(),
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if last.as_ref().is_none_or(|(told, at)| *told != cause || at.elapsed() >= AGAIN) {
            tracing::warn!(cause, "no connection to Redis");
            last = Some((cause, Instant::now()));
        }
    }
}

/// The server that the supervisor runs, by its Unix socket.
fn bundled(settings: &Config) -> Result<RedisConfig, QueueError> {
    let wrong = |path: &Path, error| QueueError::Settings(format!("{}: {error}", path.display()));
    let socket_dir = settings.data_dir.join("run").join("redis");
    let directory = short_directory(&socket_dir).map_err(|error| wrong(&socket_dir, error))?;
    let password_file = settings.secret_path("redis-password");
    let password = read_secret_file(&password_file).map_err(|error| wrong(&password_file, error))?;
    Ok(RedisConfig {
        server: ServerConfig::new_unix_socket(directory.join("redis.sock")),
        password: Some(password.expose().to_owned()).filter(|password| !password.is_empty()),
        ..RedisConfig::default()
    })
}
