//! Passwords and keys: kept in `secrets/`, generated when nothing says otherwise.
//!
//! A file holds what is in force. So the passwords of database roles are written only after PostgreSQL took them
//! (see [`crate::postgres::cluster`]); until then a role is listed in [`Secrets::changed`].

use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::files::{self, Owner};
use crate::settings::{Secret, Settings};

/// Mode of every file in `secrets/`.
const MODE: u32 = 0o600;
/// More than any password or key.
const LIMIT: u64 = 16 * 1024;

/// A role of the bundled PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The superuser.
    Postgres,
    /// The application's role, owner of its database.
    App,
    /// The role of dashboards, reading schema `analytics` only.
    Analytics,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::App, Self::Analytics];

    /// Its name in PostgreSQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::App => "glitchbox",
            Self::Analytics => "analytics_ro",
        }
    }

    /// The file in `secrets/` with its password.
    pub fn file(self) -> &'static str {
        match self {
            Self::Postgres => "postgres-password",
            Self::App => "db-password",
            Self::Analytics => "analytics-password",
        }
    }
}

/// The passwords of the bundled servers, as they have to be.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// A password for each role; empty without the bundled PostgreSQL.
    pub roles: Vec<(Role, Secret)>,
    /// Roles whose password is not yet in force.
    pub changed: Vec<Role>,
    /// The bundled Redis's password; none without it.
    pub redis: Option<Secret>,
    /// Signs the reports that go to `RESTART_WEBHOOK_URL`.
    pub webhook: Option<Secret>,
    /// What the application signs with, unless a setting says it.
    pub key: Option<Secret>,
}

impl Secrets {
    /// Reads `folder`, takes what `settings` prescribe and generates the rest.
    pub fn load(folder: &OwnedFd, settings: &Settings, owner: Option<Owner>) -> Result<Self, Fault> {
        let mut secrets = Self::default();
        if settings.bundled_postgres {
            for role in Role::ALL {
                let kept = read(folder, role.file())?;
                let given = settings.db_password.clone().filter(|_| role == Role::App);
                let wanted = given.or_else(|| kept.clone()).unwrap_or_else(generate);
                if kept.as_ref() != Some(&wanted) {
                    secrets.changed.push(role);
                }
                secrets.roles.push((role, wanted));
            }
        }
        if settings.bundled_redis {
            let password = ensure(folder, "redis-password", settings.redis_password.clone(), owner)?;
            secrets.redis = Some(password);
        }
        secrets.webhook = match &settings.channels.webhook_secret {
            Some(given) => Some(given.clone()),
            None => Some(ensure(folder, "webhook-secret", None, owner)?),
        };
        if !settings.secret_key_given {
            secrets.key = Some(ensure(folder, "secret-key", None, owner)?);
        }
        Ok(secrets)
    }

    /// The password of `role`.
    pub fn role(&self, role: Role) -> Option<&Secret> {
        self.roles.iter().find(|(known, _)| *known == role).map(|(_, password)| password)
    }

    /// Every password and key, for redaction.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.roles.iter().map(|(_, password)| password).chain(&self.redis).chain(&self.webhook).chain(&self.key)
    }
}

/// The administrator's password, once the application has generated one.
pub fn admin_password(folder: &OwnedFd) -> Option<Secret> {
    read(folder, "admin-password").ok().flatten()
}

/// Writes the password of `role` down, once PostgreSQL took it.
pub fn keep(folder: &OwnedFd, role: Role, password: &Secret, owner: Option<Owner>) -> io::Result<()> {
    files::write(folder, role.file(), password.expose().as_bytes(), MODE, owner)
}

/// The secret in the file `name`; `None` when it is missing or empty.
fn read(folder: &OwnedFd, name: &str) -> Result<Option<Secret>, Fault> {
    let content = files::read(folder, name, LIMIT).map_err(|error| fault(name, &error.to_string()))?;
    let Some(content) = content else { return Ok(None) };
    let text = String::from_utf8(content).map_err(|_| fault(name, "it is not valid UTF-8"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.chars().any(char::is_control) {
        return Err(fault(name, "it contains a line break or another control character"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

/// Sees to it that the file `name` holds `given`, or else what it held before, or else something new.
fn ensure(folder: &OwnedFd, name: &str, given: Option<Secret>, owner: Option<Owner>) -> Result<Secret, Fault> {
    let kept = read(folder, name)?;
    let wanted = given.or_else(|| kept.clone()).unwrap_or_else(generate);
    if kept.as_ref() != Some(&wanted) {
        files::write(folder, name, wanted.expose().as_bytes(), MODE, owner)
            .map_err(|error| Fault::writing(fault(name, &error.to_string()).message, &error))?;
    }
    Ok(wanted)
}

/// 256 random bits in hexadecimal.
pub(crate) fn generate() -> Secret {
    let [high, low]: [u128; 2] = rand::random();
    Secret::new(format!("{high:032x}{low:032x}"))
}

fn fault(name: &str, what: &str) -> Fault {
    Fault::data_directory(format!("The file secrets/{name} of the data directory cannot be used: {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Settings::from_env(variables, &Overrides::default()).unwrap()
    }

    #[test]
    fn generated_once_and_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = OwnedFd::from(std::fs::File::open(temporary.path()).unwrap());
        let first = Secrets::load(&folder, &settings(&[]), None).unwrap();
        assert_eq!(first.changed, Role::ALL, "nothing is in force before PostgreSQL took it");
        assert!(!temporary.path().join("db-password").exists());
        for (role, password) in &first.roles {
            keep(&folder, *role, password, None).unwrap();
        }
        for name in
            ["redis-password", "secret-key", "webhook-secret", "db-password", "postgres-password", "analytics-password"]
        {
            let path = temporary.path().join(name);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
            assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 64, "{name}");
        }
        let second = Secrets::load(&folder, &settings(&[]), None).unwrap();
        assert!(second.changed.is_empty());
        assert_eq!(second.roles, first.roles);
        assert_eq!(second.redis, first.redis);
        let mut values: Vec<_> = first.values().map(Secret::expose).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 6, "every password is another");
        assert_eq!(first.key, second.key);
        assert_eq!(admin_password(&folder), None);
        std::fs::write(temporary.path().join("admin-password"), "generated by the application").unwrap();
        assert_eq!(admin_password(&folder).unwrap().expose(), "generated by the application");
    }

    #[test]
    fn a_given_password_wins_and_shows_as_changed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = OwnedFd::from(std::fs::File::open(temporary.path()).unwrap());
        std::fs::write(temporary.path().join("db-password"), "the old one\n").unwrap();
        let secrets = Secrets::load(&folder, &settings(&[("DB_PASSWORD", "the new one")]), None).unwrap();
        assert_eq!(secrets.role(Role::App).unwrap().expose(), "the new one");
        assert!(secrets.changed.contains(&Role::App));
        let secrets = Secrets::load(&folder, &settings(&[("DB_PASSWORD", "the old one")]), None).unwrap();
        assert!(!secrets.changed.contains(&Role::App));
        let given = settings(&[("REDIS_PASSWORD", "mine"), ("SECRET_KEY", "mine too")]);
        assert_eq!(Secrets::load(&folder, &given, None).unwrap().redis.unwrap().expose(), "mine");
    }

    #[test]
    fn external_servers_need_none() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = OwnedFd::from(std::fs::File::open(temporary.path()).unwrap());
        let external = settings(&[
            ("DATABASE_URL", "postgres://h/d"),
            ("REDIS_URL", "redis://h"),
            ("SECRET_KEY", "k"),
            ("RESTART_WEBHOOK_SECRET", "w"),
        ]);
        let secrets = Secrets::load(&folder, &external, None).unwrap();
        assert_eq!(secrets.values().map(Secret::expose).collect::<Vec<_>>(), ["w"]);
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    }
}
