//! Restoring a backup aside, where it harms nobody, and seeing whether all of it has come back.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use nix::unistd::{Group, User, geteuid};

use super::archive::{Archive, DATABASE};
use super::database::{self, Target};
use super::manifest::{Limits, Manifest, compare_rows};
use crate::context::SYSTEM_PATH;
use crate::files::Owner;
use crate::postgres::client::{Session, Tools};
use crate::postgres::scratch::{Ingredients, Scratch};
use crate::postgres::{self, Server};
use crate::secrets::Role;
use crate::settings::Secret;
use crate::spawn::{Credentials, LaunchSpec, Program};
use crate::task::{Place, PostgresPlace};

/// Room that an empty cluster takes, in bytes.
const EMPTY_CLUSTER: u64 = 100 << 20;
/// Indexes take about as much as the tables do.
const WITH_INDEXES: u64 = 2;
const MB: u64 = 1 << 20;

/// A backup that is whole and can be restored here.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) archive: Archive,
    pub(super) manifest: Manifest,
    server: Server,
    user: Option<Owner>,
}

/// Reads every byte of a backup, and sees whether it is one that can be restored here.
///
/// # Errors
/// One sentence naming the backup.
pub(super) fn examine(place: &Place, file: &Path) -> Result<Sound, String> {
    let refused = |reason: String| format!("The backup {} cannot be used: {reason}.", file.display());
    let archive = Archive::open_whole(file).map_err(refused)?;
    let manifest = archive.manifest().map_err(refused)?;
    archive.check_members(&manifest.members).map_err(refused)?;
    let (server, user) = match &place.postgres {
        PostgresPlace::Bundled { bin, major, user, .. } => (Server { bin: bin.clone(), major: *major }, *user),
        _ => (postgres::find(None, &place.shown, &[]).map_err(|fault| fault.message)?, server_user()?),
    };
    let schema_version = place.app.as_deref().map(newest_schema).transpose()?;
    manifest.check(Limits { schema_version, postgres_major: server.major }).map_err(refused)?;
    Ok(Sound { archive, manifest, server, user })
}

/// Whether the data directory, which is the working directory, has room for what is restored.
///
/// # Errors
/// One sentence.
pub(super) fn check_room(place: &Place, sound: &Sound) -> Result<(), String> {
    let uploads: u64 = sound.archive.below(super::contents::UPLOADS).map(|(_, size)| size).sum();
    let tables = sound.manifest.table_bytes.saturating_mul(WITH_INDEXES);
    let needed = tables.saturating_add(uploads).saturating_add(EMPTY_CLUSTER);
    match database::free_bytes(Path::new(".")).filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => Err(format!(
            "The disk of the data directory {} has {} MB free, and restoring this backup may need {} MB.",
            place.shown.display(),
            free / MB,
            needed / MB
        )),
    }
}

/// Restores the database into a cluster of its own in the folder `name`, and compares the rows of every table.
///
/// # Errors
/// One sentence. Nothing of the cluster is left then.
pub(super) fn restore(
    place: &Place,
    sound: &Sound,
    name: &'static str,
    roles: Vec<(Role, Secret)>,
    progress: &mut dyn FnMut(&str),
) -> Result<Scratch, String> {
    let data = OwnedFd::from(File::open(".").map_err(|error| error.to_string())?);
    let ingredients = Ingredients { server: sound.server.clone(), user: sound.user, app_owner: place.app_owner, roles };
    progress("making a cluster to restore it into");
    let mut scratch = Scratch::make(&data, name, ingredients)?;
    scratch.start()?;
    progress("restoring the database");
    let tools = Tools::in_folder(&sound.server.bin)?;
    let connection = scratch.connection(Role::Postgres);
    let with_grants = !sound.manifest.instance.external_database;
    let into = Target { connection: &connection, tools: &tools, owner: Some(Role::App), with_grants };
    let mut dump = sound.archive.member(DATABASE).ok_or("it has no database.dump")?;
    database::restore(&mut dump, into)?;
    let mut session = Session::open(&connection, &tools.path("psql"))?;
    if !with_grants {
        database::grant_analytics(&mut session)?;
    }
    let found = database::count(&mut session)?;
    session.close();
    compare_rows(&sound.manifest.rows, &found)?;
    progress(&format!("{} tables with {} rows are as they should be", found.len(), sound.manifest.total_rows()));
    Ok(scratch)
}

/// Who would run a server that is there only for a trial: root must not.
fn server_user() -> Result<Option<Owner>, String> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").ok().flatten();
    let group = Group::from_name("postgres").ok().flatten();
    let user = user.ok_or("A trial server cannot run as root, and there is no user \"postgres\".")?;
    Ok(Some((user.uid.as_raw(), group.map_or(user.gid, |group| group.gid).as_raw())))
}

/// Number of the last migration that the application here knows.
fn newest_schema(app: &Path) -> Result<i64, String> {
    let output = run_app(app, &["schema"], &[], None)?;
    output
        .trim()
        .parse()
        .map_err(|_| format!("`{} schema` gave {:?}, which is no number", app.display(), output.trim()))
}

/// Brings the restored database up to this version, and adds the partitions of today.
///
/// # Errors
/// What the application complained about.
pub(super) fn migrate(place: &Place, scratch: &Scratch) -> Result<(), String> {
    let Some(app) = &place.app else { return Ok(()) };
    let shown = place.shown.to_string_lossy().into_owned();
    let port = place.port.to_string();
    let variables = [
        ("DATA_DIR", scratch.name()),
        ("GLITCHBOX_DATA_DIR_SHOWN", &shown),
        ("GLITCHTIP_DOMAIN", &place.public_url),
        ("PORT", &port),
    ];
    run_app(app, &["migrate"], &variables, place.app_owner).map(|_| ())
}

fn run_app(app: &Path, arguments: &[&str], variables: &[(&str, &str)], owner: Option<Owner>) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{} cannot be run: {error}", app.display());
    let program = Arc::new(OwnedFd::from(File::open(app).map_err(told)?));
    let cwd = Arc::new(OwnedFd::from(File::open(".").map_err(told)?));
    let argv = std::iter::once("glitchbox").chain(arguments.iter().copied()).map(std::ffi::OsString::from).collect();
    let mut spec = LaunchSpec::new(Program::Fd(program), argv, cwd);
    spec.set_env("PATH", SYSTEM_PATH);
    for (name, value) in variables {
        spec.set_env(name, value);
    }
    spec.credentials = owner.map(|(uid, gid)| Credentials { uid, gid, groups: Vec::new() });
    postgres::run(&format!("glitchbox {}", arguments.join(" ")), &spec)
}
