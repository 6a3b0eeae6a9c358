//! The names of backups, and which of them are old enough to go.

use std::io;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::archive::Archive;

/// How the moment stands in a name: sorted by name, backups are sorted by age.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const PREFIX: &str = "glitchbox-";
const SUFFIX: &str = ".tar";
/// What a backup is called until it is whole.
pub const UNFINISHED: &str = ".partial";

/// The name of a backup made at this moment.
pub fn name(at: DateTime<Utc>) -> String {
    format!("{PREFIX}{}{SUFFIX}", at.format(STAMP))
}

/// The moment in the name of a backup; `None` when the name is not one of ours.
pub fn stamp(name: &str) -> Option<DateTime<Utc>> {
    let text = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let at = NaiveDateTime::parse_from_str(text, STAMP).ok()?.and_utc();
    (self::name(at) == name).then_some(at)
}

/// The names of the backups in a folder, newest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        found.extend(name.to_str().filter(|name| stamp(name).is_some()).map(str::to_owned));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Deletes the backups of a folder that `keep` and `max_age_days` no longer allow. Returns their names.
///
/// # Errors
/// When the folder cannot be read or a file not be deleted.
pub fn prune(folder: &Path, keep: u32, max_age_days: u32, now: DateTime<Utc>) -> io::Result<Vec<String>> {
    let names = names(folder)?;
    let is_good = |name: &str| Archive::open(&folder.join(name)).and_then(|archive| archive.manifest()).is_ok();
    let old: Vec<String> = outdated(&names, keep, max_age_days, now, is_good).map(str::to_owned).collect();
    for name in &old {
        std::fs::remove_file(folder.join(name))?;
    }
    Ok(old)
}

/// Deletes what backups that were broken off have left in a folder.
///
/// # Errors
/// When the folder cannot be read or a file not be deleted.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours =
            name.to_str().and_then(|name| name.strip_suffix(UNFINISHED)).is_some_and(|name| stamp(name).is_some());
        if is_ours {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Of `names`, newest first: all beyond the first `keep`, and all that are too old; but never the newest good one.
fn outdated(
    names: &[String],
    keep: u32,
    max_age_days: u32,
    now: DateTime<Utc>,
    is_good: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &str> {
    let newest_good = names.iter().position(|name| is_good(name));
    let oldest = TimeDelta::try_days(i64::from(max_age_days)).and_then(|age| now.checked_sub_signed(age));
    names.iter().enumerate().filter_map(move |(index, name)| {
        let is_beyond = u32::try_from(index).is_ok_and(|index| index >= keep);
        let is_old = stamp(name) < oldest;
        ((is_beyond || is_old) && Some(index) != newest_good).then_some(name.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn only_our_own_names_count() {
        let moment = at("2026-11-20T02:01:09Z");
        assert_eq!(name(moment), "glitchbox-20261120T020109Z.tar");
        assert_eq!(stamp("glitchbox-20261120T020109Z.tar"), Some(moment));
        for other in [
            "glitchbox-20261120T020109Z.tar.partial",
            "glitchbox-20261120T020109Z.tar.gz",
            "my-glitchbox-20261120T020109Z.tar",
            "glitchbox-2026112T0020109Z.tar",
            "glitchbox-before-upgrade.tar",
        ] {
            assert_eq!(stamp(other), None, "{other}");
        }
    }

    #[test]
    fn count_and_age_decide_and_the_newest_good_one_stays() {
        let now = at("2026-11-20T12:00:00Z");
        let names: Vec<String> = (0..5).map(|days| name(now - TimeDelta::days(days * 10))).collect();
        let outdated = |keep, days, good: usize| {
            let gone = outdated(&names, keep, days, now, |name| names[good..].iter().any(|known| known == name));
            gone.map(|name| names.iter().position(|known| known == name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(outdated(3, 365, 0), [3, 4]);
        assert_eq!(outdated(9, 25, 0), [3, 4]);
        assert_eq!(outdated(9, 365, 0), [0; 0]);
        assert_eq!(outdated(1, 365, 2), [1, 3, 4], "the first two are damaged");
        assert_eq!(outdated(0, 0, 0), [1, 2, 3, 4]);
    }

    #[test]
    fn foreign_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ours = name(at("2020-01-01T00:00:00Z"));
        for name in [ours.as_str(), "glitchbox-20200101T000000Z.tar.partial", "photo.tar", "notes.partial"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(prune(folder.path(), 0, 0, Utc::now()).unwrap(), [ours]);
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["notes.partial", "photo.tar"]);
    }
}
