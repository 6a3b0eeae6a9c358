//! Settings, from the environment, checked at start-up.
//!
//! Every variable is read through one look-up function, so tests never touch the process's
//! environment. Empty counts as unset; each secret may come as `NAME_FILE`; all errors are reported
//! at once, each naming its variable.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

/// The settings of the application (not of the supervisor).
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATA_DIR` (`./data`): secrets, spool and uploads.
    pub data_dir: PathBuf,
    /// `PORT` (8000): what web binds when it inherits no socket, and what links carry.
    pub port: u16,
    /// `GLITCHTIP_DOMAIN` (`http://localhost:PORT`): the public address, without a trailing slash.
    pub public_url: Url,
    /// `ALLOWED_HOSTS`; empty: the public host and loopback.
    pub allowed_hosts: Vec<String>,
    /// `CSRF_TRUSTED_ORIGINS`.
    pub csrf_trusted_origins: Vec<String>,
    /// `TRUSTED_PROXIES` (loopback and private ranges): whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// `DATABASE_URL`; none: the bundled server under `DATA_DIR`.
    pub database_url: Option<Secret>,
    /// `REDIS_URL`; none: the bundled server under `DATA_DIR`.
    pub redis_url: Option<Secret>,
    /// `LOG_FORMAT`: `text` or `json`.
    pub log_json: bool,
}

/// A value that never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; name the use where you call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Config {
    /// True when `address` belongs to a proxy whose headers are believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()))
    }
}
