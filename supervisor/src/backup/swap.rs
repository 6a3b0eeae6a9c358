//! Putting restored data in the place of the old, so that at any moment either can be had whole.
//!
//! A journal in the data directory says that a restore is under way. As long as it is there, the old data count:
//! whoever finds it puts them back, again and again if need be. The restore has succeeded when it is renamed; under its
//! new name it stays until services run on the restored data and the old are deleted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::renameat;
use serde::{Deserialize, Serialize};

use super::contents::{LONGEST_SECRET, SECRETS};
use super::{restore, verify};
use crate::files::{self, Owner};
use crate::postgres::cluster;

/// The journal's name in the data directory.
const JOURNAL: &str = "restore.journal";
/// How the old cluster is called meanwhile; a moment follows.
const ASIDE: &str = "postgres.before-restore-";
/// Where a restored cluster goes that is not wanted any more.
const UNWANTED: &str = "postgres.failed-restore";
/// How the old value of a secret is called meanwhile; its name follows.
const OLD_SECRET: &str = ".before-restore-";
/// What the journal becomes when the restored data count: services wait for them, and the old data are to be deleted.
const DONE: &str = "restore.done";
/// Longest journal, in bytes.
const LONGEST: u64 = 1 << 20;

/// What is going to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The bundled cluster; none when the database is elsewhere.
    cluster: Option<OldCluster>,
    /// Secrets that are replaced or added.
    secrets: Vec<OldSecret>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OldCluster {
    /// What the old one is called meanwhile.
    aside: String,
    /// Whether there was one.
    existed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OldSecret {
    name: String,
    existed: bool,
}

impl Journal {
    /// Notes durably what is going to be replaced. From now on [`undo`] brings it back.
    pub(super) fn begin(data: &OwnedFd, stamp: &str, has_cluster: bool, secrets: &[&str]) -> io::Result<Self> {
        if files::look(data, JOURNAL)?.is_some() {
            // Its old data are nowhere else: they must not be taken for what an earlier restore has left.
            return Err(io::Error::other("an earlier restore is not undone yet"));
        }
        tidy(data)?;
        let exists = |folder: &OwnedFd, name: &str| files::look(folder, name).map(|stat| stat.is_some());
        let cluster = if has_cluster {
            let cluster = files::open_folder(data, cluster::FOLDER);
            let existed = cluster.is_ok_and(|cluster| exists(&cluster, "PG_VERSION").unwrap_or(true));
            Some(OldCluster { aside: format!("{ASIDE}{stamp}"), existed })
        } else {
            None
        };
        let folder = files::open_folder(data, SECRETS)?;
        let secrets = secrets
            .iter()
            .map(|name| Ok(OldSecret { name: (*name).to_owned(), existed: exists(&folder, name)? }))
            .collect::<io::Result<_>>()?;
        let journal = Self { cluster, secrets };
        files::write(data, JOURNAL, &serde_json::to_vec(&journal)?, 0o600, None)?;
        Ok(journal)
    }

    /// Puts the cluster in `restored` in the place of the old one. No server may run on either.
    pub(super) fn exchange_cluster(&self, data: &OwnedFd, restored: &OwnedFd) -> io::Result<()> {
        let Some(old) = &self.cluster else { return Ok(()) };
        if old.existed {
            renameat(data, cluster::FOLDER, data, old.aside.as_str())?;
        } else {
            // An empty folder may have been made for it.
            files::remove_folder(data, cluster::FOLDER)?;
        }
        renameat(restored, cluster::FOLDER, data, cluster::FOLDER)?;
        files::sync_folder(data)
    }

    /// Writes a secret and keeps its old value.
    pub(super) fn replace_secret(
        &self,
        data: &OwnedFd,
        name: &str,
        content: &[u8],
        owner: Option<Owner>,
    ) -> io::Result<()> {
        if !self.secrets.iter().any(|secret| secret.name == name) {
            return Err(io::Error::other(format!("secrets/{name} is not in the journal")));
        }
        let folder = files::open_folder(data, SECRETS)?;
        if let Some(old) = files::read(&folder, name, LONGEST_SECRET)? {
            files::write(&folder, &format!("{OLD_SECRET}{name}"), &old, 0o600, owner)?;
        }
        files::write(&folder, name, content, 0o600, owner)
    }
}

/// The restored data count from now on.
///
/// # Errors
/// When the old data still count.
pub(super) fn commit(data: &OwnedFd) -> io::Result<()> {
    renameat(data, JOURNAL, data, DONE)?;
    // Nobody finds the journal any more, so there is no way back, whatever the disk says. `tidy` asks it again before it
    // deletes the old data.
    let _ = files::sync_folder(data);
    Ok(())
}

/// Whether there is something to be cleared up of a restore or verification that is over.
pub fn has_left(data: impl AsFd) -> bool {
    [JOURNAL, DONE, restore::FOLDER, verify::FOLDER]
        .into_iter()
        .any(|name| files::look(&data, name).is_ok_and(|stat| stat.is_some()))
}

/// Whether restored data count, but what comes after that is not finished.
pub(super) fn is_committed(data: &OwnedFd) -> bool {
    files::look(data, DONE).is_ok_and(|stat| stat.is_some())
}

/// Whether a restore was begun and neither finished nor undone.
pub fn is_unfinished(data: impl AsFd) -> bool {
    files::look(data, JOURNAL).is_ok_and(|stat| stat.is_some())
}

/// Whether the old cluster is not in its place any more.
pub(super) fn is_exchanged(data: &OwnedFd) -> io::Result<bool> {
    let Some(text) = files::read(data, JOURNAL, LONGEST)? else { return Ok(false) };
    let journal: Journal = serde_json::from_slice(&text)?;
    let Some(old) = journal.cluster else { return Ok(false) };
    Ok(!old.existed || files::look(data, &old.aside)?.is_some())
}

/// Brings the old data back if a restore is unfinished. No server of the data directory may run.
///
/// # Errors
/// When something cannot be moved; it can be called again.
pub fn undo(data: &OwnedFd) -> io::Result<()> {
    let Some(text) = files::read(data, JOURNAL, LONGEST)? else { return Ok(()) };
    let journal: Journal = serde_json::from_slice(&text)?;
    if let Some(old) = &journal.cluster {
        let is_aside = files::look(data, &old.aside)?.is_some();
        if is_aside || !old.existed {
            files::remove_folder(data, UNWANTED)?;
            if files::look(data, cluster::FOLDER)?.is_some() {
                renameat(data, cluster::FOLDER, data, UNWANTED)?;
            }
        }
        if is_aside {
            renameat(data, old.aside.as_str(), data, cluster::FOLDER)?;
        }
        files::sync_folder(data)?;
    }
    let folder = files::open_folder(data, SECRETS)?;
    for OldSecret { name, existed } in &journal.secrets {
        let kept = format!("{OLD_SECRET}{name}");
        if !existed {
            files::remove(&folder, name)?;
        } else if files::look(&folder, &kept)?.is_some() {
            renameat(&folder, kept.as_str(), &folder, name.as_str())?;
        }
    }
    files::sync_folder(&folder)?;
    files::remove(data, JOURNAL)?;
    files::sync_folder(data)?;
    tidy(data)
}

/// Deletes what restores and verifications that are over have left: old data that were replaced, data that were not
/// wanted, scratch clusters. Nothing of it may be in use. An unfinished restore is left alone.
///
/// # Errors
/// When something cannot be deleted.
pub fn tidy(data: &OwnedFd) -> io::Result<()> {
    if is_unfinished(data) {
        return Ok(());
    }
    if is_committed(data) {
        files::sync_folder(data)?;
    }
    for (name, is_folder) in files::entries(data)? {
        let is_ours = name.starts_with(ASIDE) || [UNWANTED, restore::FOLDER, verify::FOLDER].contains(&name.as_str());
        if is_folder && is_ours {
            files::remove_folder(data, &name)?;
        }
    }
    if let Ok(folder) = files::open_folder(data, SECRETS) {
        for (name, is_folder) in files::entries(&folder)? {
            if !is_folder && name.starts_with(OLD_SECRET) {
                files::remove(&folder, &name)?;
            }
        }
    }
    files::remove(data, DONE)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;

    const STAMP: &str = "20261120T000000Z";

    /// A data directory with an old cluster and a restored one beside it.
    fn make(folder: &Path, has_old: bool) -> OwnedFd {
        for name in ["restore.tmp/postgres", "secrets"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("restore.tmp/postgres/PG_VERSION"), "new").unwrap();
        std::fs::write(folder.join("secrets/secret-key"), "old").unwrap();
        if has_old {
            std::fs::create_dir(folder.join("postgres")).unwrap();
            std::fs::write(folder.join("postgres/PG_VERSION"), "old").unwrap();
        }
        File::open(folder).unwrap().into()
    }

    fn read(folder: &Path, name: &str) -> Option<String> {
        std::fs::read_to_string(folder.join(name)).ok()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn broken_off_anywhere_the_old_data_come_back() {
        for (count, has_old) in (0..=4).flat_map(|count| [(count, true), (count, false)]) {
            let temporary = tempfile::tempdir().unwrap();
            let folder = temporary.path();
            let data = make(folder, has_old);
            // Begun twice: what the first left must not be in the way of the second.
            let journal = {
                std::fs::create_dir(folder.join("verify.tmp")).unwrap();
                let scratch = folder.join("kept");
                std::fs::rename(folder.join("restore.tmp"), &scratch).unwrap();
                let journal = Journal::begin(&data, STAMP, true, &["secret-key", "added"]).unwrap();
                std::fs::rename(&scratch, folder.join("restore.tmp")).unwrap();
                journal
            };
            if count > 0 {
                journal.replace_secret(&data, "secret-key", b"new", None).unwrap();
            }
            if count > 1 {
                journal.replace_secret(&data, "added", b"new", None).unwrap();
            }
            if count == 3 && has_old {
                renameat(&data, "postgres", &data, format!("{ASIDE}{STAMP}").as_str()).unwrap();
            }
            if count > 3 {
                let restored = files::open_folder(&data, "restore.tmp").unwrap();
                journal.exchange_cluster(&data, &restored).unwrap();
                assert_eq!(read(folder, "postgres/PG_VERSION").unwrap(), "new");
            }
            assert!(is_unfinished(&data) && has_left(&data));
            let again = Journal::begin(&data, STAMP, true, &["secret-key"]).unwrap_err();
            assert!(again.to_string().contains("not undone"), "{again}");
            for _again in 0..2 {
                undo(&data).unwrap();
                assert_eq!(read(folder, "postgres/PG_VERSION").as_deref(), has_old.then_some("old"), "step {count}");
                assert_eq!(read(folder, "secrets/secret-key").unwrap(), "old");
                assert_eq!(names(&folder.join("secrets")), ["secret-key"]);
                assert_eq!(names(folder), if has_old { vec!["postgres", "secrets"] } else { vec!["secrets"] });
            }
        }
    }

    #[test]
    fn once_committed_the_new_data_stay() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        let data = make(folder, true);
        std::fs::rename(folder.join("restore.tmp"), folder.join("kept")).unwrap();
        let journal = Journal::begin(&data, STAMP, true, &["secret-key"]).unwrap();
        let restored = files::open_folder(&data, "kept").unwrap();
        journal.exchange_cluster(&data, &restored).unwrap();
        journal.replace_secret(&data, "secret-key", b"new", None).unwrap();
        commit(&data).unwrap();
        assert!(is_committed(&data) && has_left(&data) && !is_unfinished(&data));
        undo(&data).unwrap();
        tidy(&data).unwrap();
        assert!(!is_committed(&data) && !has_left(&data));
        assert_eq!(read(folder, "postgres/PG_VERSION").unwrap(), "new");
        assert_eq!(names(folder), ["kept", "postgres", "secrets"]);
        assert_eq!(names(&folder.join("secrets")), ["secret-key"]);
        assert_eq!(read(folder, "secrets/secret-key").unwrap(), "new");
    }
}
