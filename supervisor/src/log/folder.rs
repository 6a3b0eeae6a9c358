//! The folder of the log files: what is open, what all of it weighs, and the thread that writes it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::{Appended, RotatingFile, numbered};
use super::format::Stamp;
use super::hub::Shared;
use super::queue::{Chunk, Next};
use crate::plan::LogRules;
use crate::state::Level;

/// A file that could not be written is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// While one file stays broken and others are written, what was lost is told this often.
const REMIND: Duration = Duration::from_mins(1);

/// Where the supervisor's own lines go.
const OWN: &str = "supervisor.log";

/// All files of the folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    files: HashMap<Arc<str>, RotatingFile>,
    broken: HashMap<Arc<str>, Instant>,
    /// Bytes of all files, unless not yet looked.
    total: Option<u64>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, files: HashMap::new(), broken: HashMap::new(), total: None }
    }

    /// Writes lines to their file.
    ///
    /// # Errors
    /// How many of them are lost, and why.
    pub(super) fn write(&mut self, chunk: &Chunk, rules: LogRules) -> Result<(), (u64, io::Error)> {
        if self.broken.get(&chunk.to).is_some_and(|since| since.elapsed() < RETRY) {
            return Err((chunk.lines, io::Error::other("it could not be written a moment ago")));
        }
        let done = self.append(chunk, rules);
        self.total = self.total.map(|total| (total + done.bytes).saturating_sub(done.removed));
        match done.lost {
            None => {
                self.broken.remove(&chunk.to);
                Ok(())
            }
            Some(lost) => {
                self.files.remove(&chunk.to);
                self.broken.insert(Arc::clone(&chunk.to), Instant::now());
                Err(lost)
            }
        }
    }

    fn append(&mut self, chunk: &Chunk, rules: LogRules) -> Appended {
        self.make_room(chunk.bytes.len() as u64, rules);
        if !self.files.contains_key(&chunk.to) {
            match RotatingFile::open(&self.path.join(chunk.to.as_ref())) {
                Ok(file) => {
                    self.files.insert(Arc::clone(&chunk.to), file);
                }
                Err(error) => return Appended { lost: Some((chunk.lines, error)), ..Appended::default() },
            }
        }
        self.files.get_mut(&chunk.to).map_or_else(Appended::default, |file| file.append(&chunk.bytes, rules))
    }

    /// Removes the oldest file of whoever has the most, until there is room for so many bytes.
    fn make_room(&mut self, bytes: u64, rules: LogRules) {
        let most = rules.total_bytes.saturating_sub(bytes);
        if self.total.is_some_and(|total| total <= most) {
            return;
        }
        let mut streams = self.survey(rules);
        let mut total: u64 = streams.values().flatten().map(|(_, size)| size).sum();
        while total > most {
            // A current file only when nothing else is left.
            let oldest = |files: &Vec<(u32, u64)>| files.iter().map(|(number, _)| *number).max();
            let weight =
                |files: &Vec<(u32, u64)>| (oldest(files) > Some(0), files.iter().map(|(_, size)| *size).sum::<u64>());
            let Some((name, files)) =
                streams.iter_mut().filter(|(_, files)| !files.is_empty()).max_by_key(|(_, files)| weight(files))
            else {
                break;
            };
            let Some(place) = files.iter().position(|(number, _)| Some(*number) == oldest(files)) else { break };
            let (number, size) = files.swap_remove(place);
            let _ = fs::remove_file(numbered(&self.path.join(name), number));
            if number == 0 {
                self.files.remove(name.as_str());
            }
            total -= size;
        }
        self.total = Some(total);
    }

    /// All log files by their streams, also those of services that are no more, with their numbers and sizes. Those
    /// with a number that is too high are removed: fewer are kept than once.
    fn survey(&self, rules: LogRules) -> HashMap<String, Vec<(u32, u64)>> {
        let mut streams: HashMap<String, Vec<(u32, u64)>> = HashMap::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name();
            let Some((stream, number)) = name.to_str().and_then(stream_of).filter(|_| metadata.is_file()) else {
                continue;
            };
            if number >= rules.files {
                let _ = fs::remove_file(entry.path());
            } else {
                streams.entry(stream.to_owned()).or_default().push((number, metadata.len()));
            }
        }
        streams
    }
}

/// `web.err.log.3` is the third oldest of `web.err.log`.
fn stream_of(name: &str) -> Option<(&str, u32)> {
    let (stream, suffix) = name.rsplit_once('.')?;
    match (suffix, stream.rsplit_once('.')) {
        ("log", _) => Some((name, 0)),
        (number, Some((_, "log"))) => Some((stream, number.parse().ok()?)),
        _ => None,
    }
}

/// What has been lost and not yet told.
struct Untold {
    lines: u64,
    since: Stamp,
    reason: String,
    /// Told from then on also while a file is broken.
    due: Instant,
}

/// The thread that writes all files. Ends when the queue is closed.
pub(super) fn write_files(shared: &Shared, path: PathBuf) {
    let mut folder = Folder::new(path);
    let mut untold: Option<Untold> = None;
    while let Some(next) = shared.files.take() {
        let lost = match next {
            Next::Chunk(chunk) => folder.write(&chunk, shared.rules()).err().map(|(lines, error)| {
                shared.files.lost(lines);
                (lines, format!("logs/{} cannot be written: {error}", chunk.to))
            }),
            Next::Dropped(lines) => Some((lines, "the disk of logs/ does not keep up".to_owned())),
        };
        if let Some((lines, reason)) = lost {
            if let Some(loss) = &mut untold {
                loss.lines += lines;
            } else {
                shared.tell_output(Level::Error, format!("log lines are being lost: {reason}"));
                untold = Some(Untold { lines, since: Stamp::now(), reason, due: Instant::now() + REMIND });
            }
        }
        untold = untold.filter(|loss| !told(shared, &mut folder, loss));
    }
    // The last chance.
    if let Some(loss) = untold {
        folder.broken.clear();
        told(shared, &mut folder, &Untold { due: Instant::now(), ..loss });
    }
}

/// Tells what was lost, if it is over and can be written.
fn told(shared: &Shared, folder: &mut Folder, loss: &Untold) -> bool {
    if !folder.broken.is_empty() && (Instant::now() < loss.due || folder.broken.contains_key(OWN)) {
        return false;
    }
    let text = format!("{} log lines are missing in logs/ since {}: {}", loss.lines, loss.since.as_str(), loss.reason);
    let chunk = Shared::own_file_chunk(Level::Error, &text);
    let written = folder.write(&chunk, shared.rules()).is_ok();
    if written {
        shared.tell_output(Level::Error, text);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LogRules = LogRules { max_bytes: 1_000, files: 9, total_bytes: 5_000, tail_lines: 1 };

    fn chunk(to: &str, size: usize) -> Chunk {
        let line = format!("{}\n", "x".repeat(size - 1));
        Chunk { to: to.into(), from: to.into(), bytes: line.into_bytes(), lines: 1 }
    }

    fn sizes(folder: &Folder) -> Vec<(String, u64)> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())
        };
        let mut sizes: Vec<_> = fs::read_dir(&folder.path).unwrap().map(entry).collect();
        sizes.sort();
        sizes
    }

    #[test]
    fn all_files_together_stay_below_the_total_and_whoever_has_the_most_gives_way() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(place.path().to_owned());
        // A service that is no more, a number that is too high, and what is no log.
        for (name, size) in [("old.log", 900), ("old.log.1", 900), ("old.log.9", 70), ("mine.txt", 70)] {
            fs::write(place.path().join(name), vec![b'\n'; size]).unwrap();
        }
        fs::create_dir(place.path().join("reports")).unwrap();
        folder.write(&chunk("quiet.log", 300), RULES).unwrap();
        for number in 0..100 {
            folder.write(&chunk("loud.log", 90 + number), RULES).unwrap();
            let sum: u64 = sizes(&folder).iter().filter(|(name, _)| name.contains(".log")).map(|(_, size)| size).sum();
            assert!(sum <= RULES.total_bytes && Some(sum) == folder.total, "{sum} {:?}", sizes(&folder));
        }
        let names: Vec<String> = sizes(&folder).into_iter().map(|(name, _)| name).collect();
        let expected =
            ["loud.log", "loud.log.1", "loud.log.2", "mine.txt", "old.log", "old.log.1", "quiet.log", "reports"];
        assert_eq!(names, expected);

        // Without older files it is the largest current one that goes.
        let tight = LogRules { total_bytes: 1_000, ..RULES };
        folder.write(&chunk("quiet.log", 500), tight).unwrap();
        assert_eq!(
            sizes(&folder),
            [("mine.txt".to_owned(), 70), ("quiet.log".to_owned(), 800), ("reports".to_owned(), sizes(&folder)[2].1)]
        );
        folder.write(&chunk("quiet.log", 500), tight).unwrap();
        assert_eq!(sizes(&folder)[1].1, 500);
    }

    #[test]
    fn an_unwritable_folder_loses_lines_until_it_is_there_again() {
        let place = tempfile::tempdir().unwrap();
        let missing = place.path().join("logs");
        let mut folder = Folder::new(missing.clone());
        assert_eq!(folder.write(&chunk("a.log", 9), RULES).unwrap_err().0, 1);
        fs::create_dir(&missing).unwrap();
        assert!(folder.write(&chunk("a.log", 9), RULES).is_err(), "not tried again at once");
        folder.broken.clear();
        assert!(folder.write(&chunk("a.log", 9), RULES).is_ok());
    }

    #[test]
    fn only_logs_are_counted() {
        assert_eq!(stream_of("web.err.log.12"), Some(("web.err.log", 12)));
        assert_eq!(stream_of("web.log"), Some(("web.log", 0)));
        for other in ["web.txt", "log", "web.log.", "web.log.x", "web.log.1.gz", "reports"] {
            assert_eq!(stream_of(other), None, "{other}");
        }
    }
}
