//! Reports kept on disk: `logs/reports/ID.json`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::model::Report;
use crate::files;

/// Reports kept, the latest: one for each night of three months.
const MOST: usize = 90;

/// Longest report read, in bytes.
const LONGEST: u64 = 1024 * 1024;

const MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The folder of reports.
#[derive(Debug)]
pub struct Store {
    folder: OwnedFd,
}

impl Store {
    /// Opens the folder of an appliance, which must have made a report.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let logs = files::open_folder(File::open(data_dir)?, "logs")?;
        Ok(Self { folder: files::open_folder(logs, "reports")? })
    }

    /// Opens the folder, and makes it unless it is there.
    ///
    /// # Errors
    /// When that fails.
    pub fn make(data_dir: &Path) -> io::Result<Self> {
        let logs = files::open_folder(File::open(data_dir)?, "logs")?;
        Ok(Self { folder: files::make_folder(logs, "reports", FOLDER_MODE, None)? })
    }

    /// Writes a report down, and forgets the oldest beyond the number kept.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep(&self, report: &Report) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(report)?;
        text.push(b'\n');
        files::write(&self.folder, &format!("{}.json", report.id), &text, MODE, None)?;
        let mut ids = self.ids()?;
        ids.truncate(MOST);
        // Also what was written of a report's delivery when the report itself had gone already.
        let is_over = |name: &&String| {
            let id = name.strip_suffix(".json").or_else(|| Some(name.strip_suffix(".delivery")?.split_once('.')?.0));
            id.is_some_and(|id| is_id(id) && !ids.iter().any(|kept| kept == id))
        };
        for name in self.names()?.iter().filter(is_over) {
            std::fs::remove_file(files::proc_path(&self.folder).join(name))?;
        }
        Ok(())
    }

    /// Every report, the latest first; what cannot be read is left out.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Report>> {
        Ok(self.ids()?.iter().filter_map(|id| self.find(id).ok().flatten()).collect())
    }

    /// One report.
    ///
    /// # Errors
    /// When its file cannot be read or is not a report of ours.
    pub fn find(&self, id: &str) -> io::Result<Option<Report>> {
        if !is_id(id) {
            return Ok(None);
        }
        let text = files::read(&self.folder, &format!("{id}.json"), LONGEST)?;
        text.map(|text| serde_json::from_slice(&text).map_err(io::Error::from)).transpose()
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> impl AsFd + '_ {
        &self.folder
    }

    /// The latest first: names begin with the time.
    fn ids(&self) -> io::Result<Vec<String>> {
        let names = self.names()?;
        let mut ids: Vec<String> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".json"))
            .filter(|id| is_id(id))
            .map(str::to_owned)
            .collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        names(&self.folder)
    }
}

/// The names in a folder.
pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(files::proc_path(folder))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Letters, digits and dashes: nothing that could lead elsewhere.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 80 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
