//! The supervisor's own settings, from the environment and the command line.
//!
//! All errors are found in one go, each naming its variable. Empty counts as unset, quotes and comments of environment
//! files are no part of a value (`env_value.rs`), an unknown variable is passed on to the application, and every secret
//! may come as `NAME_FILE` instead of `NAME`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::channels::{Channel, Channels};
use crate::env_value;
use crate::environment::OUTSIDE;
use crate::schedule::Zone;

/// The port when nothing says otherwise.
const DEFAULT_PORT: u16 = 8000;
/// The data directory when nothing says otherwise, relative to the working directory.
const DEFAULT_DATA_DIR: &str = "./data";

/// Variables whose values are secrets, beside those of the channels; each may also come as `NAME_FILE`.
const SECRETS: &[&str] = &[
    "SECRET_KEY",
    "DB_PASSWORD",
    "REDIS_PASSWORD",
    "DATABASE_URL",
    "REDIS_URL",
    "ADMIN_PASSWORD",
    "METRICS_TOKEN",
    "EMAIL_URL",
];

/// Variables the application never gets from the outside, beside those about reports: the supervisor sets them, or keeps
/// them to itself.
const WITHHELD: &[&str] = &[
    "DATA_DIR",
    "PORT",
    "DB_PASSWORD",
    "GLITCHBOX_DATA_DIR_SHOWN",
    "GLITCHBOX_STATUS_SOCKET",
    "GLITCHBOX_METRICS_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "MAIL",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
];

/// A value that never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the command line may say; it wins over the environment, whose variable is then not even read.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--data-dir`, instead of `DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--port`, instead of `PORT`.
    pub port: Option<u16>,
}

/// The settings of the supervisor and of the bundled servers.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the environment")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DATA_DIR` (`./data`), absolute, symbolic links left as they are.
    pub data_dir: PathBuf,
    /// The same as it was given: `data_dir` may be a volume in it (`mount::root_of`).
    pub data_dir_given: PathBuf,
    /// `PORT` (8000): where the appliance listens.
    pub port: u16,
    /// `LOG_FORMAT` (`text`): JSON lines on standard output.
    pub log_json: bool,
    /// `TZ`: the time zone of schedules and of the services' logs; none is UTC.
    pub timezone: Option<String>,
    /// `EXPOSE_DB_PORT` (false): PostgreSQL also listens on port 5432 of every address.
    pub expose_db: bool,
    /// `EXPOSE_REDIS_PORT` (false): Redis also listens on port 6379 of every address.
    pub expose_redis: bool,
    /// True unless `DATABASE_URL` names another server.
    pub bundled_postgres: bool,
    /// True unless `REDIS_URL` names another server.
    pub bundled_redis: bool,
    /// `DB_PASSWORD`: the password of the application's database role; none keeps the generated one.
    pub db_password: Option<Secret>,
    /// `REDIS_PASSWORD`: the bundled Redis's password; none keeps the generated one.
    pub redis_password: Option<Secret>,
    /// True when `SECRET_KEY` was given, so none has to be generated.
    pub secret_key_given: bool,
    /// `DATABASE_URL`: the PostgreSQL to use instead of the bundled one.
    pub database_url: Option<Secret>,
    /// `REDIS_URL`: the Redis to use instead of the bundled one.
    pub redis_url: Option<Secret>,
    /// `GLITCHTIP_DOMAIN`, or `http://localhost:PORT`; without a slash at the end.
    pub public_url: String,
    /// Where reports go. The webhook's signing secret may still be missing; then it is generated.
    pub channels: Channels,
    /// What of the environment the tasks get.
    pub task_env: Vec<(OsString, OsString)>,
    /// The folders of `PATH`, where programs are looked for.
    pub search_path: Vec<PathBuf>,
    /// The variables the application may get, secrets resolved from their files, empty ones left out. Which role gets which
    /// is in [`crate::environment`].
    pub app_env: Vec<(OsString, OsString)>,
    /// Every secret given through the environment, for redaction.
    pub secret_values: Vec<Secret>,
}

impl Settings {
    /// Reads and checks `variables` (normally `std::env::vars_os()`). The error lists every complaint, one line each.
    pub fn from_env(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, Vec<String>> {
        let mut reader = Reader { variables: variables.into_iter().map(as_meant).collect(), errors: Vec::new() };
        reader.resolve_secret_files();
        let data_dir = overrides
            .data_dir
            .clone()
            .or_else(|| reader.os("DATA_DIR").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        let data_dir = std::path::absolute(&data_dir).unwrap_or_else(|error| {
            reader.complain("DATA_DIR", &format!("cannot be made absolute: {error}"));
            data_dir
        });
        let port = overrides.port.unwrap_or_else(|| reader.port());
        let bundled_postgres = reader.os("DATABASE_URL").is_none();
        let bundled_redis = reader.os("REDIS_URL").is_none();
        if reader.flag("DISABLE_REDIS") && bundled_redis {
            reader.complain(
                "DISABLE_REDIS",
                "accepted events travel through Redis, so there is no running without it; unset DISABLE_REDIS, or set REDIS_URL to use a Redis of your own",
            );
        }
        let public_url = reader.public_url(port);
        let settings = Self {
            data_dir: data_dir.clone(),
            data_dir_given: data_dir,
            port,
            log_json: reader.choice("LOG_FORMAT", &["text", "json"]) == Some(1),
            timezone: reader.timezone(),
            expose_db: reader.flag("EXPOSE_DB_PORT"),
            expose_redis: reader.flag("EXPOSE_REDIS_PORT"),
            bundled_postgres,
            bundled_redis,
            db_password: reader.password("DB_PASSWORD"),
            redis_password: reader.password("REDIS_PASSWORD"),
            secret_key_given: reader.os("SECRET_KEY").is_some(),
            database_url: reader.secret("DATABASE_URL"),
            redis_url: reader.secret("REDIS_URL"),
            channels: reader.channels(&public_url),
            public_url,
            task_env: OUTSIDE.iter().filter_map(|name| Some((OsString::from(name), reader.os(name)?))).collect(),
            search_path: reader.os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            app_env: Vec::new(),
            secret_values: reader.secrets(),
        };
        if reader.errors.is_empty() {
            Ok(Self { app_env: reader.into_app_env(bundled_redis), ..settings })
        } else {
            Err(reader.errors)
        }
    }
}

struct Reader {
    variables: BTreeMap<OsString, OsString>,
    errors: Vec<String>,
}

impl Reader {
    fn complain(&mut self, name: &str, wanted: &str) {
        self.errors.push(format!("{name}: {wanted}"));
    }

    /// The variable, unless it is unset, empty or blank.
    fn os(&self, name: &str) -> Option<OsString> {
        self.variables.get(OsStr::new(name)).filter(|value| !is_blank(value)).cloned()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.os(name)?.into_string();
        if text.is_err() {
            self.complain(name, "is not valid UTF-8");
        }
        Some(text.ok()?.trim().to_owned())
    }

    fn flag(&mut self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => true,
            "false" | "0" | "no" | "off" | "f" | "n" => false,
            _ => {
                self.complain(name, &format!("{text:?} is neither true nor false"));
                false
            }
        }
    }

    /// The index of the variable's value among `choices`.
    fn choice(&mut self, name: &str, choices: &[&str]) -> Option<usize> {
        let text = self.text(name)?;
        let index = choices.iter().position(|choice| *choice == text);
        if index.is_none() {
            self.complain(name, &format!("{text:?} is not one of: {}", choices.join(", ")));
        }
        index
    }

    fn port(&mut self) -> u16 {
        let Some(text) = self.text("PORT") else { return DEFAULT_PORT };
        match text.parse() {
            Ok(port) if port != 0 => port,
            _ => {
                self.complain("PORT", &format!("{text:?} is not a port number from 1 to 65535"));
                DEFAULT_PORT
            }
        }
    }

    /// A password goes through one-line commands and must survive them.
    fn password(&mut self, name: &str) -> Option<Secret> {
        let text = self.os(name)?.into_string();
        match text {
            Ok(text) if !text.chars().any(char::is_control) => Some(Secret::new(text)),
            Ok(_) => {
                self.complain(name, "contains a line break or another control character");
                None
            }
            // `secrets` has complained.
            Err(_) => None,
        }
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.os(name)?.into_string().ok().map(|text| Secret::new(text.trim()))
    }

    /// Whether it is well-formed is for the application to say.
    fn public_url(&self, port: u16) -> String {
        let given = self.os("GLITCHTIP_DOMAIN").and_then(|text| text.into_string().ok());
        let given = given.map(|text| text.trim().trim_end_matches('/').to_owned());
        given.unwrap_or_else(|| format!("http://localhost:{port}"))
    }

    /// Every secret there is.
    fn secrets(&mut self) -> Vec<Secret> {
        let mut found = Vec::new();
        for name in all_secrets() {
            match self.os(name).map(OsString::into_string) {
                Some(Ok(text)) => found.push(Secret::new(text)),
                Some(Err(_)) => self.complain(name, "is not valid UTF-8"),
                None => {}
            }
        }
        found
    }

    fn timezone(&mut self) -> Option<String> {
        let text = self.text("TZ")?;
        let name = text.strip_prefix(':').unwrap_or(&text);
        match Zone::parse(name) {
            Ok(_) => Some(name.to_owned()),
            Err(error) => {
                self.complain("TZ", &error);
                None
            }
        }
    }

    /// Puts the content of every `NAME_FILE` in the place of `NAME`; `NAME` itself wins when both are given.
    fn resolve_secret_files(&mut self) {
        for name in all_secrets() {
            let file_variable = format!("{name}_FILE");
            let path = self.os(&file_variable);
            self.variables.remove(OsStr::new(&file_variable));
            let Some(path) = path.filter(|_| self.os(name).is_none()) else { continue };
            let shown = Path::new(&path).display();
            match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => self.complain(&file_variable, &format!("{shown} is empty")),
                Ok(text) => {
                    let value = text.trim_end_matches(['\n', '\r']);
                    self.variables.insert(OsString::from(name), OsString::from(value));
                }
                Err(error) => self.complain(&file_variable, &format!("cannot read {shown}: {error}")),
            }
        }
    }

    fn into_app_env(self, bundled_redis: bool) -> Vec<(OsString, OsString)> {
        let is_withheld = |name: &OsString| {
            WITHHELD.iter().copied().chain(Channel::all_variables()).any(|withheld| name == withheld)
                || (bundled_redis && name == "REDIS_PASSWORD")
        };
        self.variables.into_iter().filter(|(name, value)| !is_withheld(name) && !is_blank(value)).collect()
    }
}

/// A search path is no setting, and may contain anything.
fn as_meant((name, value): (OsString, OsString)) -> (OsString, OsString) {
    match (name.to_str(), value.to_str()) {
        (Some(known), Some(text)) if known != "PATH" => {
            let meant = OsString::from(env_value::meant(known, text));
            (name, meant)
        }
        _ => (name, value),
    }
}

pub(crate) fn all_secrets() -> impl Iterator<Item = &'static str> {
    SECRETS.iter().copied().chain(Channel::secrets())
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|text| text.trim().is_empty())
}

#[path = "settings_channels.rs"]
mod of_channels;

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
