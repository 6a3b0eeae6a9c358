//! Proving that a backup can be restored, by restoring it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::create::sentence;
use super::limit::within;
use super::{keep, trial};
use crate::leftovers;
use crate::secrets::{self, Role};
use crate::task::{Place, TaskOutcome};

/// The folder of the data directory that a backup is restored into to see whether it can be.
pub(super) const FOLDER: &str = "verify.tmp";

/// A backup that can be restored.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The file.
    pub file: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// How many tables were compared.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
    /// Files beside the database.
    pub files: usize,
    /// The glitchbox that made it.
    pub glitchbox_version: String,
    /// Number of the last migration of its database.
    pub schema_version: i64,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// `supervisor backup verify`, in a process of its own.
pub fn run(place: &Place, file: &Path) -> TaskOutcome {
    let (place, file) = (place.clone(), file.to_path_buf());
    let limit = place.backup.limit();
    match within(limit, move || verify(&place, &file, &mut super::say)) {
        Ok(verified) => TaskOutcome::done(json!(verified)),
        Err(sentence) => TaskOutcome::failed(sentence),
    }
}

/// The same with the newest backup of the data directory, which is the working directory.
pub fn run_newest(place: &Place) -> TaskOutcome {
    let names = match keep::names(Path::new(super::FOLDER)) {
        Ok(names) => names,
        Err(error) => return TaskOutcome::failed(format!("The backups cannot be listed: {error}.")),
    };
    match names.first() {
        Some(name) => run(place, &Path::new(super::FOLDER).join(name)),
        None => TaskOutcome::failed("There is no backup to be verified."),
    }
}

/// Reads every byte of a backup, restores its database into a cluster of its own in the data directory, which is the
/// working directory, and compares the rows of every table. Changes nothing and leaves nothing.
///
/// # Errors
/// One sentence saying what is wrong with it.
pub fn verify(place: &Place, file: &Path, progress: &mut dyn FnMut(&str)) -> Result<Verified, String> {
    let began = Instant::now();
    progress("reading every byte");
    let sound = trial::examine(place, file)?;
    trial::check_room(place, &sound)?;
    let left = |error: std::io::Error| format!("What an earlier verification left cannot be ended: {error}.");
    leftovers::end_scratch(File::open(".").map_err(left)?).map_err(left)?;
    let roles = Role::ALL.into_iter().map(|role| (role, secrets::generate())).collect();
    let failed = |words: String| sentence(format!("The backup {} cannot be restored: {words}", file.display()));
    let scratch = trial::restore(place, &sound, FOLDER, roles, progress).map_err(failed)?;
    drop(scratch);
    Ok(Verified {
        file: file.to_path_buf(),
        size_bytes: sound.archive.length(),
        tables: sound.manifest.rows.len(),
        rows: sound.manifest.total_rows(),
        files: sound.manifest.members.len() - 1,
        glitchbox_version: sound.manifest.glitchbox_version,
        schema_version: sound.manifest.schema_version,
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
