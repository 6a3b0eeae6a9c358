//! What `run` and `check` look at before anything is written.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Start;
use crate::app::App;
use crate::error::Fault;
use crate::plan::{self, Plan};
use crate::settings::{Overrides, Settings};
use crate::spawn::spawn;
use crate::state::Exit;
use crate::task::BackupRules;
use crate::users::Users;
use crate::{mount, postgres, reap, redis};

/// The plan file's name in a `conf` folder.
const FILE: &str = "supervisor.toml";

/// Where installed packages keep it.
const SHARED: &str = "/usr/share/glitchbox/conf";

/// The plan: of the file given, else of the one that lies near the program, else the built-in one.
///
/// # Errors
/// Exit code 15 with every fault of the file and its line.
pub fn load_plan(start: &Start) -> Result<Plan, Fault> {
    let (shown, text) = match start.config.clone().or_else(nearby) {
        None => ("the built-in conf/supervisor.toml".to_owned(), plan::DEFAULT.to_owned()),
        Some(path) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Fault::configuration(format!("{shown} cannot be read: {error}.")))?;
            (shown, text)
        }
    };
    plan::parse(&text).map_err(|errors| {
        let lines: Vec<String> = errors.into_iter().map(|error| format!("{shown}, {error}")).collect();
        Fault::configuration(lines.join("\n"))
    })
}

fn nearby() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folder = own.parent()?;
    let conf = [folder.join("../../conf"), folder.join("../conf"), PathBuf::from(SHARED)];
    conf.into_iter().map(|folder| folder.join(FILE)).find(|path| path.is_file())
}

/// The settings, and the plan without the servers for which they name others.
///
/// # Errors
/// Exit code 15 with every complaint, each naming its variable.
pub fn load_settings(start: &Start, plan: &mut Plan) -> Result<Settings, Fault> {
    let overrides = Overrides { data_dir: start.data_dir.clone(), port: start.port };
    let mut settings = Settings::from_env(std::env::vars_os(), &overrides)
        .map_err(|complaints| with_app_complaints(complaints, plan, &overrides))?;
    settings.data_dir = mount::root_of(&settings.data_dir_given);
    settings.bundled_postgres &= plan.has_bundled("postgres");
    settings.bundled_redis &= plan.has_bundled("redis");
    for (name, wanted) in [("postgres", settings.bundled_postgres), ("redis", settings.bundled_redis)] {
        if !wanted && plan.has_bundled(name) {
            plan.remove(name);
        }
    }
    Ok(settings)
}

/// All that is wrong with the environment at once: what the application says about the rest of it joins our complaints.
fn with_app_complaints(mut complaints: Vec<String>, plan: &Plan, overrides: &Overrides) -> Fault {
    let named: Vec<OsString> =
        complaints.iter().filter_map(|complaint| Some(complaint.split_once(':')?.0.into())).collect();
    let rest = std::env::vars_os().filter(|(name, _)| !named.contains(name));
    if plan.has_app()
        && let (Ok(settings), Ok(app)) = (Settings::from_env(rest, overrides), App::find())
        && let Err(fault) = check_app(&app, &settings)
    {
        complaints.push(fault.message);
    }
    Fault::configuration(complaints.join("\n"))
}

/// Lets the application check its part of the environment.
///
/// # Errors
/// Exit code 15 with what it complains about.
pub fn check_app(app: &App, settings: &Settings) -> Result<(), Fault> {
    let failed =
        |error: std::io::Error| Fault::configuration(format!("{} cannot be run: {error}.", app.path.display()));
    let launch = app.check(settings).map_err(failed)?;
    let child = spawn(&launch).map_err(failed)?;
    let mut said = String::new();
    let _ = File::from(child.stderr).read_to_string(&mut said);
    match reap::wait(child.pid) {
        Exit::Code(0) => Ok(()),
        exit if said.trim().is_empty() => {
            Err(Fault::configuration(format!("{} check failed: {exit}.", app.path.display())))
        }
        _ => Err(Fault::configuration(said.trim_end())),
    }
}

/// `supervisor check`: everything that can be wrong before a start, told at once.
///
/// # Errors
/// Exit code 15 with all of it.
pub fn check(start: &Start) -> Result<(), Fault> {
    let mut complaints: Vec<String> = Vec::new();
    let mut note = |result: Result<(), Fault>| complaints.extend(result.err().map(|fault| fault.message));
    let mut plan = match load_plan(start) {
        Ok(plan) => plan,
        Err(fault) => {
            note(Err(fault));
            Plan {
                services: Vec::new(),
                log: plan::LogRules::default(),
                backup: BackupRules::default(),
                schedules: Vec::new(),
                written: Vec::new(),
            }
        }
    };
    match load_settings(start, &mut plan) {
        Ok(settings) => {
            if settings.bundled_postgres {
                note(postgres::find(None, Path::new(""), &settings.search_path).map(drop));
            }
            if settings.bundled_redis {
                note(redis::find(&settings.search_path).map(drop));
            }
            note(Users::find(&settings, plan.has_app()).map(drop));
            if plan.has_app() {
                note(App::find().and_then(|app| check_app(&app, &settings)));
            }
        }
        Err(fault) => note(Err(fault)),
    }
    if complaints.is_empty() { Ok(()) } else { Err(Fault::configuration(complaints.join("\n"))) }
}
