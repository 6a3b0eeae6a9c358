//! The `supervisor` program: the boot sequence, and the way to the operator's commands.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use glitchbox_supervisor::app::App;
use glitchbox_supervisor::cli::{self, Arguments, Command, Start};
use glitchbox_supervisor::context::Claim;
use glitchbox_supervisor::control::{self, Desk};
use glitchbox_supervisor::datadir::owner;
use glitchbox_supervisor::error::{Fault, exit};
use glitchbox_supervisor::launcher::Launcher;
use glitchbox_supervisor::log::{Format, Log, LogSettings};
use glitchbox_supervisor::postgres::template;
use glitchbox_supervisor::reload::{Reloader, Source};
use glitchbox_supervisor::rest::Rest;
use glitchbox_supervisor::schedule::{Timetable, Zone};
use glitchbox_supervisor::state::Level;
use glitchbox_supervisor::supervisor::{self, StopSignals};
use glitchbox_supervisor::world::World;
use glitchbox_supervisor::{capabilities, files, limits, listener, mount, prepare, reap, task, tuning};
use nix::sys::stat::{Mode, umask};
use tokio::sync::{mpsc, watch};

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::CONFIGURATION } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Run(start) => run(&start, began),
        Command::Check(start) => cli::check(&start).map(|()| 0),
        Command::Prepare => prepare::run().map(|()| 0),
        Command::Task => task::run(),
        Command::Template { to } => template::create(to).map(|()| 0),
        other => cli::operate(other).map_err(|failure| Fault::new(1, failure.0)),
    };
    result.map_or_else(
        |fault| {
            for line in fault.message.lines() {
                eprintln!("supervisor: {line}");
            }
            ExitCode::from(fault.exit)
        },
        ExitCode::from,
    )
}

/// Everything that can be refused is looked at first; only then is anything written.
fn run(start: &Start, began: Instant) -> Result<u8, Fault> {
    let broken = |error: std::io::Error| Fault::new(exit::SERVICE, format!("The supervisor cannot start: {error}."));
    umask(Mode::from_bits_truncate(0o077));
    tuning::raise_open_files()?;
    limits::spare_supervisor();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let inside = runtime.enter();
    let signals = StopSignals::catch().map_err(broken)?;

    let mut plan = cli::load_plan(start)?;
    let bundled: Vec<&'static str> = ["postgres", "redis"].into_iter().filter(|name| plan.has_bundled(name)).collect();
    let settings = cli::load_settings(start, &mut plan)?;
    let without = bundled.into_iter().filter(|name| !plan.has_bundled(name)).collect();
    let app = plan.has_app().then(App::find).transpose()?;
    if let Some(app) = &app {
        cli::check_app(app, &settings)?;
    }
    capabilities::check()?;
    let listens = plan.services.iter().any(|service| service.listen);
    let port = settings.port;
    let claim = Claim::stake(settings)?;
    // From here on clients queue, however long it takes until web serves them.
    let listener = if listens { Some(listener::bind_freed_port(port)?) } else { None };
    plan.settle(|file| claim.has(file));
    let serves_alone = plan.services.iter().any(|service| service.start_without.is_some());
    let survey = claim.look(app, serves_alone)?;

    let context = survey.settle()?;
    reap::become_subreaper().map_err(broken)?;
    let log = Log::start(LogSettings {
        folder: files::proc_path(&context.data.logs),
        rules: plan.log,
        format: if context.settings.log_json { Format::Json } else { Format::Text },
    })
    .map_err(broken)?;
    log.add_secrets(context.secret_values().map(|secret| secret.expose().to_owned()));
    log.say(
        Level::Info,
        format!("starting in {} (supervisor {})", context.data.path.display(), env!("CARGO_PKG_VERSION")),
    );
    if let Some(text) = &context.made_room {
        log.say(Level::Warn, text.clone());
    }
    let given = &context.settings.data_dir_given;
    if *given != context.data.path {
        let said = mount::link(given, &context.data.path);
        let said = said.unwrap_or_else(|error| format!("Links in {} cannot be made: {error}.", given.display()));
        log.say(Level::Warn, said);
    }
    if mount::is_lost_with_container(&context.data.path) {
        for line in mount::warning(&context.data.path) {
            log.say(Level::Warn, line);
        }
    }

    let plan = Arc::new(plan);
    let (plans, plan_in_force) = watch::channel(Arc::clone(&plan));
    let (messages, inbox) = mpsc::unbounded_channel();
    let zone = context.settings.timezone.as_deref().map_or(Ok(Zone::UTC), Zone::parse);
    let zone = zone.map_err(|error| Fault::configuration(format!("TZ: {error}")))?;
    let schedules = plan.schedules.clone();
    let run = Arc::clone(&context.data.run);
    let timetable = Timetable::start(schedules, zone, run, log.clone(), messages.clone());
    let rest = Rest::begin();
    let source = Source::new(start, without, Arc::clone(&context.data.dir), context.app.is_some());
    let reloader = Arc::new(Reloader::new(source, plan_in_force.clone(), log.clone(), messages.clone()));
    let desk = Desk {
        plans: plan_in_force.clone(),
        reloader: Arc::clone(&reloader),
        port,
        log: log.clone(),
        messages: messages.clone(),
        timetable: timetable.clone(),
        rest: rest.clone(),
    };
    control::serve(&context.data.run, desk, owner(context.users.app.as_ref()))
        .map_err(|error| Fault::writing(format!("The control socket cannot be made: {error}."), &error))?;
    let mut world = World::new(plans, Launcher::new(context), log, began, messages, listener, rest);
    world.follow(timetable);
    let exit = runtime.block_on(supervisor::run(plan, world, signals, inbox, reloader));
    drop(inside);
    // A thread that is stuck in the kernel, on a disk that hangs, is not waited for.
    runtime.shutdown_background();
    Ok(exit)
}
