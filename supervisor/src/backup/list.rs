//! Which backups there are.

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::archive::Archive;
use super::keep;

/// A backup that is there.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The name of its file.
    pub name: String,
    /// Its path.
    pub file: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// The glitchbox that made it; none when the manifest cannot be read.
    pub glitchbox_version: Option<String>,
    /// Number of the last migration of its database.
    pub schema_version: Option<i64>,
    /// The PostgreSQL it comes from.
    pub postgres_version: Option<String>,
    /// Rows of all its tables.
    pub rows: Option<u64>,
    /// Whether its manifest can be read. Whether all of it can, `verify` tells.
    pub readable: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// The backups in a folder, newest first; none when there is no such folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    match keep::names(folder) {
        Ok(names) => Ok(names.into_iter().map(|name| look(folder, name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn look(folder: &Path, name: String) -> Listed {
    let path = folder.join(&name);
    let manifest = Archive::open(&path).and_then(|archive| archive.manifest());
    let (manifest, problem) = match manifest {
        Ok(manifest) => (Some(manifest), None),
        Err(problem) => (None, Some(problem)),
    };
    Listed {
        file: path.display().to_string(),
        size_bytes: std::fs::metadata(&path).map_or(0, |metadata| metadata.len()),
        created_at: manifest.as_ref().map(|manifest| manifest.created_at).or_else(|| keep::stamp(&name)),
        schema_version: manifest.as_ref().map(|manifest| manifest.schema_version),
        rows: manifest.as_ref().map(super::manifest::Manifest::total_rows),
        readable: manifest.is_some(),
        postgres_version: manifest.as_ref().map(|manifest| manifest.postgres_version.clone()),
        glitchbox_version: manifest.map(|manifest| manifest.glitchbox_version),
        name,
        problem,
    }
}
