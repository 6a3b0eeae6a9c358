//! Log files, rotated by size between two lines.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::Queue;
use crate::metrics::Loss;
use crate::plan::LogRules;

/// A file that is replaced by a fresh one when it has grown to its size; the older ones are numbered from 1.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    rules: LogRules,
}

impl RotatingFile {
    /// Opens for appending, with mode 0640.
    pub fn open(path: &Path, rules: LogRules) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, rules })
    }

    /// Appends whole lines. When the disk takes only a part, that part is taken back, so that no line is ever torn.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + lines.len() as u64 > self.rules.max_bytes {
            self.rotate()?;
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.size += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                let _ = self.file.set_len(self.size);
                Err(error)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.rules.files > 1 {
            for number in (1..self.rules.files - 1).rev() {
                let _ = std::fs::rename(numbered(number), numbered(number + 1));
            }
            std::fs::rename(&self.path, numbered(1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        *self = Self::open(&self.path, self.rules)?;
        Ok(())
    }
}

/// One line for one file: its name in the logs folder, and the line with its end.
pub(super) type FileLine = (Arc<str>, Vec<u8>);

/// A file that could not be written is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// The thread that writes all files. Ends when the queue is closed.
pub(super) fn write_files(
    folder: &Path,
    rules: LogRules,
    queue: &Queue<FileLine>,
    mut missed: Loss,
    lost_line: impl Fn(&str) -> Vec<u8>,
) {
    let mut files: HashMap<Arc<str>, RotatingFile> = HashMap::new();
    let mut broken: HashMap<Arc<str>, Instant> = HashMap::new();
    let mut lost: u64 = 0;
    while let Some(batch) = queue.take() {
        lost += batch.dropped;
        missed.add(batch.dropped);
        let mut lines = batch.items;
        if lost > 0 {
            let sentence =
                format!("{lost} log lines were not written: the disk of the log files is slow, full or broken");
            lines.push((Arc::from("supervisor.log"), lost_line(&sentence)));
        }
        for (name, line) in lines {
            let announcement = lost > 0 && name.as_ref() == "supervisor.log";
            match write_line(folder, rules, &mut files, &mut broken, &name, &line) {
                Ok(()) if announcement => lost = 0,
                Ok(()) => {}
                Err(()) if announcement => {}
                Err(()) => {
                    lost += 1;
                    missed.add(1);
                }
            }
        }
    }
}

fn write_line(
    folder: &Path,
    rules: LogRules,
    files: &mut HashMap<Arc<str>, RotatingFile>,
    broken: &mut HashMap<Arc<str>, Instant>,
    name: &Arc<str>,
    line: &[u8],
) -> Result<(), ()> {
    if broken.get(name).is_some_and(|since| since.elapsed() < RETRY) {
        return Err(());
    }
    let mut attempt = || -> io::Result<()> {
        if !files.contains_key(name) {
            files.insert(Arc::clone(name), RotatingFile::open(&folder.join(name.as_ref()), rules)?);
        }
        files.get_mut(name).map_or(Ok(()), |file| file.append(line))
    };
    if attempt().is_err() {
        files.remove(name);
        broken.insert(Arc::clone(name), Instant::now());
        return Err(());
    }
    broken.remove(name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_keeps_so_many_files_and_tears_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let rules = LogRules { max_bytes: 100, files: 3, tail_lines: 1 };
        let mut file = RotatingFile::open(&path, rules).unwrap();
        for number in 0..40 {
            file.append(format!("line number {number:03}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a.log", "a.log.1", "a.log.2"]);
        let text: String = ["a.log.2", "a.log.1", "a.log"]
            .iter()
            .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap())
            .collect();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() == 15), "{lines:?}");
        assert_eq!(lines.last(), Some(&"line number 039"));
        assert!(std::fs::metadata(&path).unwrap().len() <= 100);
    }

    #[test]
    fn an_unwritable_folder_loses_lines_but_tells_how_many_later() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("logs");
        let (mut files, mut broken) = (HashMap::new(), HashMap::new());
        let rules = LogRules::default();
        let name: Arc<str> = "a.log".into();
        assert!(write_line(&missing, rules, &mut files, &mut broken, &name, b"x\n").is_err());
        std::fs::create_dir(&missing).unwrap();
        assert!(
            write_line(&missing, rules, &mut files, &mut broken, &name, b"x\n").is_err(),
            "not tried again at once"
        );
        broken.clear();
        assert!(write_line(&missing, rules, &mut files, &mut broken, &name, b"x\n").is_ok());
    }
}
