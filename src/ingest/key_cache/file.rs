//! `spool/keys`: the copy as the next process finds it, if PostgreSQL is away then.
//!
//! One line, `glitchbox-keys VERSION SHA256`, then JSON, which the sum is of. It is replaced as a whole, so web
//! processes that run side by side do not hurt each other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::project_key::KeyRow;
use crate::store::rate_limit::RateLimit;

const MAGIC: &str = "glitchbox-keys";

/// Changes with what the file means.
const VERSION: &str = "1";

/// No file of ours is larger.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A half-written file this old belongs to nobody any more.
const ABANDONED_AFTER: Duration = Duration::from_mins(1);

/// What the file says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// There are no other keys.
    pub(super) is_complete: bool,
    pub(super) keys: Vec<KeyRow>,
    pub(super) limits: Vec<RateLimit>,
}

/// Where the copy is kept.
#[derive(Debug, Clone)]
pub(super) struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What was written last; none, and a line in the log, if that cannot be used.
    pub(super) fn read(&self) -> Option<Content> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        let path = self.path.display();
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%path, %error, "the copy of the project keys cannot be read; it is made anew");
                return None;
            }
        }
        let content = decode(&bytes);
        if let Err(reason) = &content {
            tracing::warn!(%path, reason, "the copy of the project keys is ignored, and made anew");
        }
        content.ok()
    }

    /// Replaces the file; after this it is on the disk.
    pub(super) fn write(&self, content: &Content) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let temporary = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let written = write_new(&temporary, &encode(content)?).and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            // What is left of it would only be in the way of the next try, which removes it too.
            drop(fs::remove_file(&temporary));
            return Err(error);
        }
        File::open(folder)?.sync_all()
    }

    /// Removes what processes that were killed left half written.
    pub(super) fn clean_up(&self) {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        let prefix = format!("{name}.");
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let is_ours =
                file_name.to_str().and_then(|found| found.strip_prefix(&prefix)?.strip_suffix(".tmp")).is_some();
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if is_ours && age.is_some_and(|age| age > ABANDONED_AFTER) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    drop(fs::remove_file(path));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn encode(content: &Content) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(content)?;
    let mut bytes = format!("{MAGIC} {VERSION} {}\n", hex::encode(Sha256::digest(&json))).into_bytes();
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Content, &'static str> {
    let end = bytes.iter().take(200).position(|byte| *byte == b'\n').ok_or("it is no such file")?;
    let (head, json) = bytes.split_at(end);
    let json = json.get(1..).unwrap_or_default();
    let mut words = std::str::from_utf8(head).unwrap_or_default().split(' ');
    if words.next() != Some(MAGIC) {
        return Err("it is no such file");
    }
    if words.next() != Some(VERSION) {
        return Err("it is of another version");
    }
    if words.next() != Some(hex::encode(Sha256::digest(json)).as_str()) {
        return Err("it is damaged");
    }
    serde_json::from_slice(json).map_err(|_| "its content is of another kind")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ids::{OrganizationId, ProjectId, ProjectKeyId, RateLimitId};
    use crate::store::rate_limit::{Allowance, Covers, Target};

    fn content() -> Content {
        let key = KeyRow {
            key_id: ProjectKeyId(3),
            project_id: ProjectId(7),
            organization_id: OrganizationId(1),
            public_key: "0123456789abcdef0123456789abcdef".to_owned(),
            is_active: true,
        };
        let limit = RateLimit {
            id: RateLimitId(5),
            target: Target::Project(ProjectId(7)),
            covers: Covers::All,
            allowance: Allowance { quantity: 1000, window_s: 60 },
        };
        Content { is_complete: true, keys: vec![key], limits: vec![limit] }
    }

    #[test]
    fn what_is_written_is_read_and_belongs_to_us_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("spool/keys"));
        assert_eq!(file.read(), None);
        for _ in 0..2 {
            file.write(&content()).unwrap();
            assert_eq!(file.read(), Some(content()));
        }
        let names: Vec<_> = fs::read_dir(dir.path().join("spool")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["keys"]);
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_damaged_or_foreign_is_ignored() {
        let good = encode(&content()).unwrap();
        assert_eq!(decode(&good), Ok(content()));
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&good[..at]).is_err(), "cut at {at}");
        }
        let newer = String::from_utf8(good).unwrap().replace("glitchbox-keys 1", "glitchbox-keys 2");
        assert_eq!(decode(newer.as_bytes()), Err("it is of another version"));
        assert!(decode(&[0; 1000]).is_err() && decode(b"").is_err());
    }

    #[test]
    fn only_what_was_left_behind_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("keys"));
        for name in ["keys.1.tmp", "keys.2.tmp", "segment.tmp"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let old = SystemTime::now() - ABANDONED_AFTER * 2;
        for name in ["keys.1.tmp", "segment.tmp"] {
            File::options().write(true).open(dir.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        file.clean_up();
        let left = ["keys.1.tmp", "keys.2.tmp", "segment.tmp"].map(|name| dir.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
