//! The names of backups, and which of them are old enough to go.

use std::cmp::Reverse;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::archive::Archive;
use crate::task::BackupRules;

/// How the moment stands in a name: sorted by name, backups are sorted by age.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const PREFIX: &str = "glitchbox-";
const SUFFIX: &str = ".tar";
/// What a backup is called until it is whole.
pub const UNFINISHED: &str = ".partial";
/// The unit of a file's blocks, in bytes.
const BLOCK: u64 = 512;

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

/// Deletes the backups of a folder that the rules no longer allow, but never `made`, the one just made, nor the newest
/// good one. Returns their names.
///
/// # Errors
/// When the folder cannot be read or a file not be deleted.
pub fn prune(folder: &Path, rules: BackupRules, now: DateTime<Utc>, made: Option<&str>) -> io::Result<Vec<String>> {
    let names = rank(names(folder)?, now, made);
    let old: Vec<String> =
        outdated(&names, rules, now, made, |name| is_good(folder, name)).map(str::to_owned).collect();
    for name in &old {
        std::fs::remove_file(folder.join(name))?;
    }
    Ok(old)
}

/// Deletes as many backups of a folder as give `missing` bytes back, the oldest first and never the newest good one;
/// none if all of them would not be enough. Returns their names.
///
/// # Errors
/// When the folder cannot be read or a file not be deleted.
pub fn make_room(folder: &Path, missing: u64, now: DateTime<Utc>) -> io::Result<Vec<String>> {
    let names = rank(names(folder)?, now, None);
    let newest_good = names.iter().position(|name| is_good(folder, name));
    let mut going = Vec::new();
    let mut freed = 0;
    for (index, name) in names.into_iter().enumerate().rev() {
        if freed >= missing {
            break;
        }
        if Some(index) != newest_good {
            freed += std::fs::symlink_metadata(folder.join(&name))?.blocks() * BLOCK;
            going.push(name);
        }
    }
    if freed < missing {
        return Ok(Vec::new());
    }
    for name in &going {
        std::fs::remove_file(folder.join(name))?;
    }
    Ok(going)
}

fn is_good(folder: &Path, name: &str) -> bool {
    Archive::open(&folder.join(name)).and_then(|archive| archive.manifest()).is_ok()
}

/// Newest first. One that is dated later than now was made before the clock was set back: it may be of any age, and
/// counts as the oldest.
fn rank(mut names: Vec<String>, now: DateTime<Utc>, made: Option<&str>) -> Vec<String> {
    // The second of one second is dated a little late.
    let now = made.and_then(stamp).map_or(now, |at| at.max(now));
    names.sort_by_cached_key(|name| {
        let is_older = made != Some(name);
        (is_older, stamp(name) > Some(now), Reverse(name.clone()))
    });
    names
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

/// Of `names`, newest first: all beyond the first few, and all that are too old; but never `made`, nor the newest good
/// one.
fn outdated<'a>(
    names: &'a [String],
    rules: BackupRules,
    now: DateTime<Utc>,
    made: Option<&str>,
    is_good: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'a str> {
    let newest_good = names.iter().position(|name| is_good(name));
    let oldest = TimeDelta::try_days(i64::from(rules.max_age_days)).and_then(|age| now.checked_sub_signed(age));
    names.iter().enumerate().filter_map(move |(index, name)| {
        let is_beyond = u32::try_from(index).is_ok_and(|index| index >= rules.keep);
        let is_old = stamp(name) < oldest;
        let stays = Some(index) == newest_good || made == Some(name);
        ((is_beyond || is_old) && !stays).then_some(name.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn rules(keep: u32, max_age_days: u32) -> BackupRules {
        BackupRules { keep, max_age_days, ..BackupRules::default() }
    }

    /// Files of one block each that are no good backups.
    fn fill(folder: &Path, moments: &[&str]) -> Vec<String> {
        let names: Vec<String> = moments.iter().map(|moment| name(at(moment))).collect();
        for name in &names {
            std::fs::write(folder.join(name), vec![b'x'; 4096]).unwrap();
        }
        names
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
            let gone =
                outdated(&names, rules(keep, days), now, None, |name| names[good..].iter().any(|known| known == name));
            gone.map(|name| names.iter().position(|known| known == name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(outdated(3, 365, 0), [3, 4]);
        assert_eq!(outdated(9, 25, 0), [3, 4]);
        assert_eq!(outdated(9, 365, 0), [0; 0]);
        assert_eq!(outdated(1, 365, 2), [1, 3, 4], "the first two are damaged");
        assert_eq!(outdated(0, 0, 0), [1, 2, 3, 4]);
    }

    #[test]
    fn after_the_clock_was_set_back_the_one_just_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let moments = ["2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"];
        let all = fill(folder.path(), &moments);
        let now = at("2026-11-20T00:00:00Z");
        let gone = prune(folder.path(), rules(2, 30), now, Some(&all[3])).unwrap();
        assert_eq!(gone, all[..2], "those of the future count as the oldest");
        assert_eq!(prune(folder.path(), rules(0, 0), now, Some(&all[3])).unwrap(), [all[2].clone()]);
        assert_eq!(names(folder.path()).unwrap(), [all[3].clone()]);
    }

    #[test]
    fn room_is_made_by_as_few_as_do_and_only_if_they_do() {
        let folder = tempfile::tempdir().unwrap();
        let all = fill(folder.path(), &["2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"]);
        let now = at("2026-11-21T00:00:00Z");
        assert_eq!(make_room(folder.path(), 1 << 30, now).unwrap(), Vec::<String>::new());
        assert_eq!(make_room(folder.path(), 4097, now).unwrap(), all[..2]);
        assert_eq!(names(folder.path()).unwrap(), all[2..]);
    }

    #[test]
    fn foreign_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let ours = name(at("2020-01-01T00:00:00Z"));
        for name in [ours.as_str(), "glitchbox-20200101T000000Z.tar.partial", "photo.tar", "notes.partial"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(prune(folder.path(), rules(0, 0), Utc::now(), None).unwrap(), [ours]);
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["notes.partial", "photo.tar"]);
    }
}
