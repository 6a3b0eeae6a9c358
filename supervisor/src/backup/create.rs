//! Making a backup while everything runs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;

use super::archive::{Archive, DATABASE, MANIFEST, Writer};
use super::database::{self, Snapshot};
use super::keep;
use super::limit::within;
use super::manifest::{FORMAT, Instance, Manifest, Tools};
use super::{FOLDER, contents};
use crate::files;
use crate::task::{BackupRules, Place, PostgresPlace, TaskOutcome};

/// Free bytes that a backup must leave on its disk: the database may be on the same one.
const RESERVE: u64 = 64 << 20;
const MB: u64 = 1 << 20;

/// What has been made, read back and found whole.
#[derive(Debug, Clone, Serialize)]
pub struct Created {
    /// The file.
    pub file: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Rows of all tables in it.
    pub rows: u64,
    /// Older backups that were deleted: no longer kept, or in the way of this one on a full disk.
    pub removed: Vec<String>,
}

/// `supervisor backup create`, in a process of its own.
pub fn run(place: &Place, to: Option<&Path>) -> TaskOutcome {
    let (place, to) = (place.clone(), to.map(Path::to_path_buf));
    let limit = place.backup.limit();
    match within(limit, move || create(&place, to.as_deref(), &mut super::say)) {
        Ok(created) => TaskOutcome::done(json!(created)),
        Err(sentence) => TaskOutcome::failed(sentence),
    }
}

/// Makes a backup of the appliance in the working directory, in its folder `backups` or in the absolute path `to`.
/// In its own folder, backups that are too old, or that leave it no room, are deleted before, and those that are no
/// longer kept afterwards; the newest good one stays. Each step is told to `progress`.
///
/// # Errors
/// One sentence. Nothing of the backup is left then.
pub fn create(place: &Place, to: Option<&Path>, progress: &mut dyn FnMut(&str)) -> Result<Created, String> {
    let began = Instant::now();
    let folder = to.unwrap_or(Path::new(FOLDER));
    let shown = to.map_or_else(|| place.shown.join(FOLDER), Path::to_path_buf);
    let directory = File::open(".").map_err(|error| format!("The data directory cannot be opened: {error}."))?;
    let unusable = |error: io::Error| format!("The folder {} cannot be used: {error}.", shown.display());
    if !std::fs::metadata(folder).map_err(unusable)?.is_dir() {
        return Err(format!("{} is not a folder.", shown.display()));
    }
    keep::remove_unfinished(folder).map_err(unusable)?;

    let (connection, tools) = database::reach(place).map_err(sentence)?;
    let snapshot = Snapshot::take(connection, tools).map_err(sentence)?;
    let estimate = snapshot.table_bytes + contents::uploads_bytes(&directory);
    let needed = estimate.saturating_add(RESERVE);
    let mut removed = match to {
        Some(_) => Vec::new(),
        None => make_room(place, folder, needed, progress),
    };
    if let Some(free) = database::free_bytes(folder).filter(|free| *free < needed) {
        return Err(format!(
            "The disk of {} has {} MB free, and a backup may need {} MB: nothing was written.",
            shown.display(),
            free / MB,
            needed / MB
        ));
    }

    let unfinished = Unfinished::make(folder).map_err(unusable)?;
    progress(&format!("writing {} (tables of {} MB)", shown.join(&unfinished.name).display(), estimate / MB));
    let written = write(place, &directory, snapshot, &unfinished, progress);
    let (size_bytes, rows) = written.map_err(|trouble| trouble.explain(&shown))?;
    let name = unfinished.finish().map_err(|error| Trouble::Disk(error).explain(&shown))?;
    if to.is_none() {
        let old = keep::prune(folder, place.backup, Utc::now(), Some(&name));
        removed.extend(deleted(old, "is no longer kept", progress));
    }
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Created { file: shown.join(name), size_bytes, ms, rows, removed })
}

/// Writes everything. Returns the length in bytes and the number of rows.
fn write(
    place: &Place,
    directory: &File,
    snapshot: Snapshot,
    unfinished: &Unfinished,
    progress: &mut dyn FnMut(&str),
) -> Result<(u64, u64), Trouble> {
    let mut archive = Writer::new(unfinished.file.try_clone().map_err(Trouble::Disk)?);
    let mut manifest = Manifest {
        format: FORMAT,
        glitchbox_version: place.version.clone(),
        schema_version: snapshot.schema_version,
        postgres_version: snapshot.server_version.clone(),
        postgres_major: snapshot.server_major,
        created_at: Utc::now(),
        instance: Instance {
            url: place.public_url.clone(),
            data_dir: place.shown.display().to_string(),
            external_database: matches!(place.postgres, PostgresPlace::External { .. }),
        },
        tools: Tools { pg_dump: snapshot.tools().version.clone(), pg_dump_major: snapshot.tools().major },
        table_bytes: snapshot.table_bytes,
        members: Vec::new(),
        rows: std::collections::BTreeMap::new(),
    };
    manifest.rows = snapshot.dump(|dump| {
        let member = archive.append(DATABASE, dump).map_err(Trouble::Disk)?;
        progress(&format!("database: {} bytes", member.size));
        Ok::<_, Trouble>(())
    })?;
    let told = |what: &'static str| move |error: io::Error| Trouble::of(what, error);
    contents::add_uploads(directory, &mut archive).map_err(told("uploads"))?;
    contents::add_secrets(directory, &mut archive).map_err(told("secrets"))?;
    manifest.members = archive.members().to_vec();
    progress(&format!("files: {}, rows: {}", manifest.members.len(), manifest.total_rows()));
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Trouble::Said(error.to_string()))?;
    archive.append(MANIFEST, text.as_slice()).map_err(Trouble::Disk)?;
    let length = archive.seal().map_err(Trouble::Disk)?;
    // What the disk gives back must be what went to it.
    let check = || Archive::open(&unfinished.path())?.check_members(&manifest.members);
    check().map_err(|words| Trouble::Said(format!("The backup was written, but cannot be read back: {words}")))?;
    Ok((length, manifest.total_rows()))
}

/// Deletes old backups before a new one is written: those that are too old, and if `needed` bytes are not free then,
/// others. A disk that is full of backups would else never take another.
fn make_room(place: &Place, folder: &Path, needed: u64, progress: &mut dyn FnMut(&str)) -> Vec<String> {
    let by_age = BackupRules { keep: u32::MAX, ..place.backup };
    let mut removed = deleted(keep::prune(folder, by_age, Utc::now(), None), "is too old", progress);
    if let Some(missing) = database::free_bytes(folder).and_then(|free| needed.checked_sub(free)) {
        removed.extend(deleted(keep::make_room(folder, missing, Utc::now()), "makes room for a new one", progress));
    }
    removed
}

/// Tells what was deleted. That something cannot be deleted does not make the new backup worse.
fn deleted(old: io::Result<Vec<String>>, reason: &str, progress: &mut dyn FnMut(&str)) -> Vec<String> {
    match old {
        Ok(removed) => {
            for name in &removed {
                progress(&format!("deleted {name}, which {reason}"));
            }
            removed
        }
        Err(error) => {
            progress(&format!("WARN old backups cannot be deleted: {error}"));
            Vec::new()
        }
    }
}

/// A backup that is not whole yet; deleted when this is dropped before it is.
struct Unfinished {
    folder: PathBuf,
    name: String,
    file: File,
    is_whole: bool,
}

impl Unfinished {
    fn make(folder: &Path) -> io::Result<Self> {
        let mut at = Utc::now();
        loop {
            let name = keep::name(at);
            // Two in one second: the later one is dated a second later.
            if !folder.join(&name).exists() {
                let path = folder.join(format!("{name}{}", keep::UNFINISHED));
                let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
                return Ok(Self { folder: folder.to_path_buf(), name, file, is_whole: false });
            }
            at += TimeDelta::seconds(1);
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}{}", self.name, keep::UNFINISHED))
    }

    fn finish(mut self) -> io::Result<String> {
        std::fs::rename(self.path(), self.folder.join(&self.name))?;
        self.is_whole = true;
        files::sync_folder(File::open(&self.folder)?)?;
        Ok(self.name.clone())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = std::fs::remove_file(self.path());
        }
    }
}

/// Why a backup could not be written.
enum Trouble {
    Disk(io::Error),
    Said(String),
}

impl From<String> for Trouble {
    fn from(words: String) -> Self {
        Self::Said(words)
    }
}

impl Trouble {
    /// A file of ours that cannot be read, or the disk that cannot take it.
    fn of(what: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Disk(error),
            _ => Self::Said(format!("{what} cannot be read: {error}")),
        }
    }

    fn explain(self, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Self::Disk(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                format!("The disk of {folder} is full: the backup was broken off, and nothing of it is left.")
            }
            Self::Disk(error) => format!("The backup cannot be written to {folder}: {error}."),
            Self::Said(words) => sentence(words),
        }
    }
}

/// Ends what was said with a full stop.
pub(super) fn sentence(words: String) -> String {
    if words.ends_with('.') { words } else { words + "." }
}
