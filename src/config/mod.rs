//! Settings, from the environment, checked at start-up.
//!
//! Every variable is read through one look-up function, so tests never touch the process's
//! environment. Empty counts as unset, quotes and comments of environment files are no part of a value
//! (`env_value.rs`), each secret may come as `NAME_FILE`, and all errors are reported at once, each
//! naming its variable.

mod env_value;
mod mail;
mod reader;
mod short_path;
mod values;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::message::Mailbox;
use url::Url;

pub use mail::{MailTransport, SmtpSecurity, SmtpServer};
pub use reader::ConfigErrors;
use reader::Reader;
pub use short_path::short_directory;

/// Whose forwarding headers count unless `TRUSTED_PROXIES` says otherwise: loopback and private ranges.
const DEFAULT_TRUSTED_PROXIES: &[&str] = &[
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// What `GLITCHTIP_DOMAIN` is.
const PUBLIC_URL: &str = "an http:// or https:// address; a path, as in https://example.com/errors, may not begin with one of \
                          our own (api, issues, static...)";

/// Set by the supervisor and by nobody else; the rest of the environment is then as it has read it.
const FROM_SUPERVISOR: &str = "GLITCHBOX_DATA_DIR_SHOWN";

/// Connections to the database unless `DATABASE_POOL` says otherwise.
const DEFAULT_POOL: u32 = 8;

/// The settings of the application (not of the supervisor).
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATA_DIR` (`./data`): secrets, spool and uploads.
    pub data_dir: PathBuf,
    /// `GLITCHBOX_DATA_DIR_SHOWN` (`DATA_DIR`): the data directory as people are shown it; the
    /// supervisor runs us inside it, where `DATA_DIR` is only `.`.
    pub data_dir_shown: PathBuf,
    /// `PORT` (8000): what web binds when it inherits no socket, and what links carry.
    pub port: u16,
    /// `GLITCHTIP_DOMAIN` (`http://localhost:PORT`): the public address, with the path that a proxy serves us under.
    pub public_url: Url,
    /// `ALLOWED_HOSTS`; empty: the public host and loopback.
    pub allowed_hosts: Vec<String>,
    /// `CSRF_TRUSTED_ORIGINS`.
    pub csrf_trusted_origins: Vec<String>,
    /// `TRUSTED_PROXIES` (loopback and private ranges): whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// `DATABASE_URL`; none: the bundled server under `DATA_DIR` (socket in `run/`, password in
    /// `secrets/db-password`, which appears with the first boot).
    pub database_url: Option<Secret>,
    /// `DATABASE_POOL` (8): at most this many connections for each process. There is always a pool, so `true` and
    /// `false` change nothing.
    pub database_pool: u32,
    /// `MAX_UPLOAD_SIZE` (20 MiB): largest request body of an SDK, in bytes as sent (compressed or not). From 1 MiB, the
    /// largest event, to 100 MiB; more counts as 100 MiB.
    pub max_upload_bytes: usize,
    /// `REDIS_URL`; none: the bundled server under `DATA_DIR` (socket `run/redis/redis.sock`, password in
    /// `secrets/redis-password`, which appears with the first boot).
    pub redis_url: Option<Secret>,
    /// `INGEST_FSYNC` (`everysec`): `always` puts an event onto the disk itself before it is answered.
    pub ingest_fsync_always: bool,
    /// `MAX_SPOOL_SIZE` (10 GiB): most bytes of accepted events that wait on disk; from 16 MiB. More are answered 429.
    pub spool_max_bytes: u64,
    /// `METRICS_TOKEN`: the bearer token that `/metrics` asks for. Without it and without the next one it is closed.
    pub metrics_token: Option<Secret>,
    /// `METRICS_ALLOWED_IPS`: whose addresses may read `/metrics`; empty: anybody with the token.
    pub metrics_allowed_ips: Vec<IpNet>,
    /// `ADMIN_EMAIL` (`admin@localhost`): the administrator made at first boot.
    pub admin_email: String,
    /// `ADMIN_PASSWORD`; none: generated at first boot into `secrets/admin-password`.
    pub admin_password: Option<Secret>,
    /// `GLITCHTIP_MAX_EVENT_LIFE_DAYS` (90): how long events, and issues without a later one, are kept; 1 to 36,500
    /// days, as the following.
    pub event_life_days: u32,
    /// `GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS` (as events): how long what is counted of transactions is kept.
    pub transaction_life_days: u32,
    /// `GLITCHTIP_MAX_FILE_LIFE_DAYS` (as events): how long uploaded files are kept.
    pub file_life_days: u32,
    /// `EMAIL_URL`: how mail leaves.
    pub mail: MailTransport,
    /// `DEFAULT_FROM_EMAIL` (`glitchbox@` the public host): who mail comes from.
    pub mail_from: Mailbox,
    /// `LOG_FORMAT`: `text` or `json`.
    pub log_json: bool,
    /// `DEBUG`: also log at level debug.
    pub debug: bool,
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
    /// Reads and checks everything through `lookup`, which answers a variable's value.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(lookup);
        let data_dir = PathBuf::from(reader.text("DATA_DIR").unwrap_or_else(|| "./data".to_owned()));
        let data_dir_shown = reader.text(FROM_SUPERVISOR).map_or_else(|| data_dir.clone(), PathBuf::from);
        let port = reader.parsed("PORT", "a port number from 1 to 65535", values::parse_port).unwrap_or(8000);
        let public_url = reader
            .parsed("GLITCHTIP_DOMAIN", PUBLIC_URL, values::parse_public_url)
            .or_else(|| Url::parse(&format!("http://localhost:{port}")).ok());
        let trusted_proxies = reader
            .list("TRUSTED_PROXIES", "addresses or networks (CIDR) separated by commas", values::parse_network)
            .unwrap_or_else(|| DEFAULT_TRUSTED_PROXIES.iter().filter_map(|net| net.parse().ok()).collect());
        let allowed_hosts = reader
            .list("ALLOWED_HOSTS", "host names separated by commas", values::parse_host_pattern)
            .unwrap_or_default();
        let csrf_trusted_origins = reader
            .list(
                "CSRF_TRUSTED_ORIGINS",
                "origins such as https://example.com separated by commas",
                values::parse_origin,
            )
            .unwrap_or_default();
        let postgres_address = "an address such as postgres://user:password@host:5432/database";
        let database_url = reader.secret_url("DATABASE_URL", postgres_address, &["postgres", "postgresql"]);
        let database_pool =
            reader.parsed("DATABASE_POOL", "a number from 1 to 1000", values::parse_pool_size).unwrap_or(DEFAULT_POOL);
        let max_upload_bytes = reader
            .parsed("MAX_UPLOAD_SIZE", "a number of bytes, at least 1048576", values::parse_upload_size)
            .unwrap_or(20 * 1024 * 1024);
        let redis_address = "an address such as redis://:password@host:6379/0";
        let redis_url = reader.secret_url("REDIS_URL", redis_address, &["redis", "redis+unix", "redis-cluster"]);
        let ingest_fsync_always =
            reader.parsed("INGEST_FSYNC", "`everysec` or `always`", values::parse_fsync).unwrap_or(false);
        let spool_max_bytes = reader
            .parsed("MAX_SPOOL_SIZE", "a number of bytes, at least 16777216", values::parse_spool_size)
            .unwrap_or(10 * 1024 * 1024 * 1024);
        let metrics_token = reader.secret("METRICS_TOKEN");
        let metrics_allowed_ips = reader
            .list("METRICS_ALLOWED_IPS", "addresses or networks (CIDR) separated by commas", values::parse_network)
            .unwrap_or_default();
        let admin_email = reader
            .parsed("ADMIN_EMAIL", "an e-mail address", mail::parse_address)
            .unwrap_or_else(|| "admin@localhost".to_owned());
        let admin_password = reader.secret("ADMIN_PASSWORD");
        let mut life = |name| reader.parsed(name, "a number of days from 1 to 36500", values::parse_life);
        let event_life_days = life("GLITCHTIP_MAX_EVENT_LIFE_DAYS").unwrap_or(90);
        let transaction_life_days = life("GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS").unwrap_or(event_life_days);
        let file_life_days = life("GLITCHTIP_MAX_FILE_LIFE_DAYS").unwrap_or(event_life_days);
        let mail = reader.parsed_secret("EMAIL_URL", mail::EXPECTED, mail::parse).unwrap_or(MailTransport::Nowhere);
        let from_expected = "an e-mail address such as errors@example.com or Errors <errors@example.com>";
        let mail_from = reader
            .parsed("DEFAULT_FROM_EMAIL", from_expected, mail::parse_mailbox)
            .or_else(|| public_url.as_ref().and_then(mail::default_from));
        let log_json = reader.parsed("LOG_FORMAT", "`text` or `json`", values::parse_log_format).unwrap_or(false);
        let debug = reader.flag("DEBUG").unwrap_or(false);
        let errors = reader.finish();
        match (public_url, mail_from) {
            (Some(public_url), Some(mail_from)) if errors.is_empty() => Ok(Self {
                data_dir,
                data_dir_shown,
                port,
                public_url,
                allowed_hosts,
                csrf_trusted_origins,
                trusted_proxies,
                database_url,
                database_pool,
                max_upload_bytes,
                redis_url,
                ingest_fsync_always,
                spool_max_bytes,
                metrics_token,
                metrics_allowed_ips,
                admin_email,
                admin_password,
                event_life_days,
                transaction_life_days,
                file_life_days,
                mail,
                mail_from,
                log_json,
                debug,
            }),
            _ => Err(errors),
        }
    }

    /// Reads and checks the process's environment.
    pub fn from_environment() -> Result<Self, ConfigErrors> {
        Self::from_lookup(&environment)
    }

    /// The path of `secrets/NAME` under the data directory.
    pub fn secret_path(&self, name: &str) -> PathBuf {
        self.data_dir.join("secrets").join(name)
    }

    /// The public address as links carry it: without a trailing slash.
    pub fn public_base(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// The path of the public address without a trailing slash, as in `/errors`; empty at the root of its host.
    pub fn public_path(&self) -> &str {
        self.public_url.path().trim_end_matches('/')
    }

    /// True when `address` belongs to a proxy whose headers are believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()))
    }
}

/// A variable of the process's environment, or what the image fixes in its place. What is not UTF-8 in it becomes a
/// character that no setting allows.
pub fn environment(name: &str) -> Option<String> {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    // The supervisor, which has read the command line, knows best.
    let fixed = if variable(FROM_SUPERVISOR).is_some() { None } else { env_value::fixed(name) };
    fixed.or_else(|| variable(name))
}

/// True when the supervisor has started this process.
pub fn is_supervised() -> bool {
    environment(FROM_SUPERVISOR).is_some()
}

/// The content of a secret's file, without the line end an editor may have added.
pub fn read_secret_file(path: &Path) -> std::io::Result<Secret> {
    let text = std::fs::read_to_string(path)?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let values: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::from_lookup(&|name| values.get(name).cloned())
    }

    #[test]
    fn defaults_need_no_variable() {
        let config = read(&[]).unwrap();
        assert_eq!(config.port, 8000);
        assert_eq!(config.public_base(), "http://localhost:8000");
        assert!(config.trusts("127.0.0.1".parse().unwrap()));
        assert!(config.trusts("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!config.trusts("8.8.8.8".parse().unwrap()));
        assert_eq!(config.database_url, None);
    }

    #[test]
    fn the_public_address_may_have_a_path_that_is_none_of_ours() {
        let path = |address: &str| {
            let config = read(&[("GLITCHTIP_DOMAIN", address)]).ok()?;
            Some((config.public_base().to_owned(), config.public_path().to_owned()))
        };
        let at = |base: &str, path: &str| Some((base.to_owned(), path.to_owned()));
        assert_eq!(path("https://a.example/"), at("https://a.example", ""));
        assert_eq!(path("https://a.example/errors/"), at("https://a.example/errors", "/errors"));
        assert_eq!(path("https://a.example:8443/a/b.c"), at("https://a.example:8443/a/b.c", "/a/b.c"));
        for refused in ["/api", "/issues/x", "/a//b", "/a b", "/%61", "/a?b", "/a#b", "/\"x", "/错误"] {
            assert_eq!(path(&format!("https://a.example{refused}")), None, "{refused}");
        }
    }

    #[test]
    fn every_error_is_reported_and_names_its_variable() {
        let errors = read(&[
            ("PORT", "99999"),
            ("GLITCHTIP_DOMAIN", "example.com"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
            ("DATABASE_URL", "mysql://x"),
            ("REDIS_URL", "http://x"),
            ("INGEST_FSYNC", "never"),
            ("MAX_SPOOL_SIZE", "1000"),
            ("LOG_FORMAT", "xml"),
            ("ENABLE_USER_REGISTRATION", "perhaps"),
            ("EMAIL_URL", "smtp.example.com"),
            ("DEFAULT_FROM_EMAIL", "errors"),
            ("RESTART_WEBHOOK_URL", "file:///x"),
            ("ADMIN_EMAIL", "me@example.com\nBcc: you@example.com"),
        ])
        .unwrap_err();
        let text = errors.to_string();
        assert_eq!(text.lines().count(), 13, "{text}");
        for name in [
            "PORT",
            "GLITCHTIP_DOMAIN",
            "TRUSTED_PROXIES",
            "DATABASE_URL",
            "REDIS_URL",
            "INGEST_FSYNC",
            "MAX_SPOOL_SIZE",
            "LOG_FORMAT",
            "ENABLE_USER_REGISTRATION",
            "EMAIL_URL",
            "DEFAULT_FROM_EMAIL",
            "RESTART_WEBHOOK_URL",
            "ADMIN_EMAIL",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn lives_are_days_and_follow_that_of_events() {
        let lives = |pairs: &[(&str, &str)]| {
            let config = read(pairs).unwrap();
            (config.event_life_days, config.transaction_life_days, config.file_life_days)
        };
        let names = [
            "GLITCHTIP_MAX_EVENT_LIFE_DAYS",
            "GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS",
            "GLITCHTIP_MAX_FILE_LIFE_DAYS",
        ];
        assert_eq!(lives(&[]), (90, 90, 90));
        assert_eq!(lives(&[(names[0], "7")]), (7, 7, 7));
        assert_eq!(lives(&[(names[0], "90"), (names[1], "180"), (names[2], "365")]), (90, 180, 365));
        for name in names {
            for wrong in ["0", "-1", "90d", "ninety", "1.5", "36501", "99999999999999999999"] {
                let errors = read(&[(name, wrong)]).unwrap_err();
                assert_eq!(errors.lines().len(), 1, "{name}={wrong}: {errors}");
                assert!(errors.to_string().starts_with(&format!("{name}: ")), "{errors}");
            }
        }
    }

    #[test]
    fn empty_counts_as_unset() {
        assert_eq!(read(&[("PORT", ""), ("DATABASE_URL", " ")]).unwrap().port, 8000);
    }

    #[test]
    fn what_docker_leaves_in_an_environment_file_is_understood() {
        let config = read(&[
            ("ALLOWED_HOSTS", "\"errors.example.com,.svc.cluster.local,.localhost,127.0.0.1,[::1]\""),
            ("MAX_UPLOAD_SIZE", "10485760      # 10MB"),
            ("DATABASE_POOL", "false          # Connection pooling"),
            ("ADMIN_PASSWORD", "    # generate one"),
        ])
        .unwrap();
        assert_eq!(config.allowed_hosts.len(), 5);
        assert_eq!(config.allowed_hosts[4], "[::1]");
        assert_eq!(config.max_upload_bytes, 10_485_760);
        assert_eq!(config.database_pool, 8);
        assert_eq!(config.admin_password, None);
        // The supervisor has done it already, and may have read a file that has quotes in it.
        let settled = read(&[("GLITCHBOX_DATA_DIR_SHOWN", "/data"), ("ADMIN_PASSWORD", "\"quoted\"")]).unwrap();
        assert_eq!(settled.admin_password.unwrap().expose(), "\"quoted\"");
    }

    #[test]
    fn sizes_have_limits() {
        for bad in ["0", "1048575", "10MB", "-1"] {
            assert!(read(&[("MAX_UPLOAD_SIZE", bad)]).is_err(), "{bad}");
        }
        assert_eq!(read(&[]).unwrap().max_upload_bytes, 20 << 20);
        assert_eq!(read(&[("MAX_UPLOAD_SIZE", "9999999999")]).unwrap().max_upload_bytes, 100 << 20);
        assert_eq!(read(&[("DATABASE_POOL", "1")]).unwrap().database_pool, 1);
        for bad in ["0", "1001", "many"] {
            assert!(read(&[("DATABASE_POOL", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_never_show() {
        let errors = read(&[("DATABASE_URL", "mysql://user:hunter22@host/db")]).unwrap_err().to_string();
        assert!(!errors.contains("hunter22"), "{errors}");
        let errors = read(&[("EMAIL_URL", "smtp://user:hunter22/3@host")]).unwrap_err().to_string();
        assert!(errors.starts_with("EMAIL_URL: ") && !errors.contains("hunter22"), "{errors}");
        let config = read(&[("EMAIL_URL", "smtp://user:hunter22@host")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter22"));
        let config = read(&[("DATABASE_URL", "postgres://user:hunter22@host/db")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter22"));
    }
}
