//! Making the cluster, and bringing an existing one up to what is wanted. Runs in the preparation's own process.
//!
//! A new cluster is made in `postgres.tmp`, from the image's template or by initdb, gets its roles, passwords and
//! database there in a session of our own, is synced to disk, and only then renamed to `postgres`. So a folder `postgres`
//! is always a whole cluster, and no server that others can reach ever runs without passwords.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::fcntl::renameat;
use nix::unistd::{UnlinkatFlags, syncfs, unlinkat};
use serde::{Deserialize, Serialize};

use super::config::{self, Inputs};
use super::session::{Session, run};
use super::{DATABASE, Server, command, template};
use crate::context::Context;
use crate::datadir::owner;
use crate::files::{self, Owner};
use crate::secrets::{self, Role};
use crate::settings::Secret;
use crate::spawn::{Credentials, LaunchSpec};
use crate::tuning::{self, Memory};

/// The cluster's folder in a data directory.
pub const FOLDER: &str = "postgres";
/// The folder it is made in.
const UNFINISHED: &str = "postgres.tmp";

/// What the preparation is told about the cluster.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    bin: PathBuf,
    major: u32,
    /// Who runs PostgreSQL and owns the cluster.
    user: Option<Owner>,
    /// Who owns the secrets.
    secrets_owner: Option<Owner>,
    roles: Vec<(Role, Secret)>,
    /// Roles whose password an existing cluster does not have yet.
    changed: Vec<Role>,
    /// The superuser's password that an existing cluster has, as far as it is known.
    in_force: Option<Secret>,
    /// A cluster made beforehand, for a new one.
    template: Option<PathBuf>,
    server_conf: String,
    access_conf: String,
}

impl Request {
    /// What to do for `context`; `None` without the bundled PostgreSQL.
    pub fn new(context: &Context) -> Option<Self> {
        let server = context.postgres.as_ref()?;
        let expose = context.settings.expose_db;
        let has_shared_memory_room = tuning::has_shared_memory_room();
        Some(Self {
            bin: server.bin.clone(),
            major: server.major,
            user: owner(context.users.postgres.as_ref()),
            secrets_owner: owner(context.users.app.as_ref()),
            roles: context.secrets.roles.clone(),
            changed: context.secrets.changed.clone(),
            in_force: context
                .secrets
                .role(Role::Postgres)
                .filter(|_| !context.secrets.changed.contains(&Role::Postgres))
                .cloned(),
            template: template::find_for(server.major),
            server_conf: config::server(Inputs { memory: context.memory, expose, has_shared_memory_room }),
            access_conf: config::access(expose),
        })
    }

    /// A cluster to be made once and copied from then on; `password` is that of all roles.
    pub(super) fn for_template(server: Server, user: Option<Owner>, password: &Secret) -> Self {
        let memory = Memory::divide(1 << 30);
        Self {
            bin: server.bin,
            major: server.major,
            user,
            secrets_owner: None,
            roles: Role::ALL.map(|role| (role, password.clone())).into(),
            changed: Vec::new(),
            in_force: None,
            template: None,
            server_conf: config::server(Inputs { memory, expose: false, has_shared_memory_room: false }),
            access_conf: config::access(false),
        }
    }

    /// A new cluster that nobody can reach but through its socket.
    pub(super) fn scratch(
        server: Server,
        user: Option<Owner>,
        secrets_owner: Option<Owner>,
        roles: Vec<(Role, Secret)>,
    ) -> Self {
        let has_shared_memory_room = tuning::has_shared_memory_room();
        Self {
            template: template::find_for(server.major),
            bin: server.bin,
            major: server.major,
            user,
            secrets_owner,
            roles,
            changed: Vec::new(),
            in_force: None,
            server_conf: config::server(Inputs { memory: Memory::measure(), expose: false, has_shared_memory_room }),
            access_conf: config::access(false),
        }
    }

    /// Sees to the cluster in the data directory `dir`. No PostgreSQL process of this directory may be alive.
    ///
    /// # Errors
    /// What failed, with the last words of the program that failed.
    pub fn carry_out(&self, dir: &OwnedFd) -> Result<(), String> {
        let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let is_there = match files::open_folder(dir, FOLDER) {
            Ok(folder) => files::look(&folder, "PG_VERSION").map_err(told("looking at the cluster"))?.is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(told("opening the cluster")(error)),
        };
        files::remove_folder(dir, UNFINISHED).map_err(told("removing an unfinished cluster"))?;
        let changed = if is_there {
            self.refresh(dir)?;
            &self.changed
        } else {
            self.create(dir)?;
            &self.roles.iter().map(|(role, _)| *role).collect()
        };
        let secrets = files::open_folder(dir, "secrets").map_err(told("opening secrets"))?;
        for (role, password) in self.roles.iter().filter(|(role, _)| changed.contains(role)) {
            secrets::keep(&secrets, *role, password, self.secrets_owner).map_err(told("keeping a password"))?;
        }
        Ok(())
    }

    fn create(&self, dir: &OwnedFd) -> Result<(), String> {
        let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let folder = self.make(dir)?;
        syncfs(&*folder).map_err(|errno| told("syncing the cluster")(errno.into()))?;
        // An empty folder of that name may be there; a rename onto it would need its owner's consent.
        match unlinkat(dir, FOLDER, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
            Err(errno) => return Err(told("making room for the cluster")(errno.into())),
        }
        renameat(dir, UNFINISHED, dir, FOLDER)
            .map_err(io::Error::from)
            .and_then(|()| files::sync_folder(dir.as_fd()))
            .map_err(told("putting the cluster in its place"))
    }

    /// Makes a cluster in the folder [`UNFINISHED`] of `dir`, which must not be there. Not yet synced to disk.
    pub(super) fn make(&self, dir: &OwnedFd) -> Result<Arc<OwnedFd>, String> {
        let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let folder =
            files::make_folder(dir, UNFINISHED, 0o700, self.user).map(Arc::new).map_err(told("making the cluster"))?;
        let password = Secret::new(template::PASSWORD);
        let mut statements = self.role_statements(&Role::ALL);
        if let Some(path) = &self.template {
            template::unpack(path, &folder, self.user)
                .map_err(|error| format!("unpacking {}: {error}", path.display()))?;
        } else {
            self.initdb(&folder)?;
            statements.push(format!("create database {DATABASE} owner {}", Role::App.name()));
            statements.push(format!("revoke all on database {DATABASE} from public"));
            statements.push(format!("grant connect on database {DATABASE} to {}", Role::Analytics.name()));
        }
        self.configure(&folder)?;
        let password = self.template.is_some().then_some(&password);
        let session = Session { bin: &self.bin, user: self.user, folder: &folder, password, disposable: true };
        session.run(&statements)?;
        Ok(folder)
    }

    fn initdb(&self, folder: &Arc<OwnedFd>) -> Result<(), String> {
        // The data is synced once, at the end, so the programs need not.
        let mut arguments = vec![
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth=reject",
            "--no-sync",
            "--no-instructions",
        ];
        if self.major >= 17 {
            // Sorting that no upgrade of the C library can change.
            arguments.extend(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        }
        run("initdb", &self.command("initdb", &arguments, folder)?).map(drop)
    }

    fn refresh(&self, dir: &OwnedFd) -> Result<(), String> {
        let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        // With another owner (an image where the user has another number) PostgreSQL would refuse to start.
        let folder =
            files::make_folder(dir, FOLDER, 0o700, self.user).map(Arc::new).map_err(told("opening the cluster"))?;
        // Nobody of this directory is alive, so what a crash left only misleads: its process id may be another's now.
        files::remove(&folder, "postmaster.pid").map_err(told("removing postmaster.pid"))?;
        if let Ok(run) = files::open_folder(dir, "run") {
            for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
                files::remove(&run, name).map_err(told("removing an old socket"))?;
            }
        }
        self.configure(&folder)?;
        if self.changed.is_empty() {
            return Ok(());
        }
        let password = self.in_force.as_ref();
        let session = Session { bin: &self.bin, user: self.user, folder: &folder, password, disposable: false };
        session.run(&self.role_statements(&self.changed))
    }

    fn configure(&self, folder: &OwnedFd) -> Result<(), String> {
        for (name, content) in [("postgresql.conf", &self.server_conf), ("pg_hba.conf", &self.access_conf)] {
            let known = files::read(folder, name, 1 << 20).ok().flatten();
            if known.as_deref() != Some(content.as_bytes()) {
                files::write(folder, name, content.as_bytes(), 0o600, self.user)
                    .map_err(|error| format!("writing {name}: {error}"))?;
            }
        }
        Ok(())
    }

    /// Makes `roles` where they are missing and gives them their passwords.
    fn role_statements(&self, roles: &[Role]) -> Vec<String> {
        let mut statements = Vec::new();
        for (role, password) in self.roles.iter().filter(|(role, _)| roles.contains(role)) {
            let name = role.name();
            if *role != Role::Postgres {
                statements.push(format!(
                    "do $$ begin if not exists (select from pg_roles where rolname = '{name}') then create role {name} login; end if; end $$"
                ));
            }
            if *role == Role::Analytics {
                statements.extend([
                    format!("alter role {name} connection limit 5"),
                    format!("alter role {name} set statement_timeout = '30s'"),
                    format!("alter role {name} set idle_in_transaction_session_timeout = '60s'"),
                    format!("alter role {name} set default_transaction_read_only = on"),
                ]);
            }
            statements.push(format!("alter role {name} password {}", quote(password.expose())));
        }
        statements
    }

    fn command(&self, program: &str, arguments: &[&str], folder: &Arc<OwnedFd>) -> Result<LaunchSpec, String> {
        let credentials = self.user.map(|(uid, gid)| Credentials { uid, gid, groups: Vec::new() });
        command(&self.bin, program, arguments, Arc::clone(folder), credentials).map_err(|error| error.to_string())
    }
}

/// An SQL string; line breaks and other control characters were refused before.
fn quote(text: &str) -> String {
    // Escape strings read the same whatever `standard_conforming_strings` says.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted() {
        assert_eq!(quote(r"it's a \ slash"), r"E'it''s a \\ slash'");
    }
}
