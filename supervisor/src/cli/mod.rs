//! The operator's commands.

mod backup;
mod clients;
mod doctor;
mod follow;
mod freeze;
mod operate;
mod output;
mod reload;
mod report;
mod start;
mod status;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use report::Command as ReportCommand;
pub use start::{check, check_app, load_plan, load_settings};

use crate::control::Failure;
use crate::env_value;

/// Runs the appliance and looks after it.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What signals do to `supervisor run`, and what its exit code says.
const SIGNALS: &str = "\
Signals:
  TERM, INT, QUIT  stop everything in order; a second one changes nothing
  HUP              read the plan file again; if a terminal started us: it is
                   gone, stop everything in order (under nohup: nothing)
  USR1             write the state of all services to the log
  USR2             nothing

Exit codes:
  0   stopped in order               13  data directory: locked, foreign, newer, out of reach
  10  an essential service failed    14  disk full or not writable
  11  not healthy after the start    15  configuration
  12  a migration failed             16  port in use";

/// The kinds of events.
const EVENTS: &str = "\
Kinds:
  of a service    starting ready unhealthy healthy draining replaced stopping killed exited backoff failed done
  of a task       task-started task-ended
  of a schedule   schedule-due schedule-skipped
  of the whole    up reload shutdown stopped disk-low disk-ok log-lost";

/// For commands that either do what they were asked or say why not.
const EXITS: &str = "Exit codes: 0 done, 1 not done (standard error says why), 15 wrong use.";

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the appliance and stay in the foreground; SIGTERM or Ctrl-C stops it in order
    #[command(after_help = SIGNALS)]
    Run(Start),
    /// Check the configuration and the environment, and say what is wrong; changes nothing
    Check(Start),
    /// Show all services; the exit code is 0 if all is well
    Status {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Start a service and wait until it is ready
    #[command(after_help = EXITS)]
    Start(Target),
    /// Stop a service and wait until nothing of it is left
    #[command(after_help = EXITS)]
    Stop(Target),
    /// Restart a service and wait until it is ready; web and worker serve on meanwhile
    #[command(after_help = EXITS)]
    Restart(Target),
    /// Read the plan file again and go over to it: only what is different is touched. Faults are told and change nothing;
    /// what does not get ready with its new settings goes on with the former ones. The command line and the environment of
    /// `run` are not read again, nor is the application's program
    #[command(after_help = "Exit codes: 0 done, 1 not all of it has taken, 4 busy, 15 the file has faults.")]
    Reload {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Only say what is different and what would be done
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the last lines that services have logged
    Logs {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Go on showing lines as they come
        #[arg(short, long)]
        follow: bool,
        /// How many lines to begin with (as far as they are kept in memory; all are in DATA_DIR/logs)
        #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
        lines: usize,
        /// Only lines that are younger than this (90s, 10m, 2h, 1d) or than this time (2026-01-31T03:01:00Z); with it, all
        /// that are kept in memory
        #[arg(long, value_name = "AGE|TIME", conflicts_with = "lines")]
        since: Option<String>,
        /// Only these services ("supervisor" for the supervisor's own lines)
        #[arg(value_name = "SVC")]
        services: Vec<String>,
    },
    /// Show what has happened to the services and to the whole, as far as it is kept in memory
    #[command(after_help = EVENTS)]
    Events {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Go on showing events as they come
        #[arg(short, long)]
        follow: bool,
        /// How many events to begin with
        #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
        lines: usize,
        /// A JSON document a line, with ts, kind, level, text, and where there is one: service, generation, pid
        #[arg(long)]
        json: bool,
    },
    /// Show everything in numbers, as Prometheus reads them (the application's /metrics has them too)
    Metrics {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
    },
    /// Replace web and worker by fresh generations without failing a request, check everything and report;
    /// the exit code is 0 if all is well, 1 failed, 2 degraded, 3 skipped, 4 busy
    ScheduledRestart {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Only look at everything and say what would be done
        #[arg(long)]
        dry_run: bool,
        /// The report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have nothing done by schedule for a while; what is asked for by hand is done all the same
    Freeze(freeze::Arguments),
    /// Have everything done by schedule again
    Thaw {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the reports of scheduled restarts, send one again, and try the channels
    #[command(subcommand)]
    Report(ReportCommand),
    /// Ask the appliance whether it can take events; the exit code is 0 if so
    Healthcheck {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// Of an appliance that has been up for a minute, ask half a minute later. For engines that probe at one interval
        /// for ever, which is to be short after a start
        #[arg(long)]
        relaxed: bool,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Look for everything that makes trouble sooner or later, and say what to do about it
    #[command(
        after_help = "Exit codes: 0 nothing is bad (though some things could be better), 1 something is, 15 wrong use."
    )]
    Doctor {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented where it is defined")]
        place: Place,
        /// As JSON: the findings with check, verdict (ok, warn, bad), text and fix
        #[arg(long)]
        json: bool,
    },
    /// Open psql on the bundled PostgreSQL, as the superuser
    Psql(Client),
    /// Open redis-cli on the bundled Redis
    RedisCli(Client),
    /// Make, list, verify and restore backups
    #[command(subcommand)]
    Backup(backup::Command),
    /// Report to the supervisor from a service's script: READY=1, STOPPING=1 or STATUS=text
    Notify {
        /// The message
        message: String,
    },
    /// Prepare the bundled servers' folders (called by the supervisor itself)
    #[command(hide = true)]
    Prepare,
    /// Do what takes long in a process of its own (called by the supervisor itself)
    #[command(hide = true)]
    Task,
    /// Make a cluster beforehand, for new data directories of an image to start from (called while it is built)
    #[command(hide = true)]
    Template {
        /// The file [default: where new data directories look for it]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// What a start may be told.
#[derive(Debug, Clone, Args)]
pub struct Start {
    /// Where all data is kept [default: $DATA_DIR, or ./data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The port to listen on [default: $PORT, or 8000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The file that says which services to run [default: conf/supervisor.toml near the program, or the built-in one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which appliance is meant.
#[derive(Debug, Args)]
pub struct Place {
    /// Its data directory [default: $DATA_DIR, or ./data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// A service of an appliance.
#[derive(Debug, Args)]
pub struct Target {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub place: Place,
    /// The service, as `supervisor status` names it
    #[arg(value_name = "SVC")]
    pub service: String,
    /// The answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// A client program and its arguments.
#[derive(Debug, Args)]
pub struct Client {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented where it is defined")]
    pub place: Place,
    /// Handed to the program
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<OsString>,
}

impl Place {
    /// The data directory meant.
    pub fn path(&self) -> PathBuf {
        let from_environment = || {
            let text = std::env::var_os("DATA_DIR")?;
            let meant = text.to_str().map_or(text.as_os_str(), |text| env_value::meant("DATA_DIR", text).as_ref());
            (!meant.is_empty()).then(|| PathBuf::from(meant))
        };
        let fixed = || env_value::fixed("DATA_DIR").map(PathBuf::from);
        let found = self.data_dir.clone().or_else(fixed).or_else(from_environment);
        found.unwrap_or_else(|| PathBuf::from("./data"))
    }
}

/// Carries out one of the commands that talk to a running appliance. Returns the exit code.
///
/// # Errors
/// One sentence saying why it was not done.
pub fn operate(command: Command) -> Result<u8, Failure> {
    let block_on = |work: std::pin::Pin<Box<dyn Future<Output = Result<u8, Failure>>>>| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Failure(error.to_string()))?.block_on(work)
    };
    let answer = output::or_error_in_json;
    match command {
        Command::Status { place, json } => answer(json, block_on(Box::pin(status::status(place.path(), json)))),
        Command::Start(target) => answer(target.json, block_on(Box::pin(operate::act(target, "start")))),
        Command::Stop(target) => answer(target.json, block_on(Box::pin(operate::act(target, "stop")))),
        Command::Restart(target) => answer(target.json, block_on(Box::pin(operate::act(target, "restart")))),
        Command::Reload { place, dry_run, json } => {
            answer(json, block_on(Box::pin(reload::reload(place.path(), dry_run, json))))
        }
        Command::Logs { place, follow, lines, since, services } => {
            block_on(Box::pin(follow::logs(place.path(), services, lines, since, follow)))
        }
        Command::Events { place, follow, lines, json } => {
            answer(json, block_on(Box::pin(follow::events(place.path(), lines, follow, json))))
        }
        Command::Metrics { place } => block_on(Box::pin(operate::metrics(place.path()))),
        Command::Healthcheck { place, relaxed, json } => {
            answer(json, block_on(Box::pin(operate::healthcheck(place.path(), relaxed, json))))
        }
        Command::ScheduledRestart { place, dry_run, json } => {
            answer(json, block_on(Box::pin(report::restart(place.path(), dry_run, json))))
        }
        Command::Freeze(arguments) => answer(arguments.json, block_on(Box::pin(freeze::freeze(arguments)))),
        Command::Thaw { place, json } => answer(json, block_on(Box::pin(freeze::thaw(place, json)))),
        Command::Doctor { place, json } => answer(json, block_on(Box::pin(doctor::doctor(place, json)))),
        Command::Report(command) => answer(command.is_json(), block_on(Box::pin(report::report(command)))),
        Command::Psql(client) => clients::psql(&client).map(|never| match never {}),
        Command::RedisCli(client) => clients::redis_cli(&client).map(|never| match never {}),
        Command::Backup(command) => answer(command.is_json(), backup::run(command)),
        Command::Notify { message } => operate::notify(&message),
        Command::Run(_) | Command::Check(_) | Command::Prepare | Command::Task | Command::Template { .. } => Ok(0),
    }
}
