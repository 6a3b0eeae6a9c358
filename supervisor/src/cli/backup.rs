//! `supervisor backup`: create, list, verify and restore.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nix::sys::stat::{Mode, umask};
use serde_json::{Value, json};

use super::output::{print, tell};
use super::{Place, Start, load_plan, load_settings, table};
use crate::app::App;
use crate::backup::restore::Services;
use crate::backup::{FOLDER, list, restore, verify};
use crate::context::Survey;
use crate::control::{Client, Failure};
use crate::error::Fault;
use crate::files;
use crate::task::{self, Task};

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a backup while everything runs, and delete those that are no longer kept
    Create {
        #[command(flatten)]
        place: Place,
        /// The folder it goes to; there, older ones are never deleted [default: DATA_DIR/backups]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the backups in DATA_DIR/backups
    List {
        #[command(flatten)]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove that a backup can be restored, by restoring it aside and comparing every table
    Verify {
        #[command(flatten)]
        which: Which,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the place of the data; works with the appliance running (events wait meanwhile) or stopped
    Restore {
        #[command(flatten)]
        which: Which,
        /// Only say whether it could be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether the answer is to be JSON.
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::Create { json, .. }
            | Self::List { json, .. }
            | Self::Verify { json, .. }
            | Self::Restore { json, .. } => *json,
        }
    }
}

/// A backup of an appliance.
#[derive(Debug, Args)]
pub struct Which {
    #[command(flatten)]
    pub place: Place,
    /// Its name as `backup list` shows it, or the path of its file
    #[arg(value_name = "FILE|NAME")]
    pub file: PathBuf,
}

/// Carries it out and returns the exit code.
///
/// # Errors
/// One sentence saying why it was not done.
pub(super) fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Create { place, to, json } => {
            let to = to.map(|to| absolute(&to)).transpose()?;
            let outcome = ask(&place.path(), &Task::BackupCreate { to }).map_err(|Unasked(failure)| failure)?;
            conclude(outcome, json, |result| {
                let (file, rows, ms) = (text(result, "file"), number(result, "rows"), number(result, "ms"));
                format!("{file} ({rows} rows, {}, {ms} ms)", megabytes(number(result, "size_bytes")))
            })
        }
        Command::List { place, json } => show(&place.path(), json),
        Command::Verify { which, json } => {
            let data_dir = which.place.path();
            let file = find(&data_dir, &which.file)?;
            let outcome = match ask(&data_dir, &Task::BackupVerify { file: file.clone() }) {
                Ok(outcome) => outcome,
                Err(Unasked(failure)) if !data_dir.join("format").exists() => return Err(failure),
                Err(_) => alone(&which.place, |place| verify::run(place, &file))?,
            };
            conclude(outcome, json, |result| {
                let (tables, rows, ms) = (number(result, "tables"), number(result, "rows"), number(result, "ms"));
                format!("{} is good: {tables} tables with {rows} rows came back ({ms} ms)", text(result, "file"))
            })
        }
        Command::Restore { which, dry_run, yes, json } => {
            let data_dir = which.place.path();
            let file = find(&data_dir, &which.file)?;
            if !dry_run && !yes {
                confirm(&data_dir, &file)?;
            }
            let outcome = match ask(&data_dir, &Task::BackupRestore { file: file.clone(), dry_run }) {
                Ok(outcome) => outcome,
                Err(_) => alone(&which.place, |place| {
                    match restore::restore(place, &file, dry_run, Services::Stopped, &mut tell) {
                        Ok(restored) => task::TaskOutcome::done(json!(restored)),
                        Err(sentence) => task::TaskOutcome::failed(sentence),
                    }
                })?,
            };
            conclude(outcome, json, |result| {
                let done = if dry_run { "can be restored" } else { "is restored" };
                let (tables, rows, ms) = (number(result, "tables"), number(result, "rows"), number(result, "ms"));
                format!("{} {done}: {tables} tables with {rows} rows ({ms} ms)", text(result, "file"))
            })
        }
    }
}

/// No supervisor could be asked.
struct Unasked(Failure);

/// Has the running supervisor do it.
fn ask(data_dir: &Path, task: &Task) -> Result<(u8, Value), Unasked> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Unasked(Failure(error.to_string())))?;
    runtime.block_on(async {
        let mut client = Client::connect(data_dir).await.map_err(Unasked)?;
        Ok(client.run_task(task, tell).await.unwrap_or_else(|failure| (1, json!({ "error": failure.0 }))))
    })
}

/// Does it here, with no supervisor running: locks the data directory, and makes it if it is not there.
fn alone(place: &Place, work: impl FnOnce(&task::Place) -> task::TaskOutcome) -> Result<(u8, Value), Failure> {
    let told = |fault: Fault| Failure(fault.message);
    umask(Mode::from_bits_truncate(0o077));
    let start = Start { data_dir: place.data_dir.clone(), port: None, config: None };
    let mut plan = load_plan(&start).map_err(told)?;
    let settings = load_settings(&start, &mut plan).map_err(told)?;
    let app = plan.has_app().then(App::find).transpose().map_err(told)?;
    let context = Survey::look(settings, app).and_then(Survey::settle).map_err(told)?;
    std::env::set_current_dir(files::proc_path(&context.data.dir)).map_err(|error| Failure(error.to_string()))?;
    let outcome = work(&task::Place::new(&context, plan.backup));
    Ok((outcome.exit, outcome.result))
}

/// Shows the result, or says why there is none.
fn conclude((exit, result): (u8, Value), json: bool, describe: impl Fn(&Value) -> String) -> Result<u8, Failure> {
    if json {
        print(&result.to_string());
    }
    match result.get("error").and_then(Value::as_str) {
        Some(sentence) if json => {
            tell(sentence);
            Ok(exit.max(1))
        }
        Some(sentence) if exit == task::exit::BUSY => {
            tell(sentence);
            Ok(exit)
        }
        Some(sentence) => Err(Failure(sentence.to_owned())),
        None => {
            if !json {
                print(&describe(&result));
            }
            Ok(exit)
        }
    }
}

fn show(data_dir: &Path, json: bool) -> Result<u8, Failure> {
    let folder = absolute(&data_dir.join(FOLDER))?;
    let backups = list::list(&folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            Failure(format!("{} belongs to another user: try again with sudo.", folder.display()))
        }
        _ => Failure(format!("{} cannot be read: {error}.", folder.display())),
    })?;
    if json {
        print(&json!({ "backups": backups }).to_string());
        return Ok(0);
    }
    if backups.is_empty() {
        print(&format!("There are no backups in {}.", folder.display()));
        return Ok(0);
    }
    let mut rows =
        vec![["NAME", "SIZE", "CREATED", "VERSION", "SCHEMA", "POSTGRESQL", "ROWS", "PROBLEM"].map(str::to_owned)];
    for backup in backups {
        let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        rows.push([
            backup.name,
            megabytes(backup.size_bytes),
            known(backup.created_at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())),
            known(backup.glitchbox_version),
            known(backup.schema_version.map(|version| version.to_string())),
            known(backup.postgres_version),
            known(backup.rows.map(|rows| rows.to_string())),
            backup.problem.unwrap_or_default(),
        ]);
    }
    print(&table::columns(&rows, [false, true, false, false, true, false, true, false]));
    Ok(0)
}

/// The absolute path of a backup that was named, or whose path was given.
fn find(data_dir: &Path, named: &Path) -> Result<PathBuf, Failure> {
    let folder = data_dir.join(FOLDER);
    let mut candidates = vec![named.to_path_buf()];
    if named.components().count() == 1 && !named.is_absolute() {
        let with_suffix = format!("{}.tar", named.display());
        candidates.splice(0..0, [folder.join(named), folder.join(with_suffix)]);
    }
    match candidates.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => absolute(path),
        None => {
            Err(Failure(format!("There is no backup {}, neither here nor in {}.", named.display(), folder.display())))
        }
    }
}

fn confirm(data_dir: &Path, file: &Path) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure(
            "A restore replaces all data. Say --yes, or --dry-run to see whether it can be done.".to_owned(),
        ));
    }
    tell(&format!("All data in {} will be replaced by those of {}.", data_dir.display(), file.display()));
    let _ = write!(std::io::stderr(), "Type yes to go on: ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" { Ok(()) } else { Err(Failure("Nothing was changed.".to_owned())) }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure(format!("{} is not a path: {error}.", path.display())))
}

fn text<'a>(result: &'a Value, name: &str) -> &'a str {
    result.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(result: &Value, name: &str) -> u64 {
    result.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
