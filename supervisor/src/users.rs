//! Who the services run as.
//!
//! As root, PostgreSQL, Redis and the application each get a user of their own. As an ordinary user there is no
//! choice: everything runs as that user.

use nix::unistd::{User, geteuid};

use crate::error::Fault;
use crate::settings::Settings;
use crate::spawn::Credentials;

/// The three users; each `None` when everything runs as ourselves.
#[derive(Debug, Clone, Default)]
pub struct Users {
    /// Owner of the cluster, runs PostgreSQL.
    pub postgres: Option<Credentials>,
    /// Runs Redis.
    pub redis: Option<Credentials>,
    /// Runs web, worker and the one-shot commands; owns the secrets.
    pub app: Option<Credentials>,
}

impl Users {
    /// Looks the users up. As root a missing one is a configuration fault that says how to make it.
    /// `with_app`: the application's user is needed too.
    pub fn find(settings: &Settings, with_app: bool) -> Result<Self, Fault> {
        if !geteuid().is_root() {
            return Ok(Self::default());
        }
        Ok(Self {
            postgres: settings.bundled_postgres.then(|| find("postgres")).transpose()?,
            redis: settings.bundled_redis.then(|| find("redis")).transpose()?,
            app: with_app.then(|| find("glitchbox")).transpose()?,
        })
    }
}

/// The user `name`, who has to exist.
pub(crate) fn find(name: &str) -> Result<Credentials, Fault> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Credentials { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups: Vec::new() }),
        Ok(None) => Err(Fault::configuration(format!(
            "There is no user {name:?} to run as. Make it with: useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {name}"
        ))),
        Err(error) => Err(Fault::configuration(format!("The user {name:?} cannot be looked up: {error}"))),
    }
}
