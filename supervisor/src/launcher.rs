//! From a service of the plan to the launch of its program.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{User, getgrouplist};

use crate::context::{Context, SYSTEM_PATH};
use crate::plan::{CheckHow, Ready, Run, ServiceSpec};
use crate::reap::MARK;
use crate::spawn::{Credentials, LaunchSpec, Program};
use crate::{app, files, postgres, prepare, probe, redis};

/// The number of the listening socket in a child.
const LISTENER_FD: i32 = 3;

/// Most bytes of the path of a socket.
const LONGEST_SOCKET_PATH: usize = 107;

/// Knows how each service of a plan is started and asked.
#[derive(Debug)]
pub struct Launcher {
    context: Context,
}

impl Launcher {
    /// A launcher for one data directory.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// What the services are started from.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How to start one run of a service, marked as such.
    ///
    /// # Errors
    /// What is missing, for a person.
    pub fn launch(
        &self,
        service: &ServiceSpec,
        generation: u64,
        listener: Option<Arc<OwnedFd>>,
    ) -> Result<LaunchSpec, String> {
        let context = &self.context;
        let absent = || "it is not part of this appliance".to_owned();
        let told = |error: std::io::Error| error.to_string();
        let mut launch = match (&service.run, service.name.as_str()) {
            (Run::Bundled, "prepare") => prepare::launch(context).map_err(told)?,
            (Run::Bundled, "postgres") => postgres::launch(context).map_err(told)?.ok_or_else(absent)?,
            (Run::Bundled, "redis") => redis::launch(context).ok_or_else(absent)?,
            (Run::Bundled, _) => return Err(absent()),
            (Run::App, role) => app::launch(context, role, generation, listener).ok_or_else(absent)?,
            (Run::Exec { .. }, _) => self.command(service, listener)?,
        };
        launch.set_env(MARK, mark(service, generation));
        launch.tag = context.tags.next();
        launch.confinement.clone_from(&service.confinement);
        if service.ready == Ready::Notify && !service.oneshot {
            let path = app::notify_path(&service.name, generation);
            let data = &context.data.path;
            let is_users = matches!(service.run, Run::Exec { .. });
            let shown = if is_users { notify_socket(data, path, launch.credentials.as_ref()) } else { path };
            launch.set_env("NOTIFY_SOCKET", shown);
            if service.watchdog_ms > 0 {
                launch.set_env("WATCHDOG_USEC", service.watchdog_usec().to_string());
            }
        }
        Ok(launch)
    }

    /// How one run of a service is checked, if the plan says so.
    ///
    /// # Errors
    /// What is missing, for a person.
    pub fn check(
        &self,
        service: &ServiceSpec,
        generation: u64,
        children: &probe::Children,
    ) -> Result<Option<probe::Way>, String> {
        let Some(check) = &service.check else { return Ok(None) };
        Ok(Some(match &check.how {
            CheckHow::Http { address, host, path } => {
                probe::Way::Http { address: *address, host: host.clone(), path: path.clone() }
            }
            CheckHow::Tcp(address) => probe::Way::Tcp(*address),
            CheckHow::Unix(path) => probe::Way::Unix(files::proc_path(&self.context.data.dir).join(path)),
            CheckHow::Exec(command) => {
                let name = command.first().ok_or("its check is empty")?;
                let program = find_program(name).ok_or_else(|| format!("there is no program {name} for its check"))?;
                let mark = format!("{}#check-{generation}", service.name);
                let mut launch = self.launch(service, generation, None)?;
                launch.program = Program::Path(program);
                launch.argv = command.iter().map(OsString::from).collect();
                // It is not for the check to speak for the service.
                launch.env.retain(|(name, _)| name != "NOTIFY_SOCKET" && name != "WATCHDOG_USEC");
                launch.set_env(MARK, &mark);
                let tags = Arc::clone(&self.context.tags);
                probe::Way::Program(Box::new(probe::Program { launch, mark, tags, children: children.clone() }))
            }
        }))
    }

    /// Whom to ask whether a service that is probed is ready.
    pub fn target(&self, service: &ServiceSpec) -> Option<probe::Target> {
        match service.name.as_str() {
            "postgres" => Some(probe::Target::Postgres),
            "redis" => Some(probe::Target::Redis(self.context.secrets.redis.as_ref()?.expose().to_owned())),
            _ => None,
        }
    }

    /// Where one run of a service tells about itself, if it does: the private socket of a role that listens. All runs
    /// share the public one, so only there can this very run be asked.
    pub fn status_socket(&self, service: &ServiceSpec, generation: u64) -> Option<PathBuf> {
        let tells = service.listen && service.run == Run::App;
        tells.then(|| files::proc_path(&self.context.data.run).join(app::status_path(&service.name, generation)))
    }

    /// A command of the user's own: in the data directory, with an environment of its own that has no secret of ours.
    fn command(&self, service: &ServiceSpec, listener: Option<Arc<OwnedFd>>) -> Result<LaunchSpec, String> {
        let Run::Exec { command, env, pass_env, user } = &service.run else { return Err(String::new()) };
        let name = command.first().ok_or("its command is empty")?;
        let program = find_program(name).ok_or_else(|| format!("there is no program {name}"))?;
        let argv: Vec<OsString> = command.iter().map(OsString::from).collect();
        let mut launch = LaunchSpec::new(Program::Path(program), argv, Arc::clone(&self.context.data.dir));
        launch.set_env("PATH", SYSTEM_PATH);
        launch.set_env("DATA_DIR", ".");
        launch.set_env("TZ", self.context.settings.timezone.as_deref().unwrap_or("UTC"));
        if let Some(user) = user {
            let (credentials, home) = look_up(user)?;
            launch.credentials = Some(credentials);
            launch.set_env("USER", user);
            launch.set_env("HOME", home);
        }
        if let Some(listener) = listener {
            launch.inherit.push((listener, LISTENER_FD));
            launch.set_env("LISTEN_FDS", "1");
            launch.set_env("PORT", self.context.settings.port.to_string());
        }
        for name in pass_env {
            if let Some(value) = std::env::var_os(name) {
                launch.set_env(name, value);
            }
        }
        for (name, value) in env {
            launch.set_env(name, value);
        }
        Ok(launch)
    }
}

/// Where a service of the user's own reports: what it uses for that may refuse a relative path (libsystemd). The path stays
/// relative where an absolute one is too long for a socket, or leads through folders that are closed to it.
fn notify_socket(data: &Path, relative: String, who: Option<&Credentials>) -> String {
    let absolute = data.join(&relative).into_os_string().into_string();
    let fits = |path: &String| path.starts_with('/') && path.len() <= LONGEST_SOCKET_PATH;
    absolute.ok().filter(|path| fits(path) && who.is_none_or(|who| is_open(data, who))).unwrap_or(relative)
}

/// Whether this user can pass through all folders down to this one.
fn is_open(folder: &Path, who: &Credentials) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let mut parts = folder.ancestors().map(std::fs::metadata);
    who.uid == 0
        || parts.all(|part| {
            part.is_ok_and(|part| {
                let is_group = part.gid() == who.gid || who.groups.contains(&part.gid());
                let bit = match (part.uid() == who.uid, is_group) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                part.mode() & bit != 0
            })
        })
}

/// What marks all processes of one run.
pub fn mark(service: &ServiceSpec, generation: u64) -> String {
    format!("{}#{generation}", service.name)
}

fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    SYSTEM_PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// The user of that name, all its groups included.
fn look_up(name: &str) -> Result<(Credentials, PathBuf), String> {
    let user = User::from_name(name).map_err(|errno| format!("user {name} cannot be looked up: {errno}"))?;
    let user = user.ok_or_else(|| format!("there is no user {name}"))?;
    let c_name = std::ffi::CString::new(name).map_err(|_| format!("there is no user {name}"))?;
    let groups = getgrouplist(&c_name, user.gid).unwrap_or_default();
    let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
    Ok((Credentials { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups }, user.dir))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_socket_to_report_to_is_absolute_where_that_can_be_used() {
        let relative = || "run/notify/mine.1".to_owned();
        assert_eq!(notify_socket(Path::new("/data"), relative(), None), "/data/run/notify/mine.1");
        let room = LONGEST_SOCKET_PATH - relative().len() - 1;
        let fits = format!("/{}", "x".repeat(room - 1));
        assert_eq!(notify_socket(Path::new(&fits), relative(), None), format!("{fits}/run/notify/mine.1"));
        assert_eq!(notify_socket(Path::new(&format!("{fits}x")), relative(), None), relative());

        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let stranger = Credentials { uid: 54_321, gid: 54_321, groups: Vec::new() };
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(notify_socket(&data, relative(), Some(&stranger)), relative());
        let owner = folder.path().metadata().unwrap();
        let owner = Credentials { uid: owner.uid(), gid: owner.gid(), groups: Vec::new() };
        assert!(notify_socket(&data, relative(), Some(&owner)).starts_with('/'));
    }
}
