//! One file per role and admin command.

mod banner;
mod check;
mod filter;
mod instance;
mod key;
mod limit;
mod mail;
mod maintenance;
mod metrics;
mod migrate;
mod org;
mod output;
mod privacy;
mod project;
mod queue;
mod token;
mod user;
mod web;
mod why;
mod worker;

pub use web::routes as web_routes;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::store::schema;
use crate::telemetry;

/// The environment holds something that cannot be right.
const EXIT_CONFIGURATION: u8 = 15;

/// A Sentry-compatible error tracker. Settings come from the environment.
#[derive(Debug, Parser)]
#[command(name = "glitchbox", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take events, and serve the API and the pages.
    Web(web::Args),
    /// Process what is queued, and do what is due.
    Worker(worker::Args),
    /// Bring the schema up to date and, on an empty database, set up the first organization.
    Migrate,
    /// Print the number of the newest migration known here (asked by the supervisor before a restore).
    #[command(hide = true)]
    Schema,
    /// Check the environment; touches nothing.
    Check,
    /// Print the address, the administrator and the first DSN.
    Banner,
    /// Remove now what has outlived its time, as the worker does once a day.
    Maintenance(maintenance::Args),
    /// Manage people with an account.
    #[command(subcommand)]
    User(user::Command),
    /// Manage organizations and their members.
    #[command(subcommand)]
    Org(org::Command),
    /// Manage projects.
    #[command(subcommand)]
    Project(project::Command),
    /// Manage the keys that let programs send events.
    #[command(subcommand)]
    Key(key::Command),
    /// Limit how much may be sent; off unless set.
    #[command(subcommand)]
    Limit(limit::Command),
    /// Hold back what a project does not want; off unless set.
    #[command(subcommand)]
    Filter(filter::Command),
    /// Say what is taken out of what is sent to a project.
    #[command(subcommand)]
    Privacy(privacy::Command),
    /// Manage API tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Look at the queues, and at what could not be done.
    #[command(subcommand)]
    Queue(queue::Command),
    /// Tell what became of an event.
    Why(why::Args),
    /// Try how mail is sent.
    #[command(subcommand)]
    Mail(mail::Command),
}

/// Runs the command that the arguments name, and says how it went.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::from_environment() {
        Ok(config) => config,
        Err(errors) => {
            for line in errors.lines() {
                eprintln!("{line}");
            }
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    let outcome = match cli.command {
        Command::Web(args) => web::run(&args, config),
        Command::Worker(args) => worker::run(&args, config),
        Command::Migrate => Ok(migrate::run(&config)),
        Command::Schema => {
            println!("{}", schema::newest());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => Ok(check::run(&config)),
        Command::Banner => banner::run(&config),
        Command::Maintenance(args) => maintenance::run(&args, config),
        Command::User(command) => user::run(command, config),
        Command::Org(command) => org::run(command, config),
        Command::Project(command) => project::run(command, config),
        Command::Key(command) => key::run(command, config),
        Command::Limit(command) => limit::run(command, config),
        Command::Filter(command) => filter::run(command, config),
        Command::Privacy(command) => privacy::run(command, config),
        Command::Token(command) => token::run(command, config),
        Command::Queue(command) => queue::run(command, config),
        Command::Why(args) => why::run(&args, &config),
        Command::Mail(command) => mail::run(command, &config),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("glitchbox: {error:#}");
        ExitCode::FAILURE
    })
}

/// Logs of a role that stays: on stdout, for the supervisor.
fn start_logging(service: &'static str, config: &Config) {
    telemetry::init(service, config.log_json, config.debug);
}

/// Runs `work` to its end on `worker_threads` threads, and does not wait for what it left behind.
fn block_on<T>(worker_threads: usize, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(worker_threads).enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
