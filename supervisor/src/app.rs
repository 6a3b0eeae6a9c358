//! Starting the application's roles and one-shot commands.
//!
//! The application runs inside the data directory (`DATA_DIR=.`), so that its paths are short and no parent needs to
//! be open to its user; `GLITCHBOX_DATA_DIR_SHOWN` is the path people are told.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;

use crate::context::{Context, SYSTEM_PATH};
use crate::control;
use crate::environment;
use crate::error::Fault;
use crate::settings::Settings;
use crate::spawn::{LaunchSpec, Program};

/// The program's file name, and `argv[0]`.
const NAME: &str = "glitchbox";
/// The number of the inherited listening socket (the `LISTEN_FDS` convention).
const LISTENER_FD: RawFd = 3;

/// The application's program, kept open: every generation runs the same one, wherever it is.
#[derive(Debug, Clone)]
pub struct App {
    /// Where it was found.
    pub path: PathBuf,
    file: Arc<OwnedFd>,
}

impl App {
    /// The program beside our own.
    ///
    /// # Errors
    /// Exit code 15 when it is not there.
    pub fn find() -> Result<Self, Fault> {
        let own = std::env::current_exe()
            .map_err(|error| Fault::configuration(format!("The supervisor's own program cannot be found: {error}.")))?;
        Self::open(own.with_file_name(NAME))
    }

    /// The program at `path`.
    ///
    /// # Errors
    /// Exit code 15 when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self, Fault> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file: Arc::new(file.into()) }),
            Err(error) => {
                Err(Fault::configuration(format!("The program {} cannot be opened: {error}.", path.display())))
            }
        }
    }

    /// `glitchbox check`: the application's view of the environment, before anything is written. It runs as ourselves
    /// and outside the data directory, which may not exist yet.
    ///
    /// # Errors
    /// When the root directory cannot be opened.
    pub fn check(&self, settings: &Settings) -> io::Result<LaunchSpec> {
        let cwd = Arc::new(OwnedFd::from(File::open("/")?));
        let mut spec = LaunchSpec::new(self.program(), vec![NAME.into(), "check".into()], cwd);
        let all = settings.app_env.iter().cloned();
        spec.env = environment(all, settings, &settings.data_dir, settings.data_dir.clone().into());
        Ok(spec)
    }

    fn program(&self) -> Program {
        Program::Fd(Arc::clone(&self.file))
    }
}

/// `glitchbox ROLE`: `web`, `worker`, or the one-shot commands `migrate` and `banner`.
///
/// A role reports to the socket [`notify_path`], which must exist by then. With a `listener` it inherits that socket,
/// and makes a private one at [`status_path`].
/// `None` when the plan has no role of the application.
pub fn launch(context: &Context, role: &str, generation: u64, listener: Option<Arc<OwnedFd>>) -> Option<LaunchSpec> {
    let app = context.app.as_ref()?;
    let argv = vec![NAME.into(), role.into()];
    let mut spec = LaunchSpec::new(app.program(), argv, Arc::clone(&context.data.dir));
    let settings = &context.settings;
    let given = environment::for_role(role, &settings.app_env);
    spec.env = environment(given, settings, &context.data.path, ".".into());
    if matches!(role, "web" | "worker") {
        spec.set_env("NOTIFY_SOCKET", notify_path(role, generation));
    }
    if let Some(listener) = listener {
        spec.inherit.push((listener, LISTENER_FD));
        spec.set_env("LISTEN_FDS", "1");
        spec.set_env("GLITCHBOX_STATUS_SOCKET", format!("run/{}", status_path(role, generation)));
        spec.set_env("GLITCHBOX_METRICS_SOCKET", format!("run/{}", control::METRICS_SOCKET));
    }
    spec.credentials.clone_from(&context.users.app);
    spec.death_signal = Some(Signal::SIGTERM);
    Some(spec)
}

/// The readiness socket of one process, relative to the data directory.
pub fn notify_path(role: &str, generation: u64) -> String {
    format!("run/notify/{role}.{generation}")
}

/// The private socket on which one process of a role that listens tells about itself, relative to `run/`.
pub fn status_path(role: &str, generation: u64) -> String {
    format!("status/{role}.{generation}")
}

fn environment(
    given: impl Iterator<Item = (OsString, OsString)>,
    settings: &Settings,
    shown: &Path,
    data_dir: OsString,
) -> Vec<(OsString, OsString)> {
    let ours: [(&str, OsString); 4] = [
        ("PATH", SYSTEM_PATH.into()),
        ("PORT", settings.port.to_string().into()),
        ("DATA_DIR", data_dir),
        ("GLITCHBOX_DATA_DIR_SHOWN", shown.into()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.into(), value));
    // Measured: without this the worker keeps up to 60 MB that it has used once, and gains nothing by it. A value from
    // outside comes first, and counts.
    let purge = (OsString::from("MIMALLOC_PURGE_DELAY"), OsString::from("0"));
    given.chain(ours).chain([purge]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    #[test]
    fn the_environment_is_the_users_and_ours() {
        let variables = [("DEBUG".into(), "true".into()), ("PORT".into(), "9000".into())];
        let settings = Settings::from_env(variables, &Overrides::default()).unwrap();
        let given = environment::for_role("web", &settings.app_env);
        let environment = environment(given, &settings, Path::new("/shown"), ".".into());
        let value = |name: &str| environment.iter().find(|(known, _)| known == name).unwrap().1.to_str().unwrap();
        assert_eq!(value("DEBUG"), "true");
        assert_eq!(value("PORT"), "9000");
        assert_eq!(value("DATA_DIR"), ".");
        assert_eq!(value("GLITCHBOX_DATA_DIR_SHOWN"), "/shown");
    }

    #[test]
    fn a_missing_program_is_named() {
        let fault = App::open("/nowhere/glitchbox".into()).unwrap_err();
        assert_eq!(fault.exit, 15);
        assert!(fault.message.contains("/nowhere/glitchbox"));
    }
}
