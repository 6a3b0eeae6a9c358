//! Putting a backup in the place of the data.
//!
//! ```text
//! read every byte -> pause the worker -> restore into a cluster aside, compare, migrate
//!     -> stop PostgreSQL -> exchange -> start PostgreSQL, ask it -> done: start the worker, replace web, delete the old data
//! ```
//!
//! Web and Redis run on: what is sent meanwhile waits in the queue and is stored in the restored database. Whatever
//! fails before it is done, the old data are in their place again. The worker comes after: what it takes from the queue
//! must not be in a database that is then thrown away.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::Utc;
use nix::sys::stat::fstat;
use serde::Serialize;
use serde_json::json;

use super::archive::{Archive, DATABASE};
use super::contents::{self, SECRETS, UPLOADS};
use super::create::sentence;
use super::database::{self, Target};
use super::manifest::compare_rows;
use super::swap::{self, Journal};
use super::trial::{self, Sound};
use crate::control::Client;
use crate::postgres::client::Session;
use crate::postgres::cluster;
use crate::postgres::scratch::Scratch;
use crate::secrets::{self, Role};
use crate::settings::Secret;
use crate::task::{Place, PostgresPlace, TaskOutcome};
use crate::{files, leftovers};

/// The folder of the data directory that a backup is restored into before it takes the place of the data.
pub(super) const FOLDER: &str = "restore.tmp";

/// What has been restored, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The backup.
    pub file: PathBuf,
    /// Nothing was changed: it was only looked at.
    pub dry_run: bool,
    /// When it was made.
    pub created_at: chrono::DateTime<Utc>,
    /// The glitchbox that made it.
    pub glitchbox_version: String,
    /// Number of the last migration of its database, before those that it lacked.
    pub schema_version: i64,
    /// How many tables were restored.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
    /// Files beside the database.
    pub files: usize,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Who runs the services of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// A supervisor, which is asked.
    Supervised,
    /// Nobody: none runs, and the data directory's lock is ours.
    Stopped,
}

impl Services {
    /// Has a service started, stopped or restarted, and waits until that is done.
    fn act(self, service: &str, verb: &str) -> Result<(), String> {
        if self == Self::Stopped {
            return Ok(());
        }
        let told = |error: io::Error| error.to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
        let acted = runtime.block_on(async { Client::connect(Path::new(".")).await?.act(service, verb).await });
        acted.map(|_| ()).map_err(|failure| format!("{verb} of {service}: {failure}"))
    }
}

/// `supervisor backup restore`, in a process of its own, beside a running supervisor.
pub fn run(place: &Place, file: &Path, dry_run: bool) -> TaskOutcome {
    match restore(place, file, dry_run, Services::Supervised, &mut super::say) {
        Ok(restored) => TaskOutcome::done(json!(restored)),
        Err(sentence) => TaskOutcome::failed(sentence),
    }
}

/// Clears up after a restore or verification that was killed, beside a running supervisor: brings the old data back
/// unless the restored ones count already, and deletes what is not needed.
pub fn recover(place: &Place) -> TaskOutcome {
    let failed = |what: &str, words: String| TaskOutcome::failed(sentence(format!("{what}: {words}")));
    let ended = data_directory().and_then(|data| {
        leftovers::end_scratch(&data).map_err(|error| error.to_string())?;
        Ok(data)
    });
    let data = match ended {
        Ok(data) => data,
        Err(words) => return failed("What a killed task left cannot be ended", words),
    };
    if swap::is_unfinished(&data) {
        super::say("bringing back the data before a restore that was broken off");
        if let Err(words) = go_back(place, &data, Services::Supervised) {
            return failed("The old data cannot be brought back", words);
        }
    }
    if swap::is_committed(&data) {
        super::say("finishing a restore that was killed when its data were in place");
        serve(place, Services::Supervised, &mut super::say);
    }
    match swap::tidy(&data) {
        Ok(()) => TaskOutcome::done(json!({})),
        Err(error) => failed("What a killed task left cannot be deleted", error.to_string()),
    }
}

/// Puts the backup `file` in the place of the data in the working directory, the data directory.
///
/// # Errors
/// One sentence. The data are then as they were before.
pub fn restore(
    place: &Place,
    file: &Path,
    dry_run: bool,
    services: Services,
    progress: &mut dyn FnMut(&str),
) -> Result<Restored, String> {
    let began = Instant::now();
    progress("reading every byte");
    let sound = trial::examine(place, file)?;
    trial::check_room(place, &sound)?;
    let data = data_directory()?;
    let external = check_target(place, &data)?;
    let manifest = &sound.manifest;
    let mut restored = Restored {
        file: file.to_path_buf(),
        dry_run,
        created_at: manifest.created_at,
        glitchbox_version: manifest.glitchbox_version.clone(),
        schema_version: manifest.schema_version,
        tables: manifest.rows.len(),
        rows: manifest.total_rows(),
        files: manifest.members.len() - 1,
        ms: 0,
        warnings: Vec::new(),
    };
    if !dry_run {
        leftovers::end_scratch(&data).map_err(|error| error.to_string())?;
        if swap::is_unfinished(&data) {
            progress("bringing back the data before a restore that was broken off");
            go_back(place, &data, services).map_err(|words| {
                sentence(format!("An earlier restore was broken off, and its old data cannot be brought back: {words}"))
            })?;
        }
        let replaced = replace(place, &data, &sound, external, services, progress);
        restored.warnings =
            replaced.map_err(|words| sentence(format!("The backup {} was not restored: {words}", file.display())))?;
    }
    restored.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(restored)
}

/// Whether the database there may be replaced; a session with it if it is not the bundled one.
fn check_target(place: &Place, data: &OwnedFd) -> Result<Option<Session>, String> {
    if let PostgresPlace::Bundled { .. } = place.postgres {
        let Ok(cluster) = files::open_folder(data, cluster::FOLDER) else { return Ok(None) };
        let device = |folder: &OwnedFd| fstat(folder).map(|stat| stat.st_dev).unwrap_or_default();
        if device(&cluster) != device(data) {
            return Err(format!(
                "{} is a mount of its own, so it cannot be exchanged: stop the appliance, empty that folder and mount it elsewhere.",
                place.shown.join(cluster::FOLDER).display()
            ));
        }
        return Ok(None);
    }
    let (connection, tools) = database::reach(place).map_err(sentence)?;
    let mut session = Session::open(&connection, &tools.path("psql"))
        .map_err(|error| format!("The database of DATABASE_URL cannot be reached: {error}."))?;
    if !database::is_empty(&mut session)? {
        return Err(
            "The database of DATABASE_URL is not empty. Make an empty one, put its address into DATABASE_URL, and restore before the appliance is started on it.".to_owned()
        );
    }
    Ok(Some(session))
}

/// Does it, or leaves everything as it was. Returns what a person should know.
fn replace(
    place: &Place,
    data: &OwnedFd,
    sound: &Sound,
    external: Option<Session>,
    services: Services,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, String> {
    let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let new_secrets = read_secrets(&sound.archive).map_err(told("reading its secrets"))?;
    let names: Vec<&str> = new_secrets.iter().map(|(name, _)| name.as_str()).collect();
    let stamp = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
    let is_bundled = external.is_none();
    let journal = Journal::begin(data, &stamp, is_bundled, &names).map_err(told("writing the journal"))?;
    let done = || -> Result<(), String> {
        if place.app.is_some() {
            if services == Services::Supervised {
                progress("stopping the worker: from now on events wait in the queue");
            }
            services.act("worker", "stop")?;
        }
        let aside = if is_bundled { Some(build_aside(place, data, sound, progress)?) } else { None };
        put_uploads(place, data, &sound.archive).map_err(told("restoring uploads"))?;
        if aside.is_some() {
            progress("exchanging the data");
            services.act("postgres", "stop")?;
        }
        for (name, content) in &new_secrets {
            journal.replace_secret(data, name, content, place.app_owner).map_err(told("restoring secrets"))?;
        }
        if let Some((scratch, roles)) = &aside {
            journal.exchange_cluster(data, scratch.folder()).map_err(told("exchanging the clusters"))?;
            keep_passwords(place, data, roles).map_err(told("keeping the passwords"))?;
            services.act("postgres", "start")?;
            if services == Services::Supervised {
                database::check_served(place, sound.manifest.schema_version)?;
            }
        }
        // The last step: what is in that database cannot be taken out again.
        if let Some(mut session) = external {
            restore_external(place, sound, &mut session, progress)?;
        }
        Ok(())
    };
    let committed = done().and_then(|()| swap::commit(data).map_err(told("finishing")));
    if let Err(words) = committed {
        return match go_back(place, data, services) {
            Ok(()) if is_bundled || database::is_known_empty(place) => {
                Err(format!("{words}; the data are as they were before"))
            }
            Ok(()) => Err(format!(
                "{words}; the database of DATABASE_URL may be filled: empty the database before you try again; all else is as it was before"
            )),
            Err(more) => Err(format!(
                "{words}; and the old data could not be brought back yet: {more}; they are kept, and the next start brings them back"
            )),
        };
    }
    let mut warnings = serve(place, services, progress);
    if let Err(error) = swap::tidy(data) {
        let warning = format!("the old data are still there, and the next start deletes them: {error}");
        progress(&format!("WARN {warning}"));
        warnings.push(warning);
    }
    Ok(warnings)
}

/// Has the restored data served. Returns what a person should know.
fn serve(place: &Place, services: Services, progress: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut warnings = Vec::new();
    if place.app.is_some() {
        if let Err(words) = services.act("worker", "start") {
            warnings.push(format!(
                "the worker could not be started, so events wait in the queue until `supervisor start worker` succeeds: {words}"
            ));
        }
        if let Err(words) = services.act("web", "restart") {
            warnings
                .push(format!("web could not be replaced, so what it remembers may be old for some seconds: {words}"));
        }
    }
    for warning in &warnings {
        progress(&format!("WARN {warning}"));
    }
    warnings
}

/// The restored cluster, of this version and with everything in it, stopped; and the passwords of its roles.
fn build_aside(
    place: &Place,
    data: &OwnedFd,
    sound: &Sound,
    progress: &mut dyn FnMut(&str),
) -> Result<(Scratch, Vec<(Role, Secret)>), String> {
    let roles = roles(place, data)?;
    let mut scratch = trial::restore(place, sound, FOLDER, roles.clone(), progress)?;
    trial::migrate(place, &scratch)?;
    scratch.stop()?;
    carry_settings_over(place, data, &scratch)
        .map_err(|error| format!("carrying the server's settings over: {error}"))?;
    Ok((scratch, roles))
}

fn restore_external(
    place: &Place,
    sound: &Sound,
    session: &mut Session,
    progress: &mut dyn FnMut(&str),
) -> Result<(), String> {
    progress("restoring the database");
    let (connection, tools) = database::reach(place)?;
    let mut dump = sound.archive.member(DATABASE).ok_or("it has no database.dump")?;
    let target = Target { connection: &connection, tools: &tools, owner: None, with_grants: false };
    database::restore(&mut dump, target)?;
    compare_rows(&sound.manifest.rows, &database::count(session)?)
}

/// The installation's own passwords: the restored cluster gets them.
fn roles(place: &Place, data: &OwnedFd) -> Result<Vec<(Role, Secret)>, String> {
    let PostgresPlace::Bundled { superuser_password, app_password, .. } = &place.postgres else {
        return Ok(Vec::new());
    };
    let analytics = files::open_folder(data, SECRETS)
        .and_then(|folder| files::read(&folder, Role::Analytics.file(), contents::LONGEST_SECRET))
        .map_err(|error| format!("secrets/{} cannot be read: {error}", Role::Analytics.file()))?;
    let analytics = analytics.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| text.trim_end().to_owned());
    let analytics = analytics.filter(|text| !text.is_empty()).map_or_else(secrets::generate, Secret::new);
    Ok(vec![
        (Role::Postgres, superuser_password.clone()),
        (Role::App, app_password.clone()),
        (Role::Analytics, analytics),
    ])
}

fn keep_passwords(place: &Place, data: &OwnedFd, roles: &[(Role, Secret)]) -> io::Result<()> {
    let folder = files::open_folder(data, SECRETS)?;
    for (role, password) in roles {
        secrets::keep(&folder, *role, password, place.app_owner)?;
    }
    Ok(())
}

/// The restored server listens and is tuned as the old one was.
fn carry_settings_over(place: &Place, data: &OwnedFd, scratch: &Scratch) -> io::Result<()> {
    let PostgresPlace::Bundled { user, .. } = &place.postgres else { return Ok(()) };
    let Ok(old) = files::open_folder(data, cluster::FOLDER) else { return Ok(()) };
    let new = files::open_folder(scratch.folder(), cluster::FOLDER)?;
    for name in ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf"] {
        if let Some(text) = files::read(&old, name, 1 << 20)? {
            files::write(&new, name, &text, 0o600, *user)?;
        }
    }
    Ok(())
}

/// The secrets in a backup that are not an installation's own.
fn read_secrets(archive: &Archive) -> io::Result<Vec<(String, Vec<u8>)>> {
    let names = archive.below(SECRETS).map(|(name, _)| name.to_owned());
    let names =
        names.filter(|name| !name.contains('/') && !name.starts_with('.') && !contents::is_of_installation(name));
    names
        .map(|name| {
            let mut content = Vec::new();
            if let Some(member) = archive.member(&format!("{SECRETS}/{name}")) {
                member.take(contents::LONGEST_SECRET).read_to_end(&mut content)?;
            }
            Ok((name, content))
        })
        .collect()
}

/// Uploaded files are added to those that are there: a file is named by its content, so one that no row refers to
/// does no harm, and going back need not touch them.
fn put_uploads(place: &Place, data: &OwnedFd, archive: &Archive) -> io::Result<()> {
    let uploads = files::make_folder(data, UPLOADS, 0o700, place.app_owner)?;
    for (path, _) in archive.below(UPLOADS) {
        if let Some(mut content) = archive.member(&format!("{UPLOADS}/{path}")) {
            contents::put_upload(&uploads, path, &mut content, place.app_owner)?;
        }
    }
    Ok(())
}

/// Puts the old data back where they were, and has them served again.
fn go_back(place: &Place, data: &OwnedFd, services: Services) -> Result<(), String> {
    let is_bundled = matches!(place.postgres, PostgresPlace::Bundled { .. });
    let is_exchanged = swap::is_exchanged(data).map_err(|error| error.to_string())?;
    if is_exchanged {
        if place.app.is_some() {
            services.act("worker", "stop")?;
        }
        if is_bundled {
            services.act("postgres", "stop")?;
        }
    }
    swap::undo(data).map_err(|error| error.to_string())?;
    if is_bundled {
        services.act("postgres", "start")?;
    }
    if place.app.is_some() {
        services.act("worker", "start")?;
    }
    Ok(())
}

fn data_directory() -> Result<OwnedFd, String> {
    let opened = File::open(".").map_err(|error| format!("The data directory cannot be opened: {error}."))?;
    Ok(opened.into())
}
