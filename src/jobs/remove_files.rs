//! Removes uploaded files that have outlived their time. Each worker looks after the disk it runs on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use chrono::Utc;

use super::clean_up::Removed;
use crate::app::App;
use crate::config::Config;
use crate::retention::Kept;

/// The job.
pub(super) async fn run(app: Arc<App>) -> anyhow::Result<()> {
    if super::clean_up::is_on_hold(&app.db, &app.config).await? {
        return Ok(());
    }
    let config = app.config.clone();
    let removed = tokio::task::spawn_blocking(move || remove_old(&config)).await.context("look through the files")?;
    super::clean_up::sum_up(&[removed])
}

/// Removes files under `uploads/` that were changed last before their life began, and folders as old that have become
/// empty. Symbolic links are neither followed nor removed. Blocks.
pub fn remove_old(config: &Config) -> Removed {
    let before = SystemTime::from(Kept::at(Utc::now(), config).files_from);
    let mut sweep = Sweep { before, removed: 0, error: None };
    sweep.folder(&config.data_dir.join("uploads"));
    let error = sweep.error.map(|(path, error)| format!("{}: {error}", path.display()));
    Removed { what: "files", removed: sweep.removed, error }
}

struct Sweep {
    before: SystemTime,
    removed: u64,
    /// The first thing that went wrong; the rest is looked through all the same.
    error: Option<(PathBuf, io::Error)>,
}

impl Sweep {
    fn folder(&mut self, root: &Path) {
        // Folders found, each after the one it lies in.
        let mut folders = vec![(root.to_owned(), false)];
        let mut next = 0;
        while let Some((path, _)) = folders.get(next).cloned() {
            next += 1;
            let entries = fs::read_dir(&path);
            for entry in self.note(&path, entries).into_iter().flatten() {
                let Some(entry) = self.note(&path, entry) else { continue };
                let path = entry.path();
                let Some(metadata) = self.note(&path, entry.metadata()) else { continue };
                let is_old = metadata.modified().is_ok_and(|time| time < self.before);
                if metadata.is_dir() {
                    folders.push((path, is_old));
                } else if is_old && metadata.is_file() && self.note(&path, fs::remove_file(&path)).is_some() {
                    self.removed += 1;
                }
            }
        }
        for (path, is_old) in folders.iter().rev() {
            if *is_old {
                // Refused while there is something in it.
                drop(fs::remove_dir(path));
            }
        }
    }

    /// What is gone meanwhile is no fault.
    fn note<T>(&mut self, path: &Path, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => drop(self.error.get_or_insert((path.to_owned(), error))),
        }
        None
    }
}
