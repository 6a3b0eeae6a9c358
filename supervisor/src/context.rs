//! From settings to everything a service needs to be started: first by looking only, then by writing.
//!
//! ```text
//! Settings::from_env -> app::check -> Claim::stake -> (bind the listener) -> Claim::look -> Survey::settle -> Context
//!        15                 15             13                 16             13 to 16       first write
//! ```

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::App;
use crate::backup::swap;
use crate::datadir::{DataDir, Examined, owner};
use crate::error::{Fault, exit};
use crate::files;
use crate::postgres::{self, Server};
use crate::reap::Tags;
use crate::redis;
use crate::secrets::{self, Secrets};
use crate::settings::Settings;
use crate::tuning::Memory;
use crate::users::Users;
use crate::{disk, leftovers, settings::Secret};

/// `PATH` of every service.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A data directory that nobody else looks after: its lock is held, if it exists.
#[derive(Debug)]
pub struct Claim {
    settings: Settings,
    examined: Examined,
}

/// What was found before anything is written. Holds the data directory's lock if the directory exists.
#[derive(Debug)]
pub struct Survey {
    settings: Settings,
    app: Option<App>,
    examined: Examined,
    users: Users,
    postgres: Option<Server>,
    redis: Option<PathBuf>,
}

/// Everything needed to start services, for as long as the supervisor runs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// The application's program; none when the plan has no role of it.
    pub app: Option<App>,
    /// The data directory; its lock is held.
    pub data: DataDir,
    /// Who the services run as.
    pub users: Users,
    /// The PostgreSQL to use; none with `DATABASE_URL`.
    pub postgres: Option<Server>,
    /// The Redis to use; none with `REDIS_URL`.
    pub redis: Option<PathBuf>,
    /// Passwords.
    pub secrets: Secrets,
    /// How memory is divided.
    pub memory: Memory,
    /// What was given up to make room on a full disk, for a person.
    pub made_room: Option<String>,
    /// Numbers by which the processes of each run are known.
    pub tags: Arc<Tags>,
}

impl Claim {
    /// Locks the data directory, and ends what a killed supervisor left of web and worker: they hold the port.
    ///
    /// # Errors
    /// Exit code 13.
    pub fn stake(settings: Settings) -> Result<Self, Fault> {
        let examined = Examined::examine(&settings)?;
        if let Some(directory) = examined.directory() {
            leftovers::end_quick(directory).map_err(|error| left(&error))?;
        }
        Ok(Self { settings, examined })
    }

    /// Whether there is such a file in the data directory.
    pub fn has(&self, file: &str) -> bool {
        self.examined.directory().is_some_and(|data| files::look(data, file).is_ok_and(|found| found.is_some()))
    }

    /// Looks at everything a start depends on and writes nothing.
    ///
    /// What it changes all the same, being sure that nobody else looks after the data directory: servers that a killed
    /// supervisor left behind are ended, and a restore that was killed half-way is undone. Takes seconds then, else
    /// milliseconds. With `waits_for_room`, an existing database may be on a full disk.
    ///
    /// # Errors
    /// Exit code 13 (data directory), 14 (its disk is full), 15 (a program or user is missing) or 16 (an exposed port is taken).
    pub fn look(self, app: impl Into<Option<App>>, waits_for_room: bool) -> Result<Survey, Fault> {
        let app = app.into();
        let Self { settings, mut examined } = self;
        if examined.directory().is_some_and(swap::is_unfinished) {
            examined = undo_restore(examined, &settings)?;
        }
        let postgres = settings
            .bundled_postgres
            .then(|| postgres::find(examined.cluster(), examined.path(), &settings.search_path))
            .transpose()?;
        if settings.bundled_postgres {
            disk::check(&examined, waits_for_room)?;
        }
        let redis = settings.bundled_redis.then(|| redis::find(&settings.search_path)).transpose()?;
        let users = Users::find(&settings, app.is_some())?;
        if let Some(directory) = examined.directory() {
            leftovers::end(directory).map_err(|error| left(&error))?;
        }
        if settings.expose_db && settings.bundled_postgres {
            check_port(5432, "EXPOSE_DB_PORT")?;
        }
        if settings.expose_redis && settings.bundled_redis {
            check_port(6379, "EXPOSE_REDIS_PORT")?;
        }
        Ok(Survey { settings, app, examined, users, postgres, redis })
    }
}

impl Survey {
    /// Stakes the claim and looks.
    ///
    /// # Errors
    /// As [`Claim::stake`] and [`Claim::look`].
    pub fn look(settings: Settings, app: impl Into<Option<App>>) -> Result<Self, Fault> {
        Claim::stake(settings)?.look(app, false)
    }

    /// Lays out the data directory and generates what secrets are missing.
    ///
    /// # Errors
    /// Exit code 13, or 14 when the disk is to blame.
    pub fn settle(self) -> Result<Context, Fault> {
        let made_room = self.examined.directory().and_then(disk::make_room);
        let data = self.examined.layout(&self.users)?;
        let secrets = Secrets::load(&data.secrets, &self.settings, owner(self.users.app.as_ref()))?;
        let tags = Arc::new(Tags::of(&data.dir));
        Ok(Context {
            tags,
            settings: self.settings,
            app: self.app,
            data,
            users: self.users,
            postgres: self.postgres,
            redis: self.redis,
            secrets,
            memory: Memory::measure(),
            made_room,
        })
    }
}

impl Context {
    /// Every secret value that must not show in a log. The administrator's password is generated by the application, so
    /// it is looked for each time.
    pub fn secret_values(&self) -> impl Iterator<Item = Secret> {
        let known = self.secrets.values().chain(&self.settings.secret_values).cloned();
        known.chain(secrets::admin_password(&self.data.secrets))
    }
}

fn left(error: &std::io::Error) -> Fault {
    Fault::data_directory(format!("Processes of an earlier run cannot be ended: {error}."))
}

/// A restore was killed half-way: its old data come back before anything else is looked at.
fn undo_restore(examined: Examined, settings: &Settings) -> Result<Examined, Fault> {
    let failed = |error: std::io::Error| {
        Fault::data_directory(format!("The data before a restore that was broken off cannot be brought back: {error}."))
    };
    if let Some(directory) = examined.directory() {
        leftovers::end(directory).map_err(failed)?;
        swap::undo(directory).map_err(failed)?;
    }
    examined.again(settings)
}

/// A bundled server would fail later and less clearly if its port were taken.
fn check_port(port: u16, variable: &str) -> Result<(), Fault> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .map(drop)
        .map_err(|error| Fault::new(exit::PORT_IN_USE, format!("{variable}: port {port} cannot be used: {error}.")))
}
