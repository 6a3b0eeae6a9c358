//! Log files, rotated by size between two lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::plan::LogRules;

/// How often a file that is written is looked for: somebody may have removed it.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is replaced by a fresh one when it has grown to its size; the older ones are numbered from 1.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    looked: Instant,
}

/// What became of lines.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Bytes that are in the file now.
    pub(super) bytes: u64,
    /// Bytes of older lines that are gone: the oldest file, at a rotation.
    pub(super) removed: u64,
    /// Lines that are not in the file, and why.
    pub(super) lost: Option<(u64, io::Error)>,
}

impl RotatingFile {
    /// Opens for appending, with mode 0640. A line that a killed supervisor has not finished is ended.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let mut size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(Self { path: path.to_owned(), file, size, looked: Instant::now() })
    }

    /// Appends whole lines. When the disk takes only a part, the beginning of a line is taken back, so that none is
    /// ever torn.
    pub(super) fn append(&mut self, mut lines: &[u8], rules: LogRules) -> Appended {
        let mut done = Appended::default();
        while !lines.is_empty() {
            let before = done.bytes;
            let result = self.step(lines, rules, &mut done);
            let written = usize::try_from(done.bytes - before).unwrap_or(0);
            lines = lines.get(written..).unwrap_or(&[]);
            if let Err(error) = result {
                done.lost = Some((memchr::memchr_iter(b'\n', lines).count() as u64, error));
                break;
            }
        }
        done
    }

    /// Writes what fits into this file, or begins the next one.
    fn step(&mut self, lines: &[u8], rules: LogRules, done: &mut Appended) -> io::Result<()> {
        let room = usize::try_from(rules.max_bytes.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let end_of = |line: Option<usize>| line.map_or(0, |end| end + 1);
        let end = match lines.get(..room) {
            None => lines.len(),
            Some(part) => match end_of(memchr::memrchr(b'\n', part)) {
                // A line that is longer than a file has one of its own.
                0 if self.size == 0 => end_of(memchr::memchr(b'\n', lines)),
                end => end,
            },
        };
        if end == 0 {
            done.removed += self.rotate(rules)?;
            return Ok(());
        }
        self.look()?;
        let (written, result) = self.write(lines.get(..end).unwrap_or(lines));
        done.bytes += written;
        result
    }

    /// Writes as much as the disk takes, and keeps the whole lines of it: their bytes.
    fn write(&mut self, lines: &[u8]) -> (u64, io::Result<()>) {
        let mut written = 0;
        let result = loop {
            match lines.get(written..) {
                None | Some([]) => break Ok(()),
                Some(rest) => match self.file.write(rest) {
                    Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                },
            }
        };
        let whole = lines.get(..written).and_then(|part| memchr::memrchr(b'\n', part)).map_or(0, |at| at as u64 + 1);
        if whole < written as u64 {
            let _ = self.file.set_len(self.size + whole);
        }
        self.size += whole;
        (whole, result)
    }

    /// Goes on in a fresh file if this one is no longer there.
    fn look(&mut self) -> io::Result<()> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if self.file.metadata()?.nlink() == 0 {
                *self = Self::open(&self.path)?;
            }
        }
        Ok(())
    }

    /// Begins a fresh file and returns the size of the one that had to go.
    fn rotate(&mut self, rules: LogRules) -> io::Result<u64> {
        let last = rules.files - 1;
        let oldest = numbered(&self.path, last);
        let removed = std::fs::metadata(&oldest).map_or(0, |metadata| metadata.len());
        if last == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            for number in (1..last).rev() {
                let _ = std::fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
            }
            std::fs::rename(&self.path, numbered(&self.path, 1))?;
        }
        *self = Self::open(&self.path)?;
        Ok(removed)
    }
}

/// The path of an older file; 0 is the current one.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LogRules = LogRules { max_bytes: 100, files: 3, total_bytes: 1_000, tail_lines: 1 };

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn rotation_keeps_so_many_files_and_tears_no_line() {
        for together in [1, 3, 40] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.log");
            let mut file = RotatingFile::open(&path).unwrap();
            let lines: Vec<String> = (0..40).map(|number| format!("line number {number:03}\n")).collect();
            let (mut bytes, mut removed) = (0, 0);
            for some in lines.chunks(together) {
                let done = file.append(some.concat().as_bytes(), RULES);
                assert!(done.lost.is_none());
                bytes += done.bytes;
                removed += done.removed;
            }
            let mut names: Vec<_> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            assert_eq!(names, ["a.log", "a.log.1", "a.log.2"]);
            let kept: String = (0..3).rev().map(|number| text(&numbered(&path, number))).collect();
            assert_eq!(
                kept.lines().collect::<Vec<_>>(),
                (24..40).map(|n| format!("line number {n:03}")).collect::<Vec<_>>()
            );
            assert!((0..3).all(|number| text(&numbered(&path, number)).len() <= 100));
            assert_eq!((bytes, bytes - removed), (640, kept.len() as u64));
        }
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_has_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut file = RotatingFile::open(&path).unwrap();
        let long = format!("{}\n", "x".repeat(150));
        file.append(format!("a\n{long}b\n").as_bytes(), RULES);
        let files: Vec<String> = (0..3).rev().map(|number| text(&numbered(&path, number))).collect();
        assert_eq!(files, ["a\n", &long, "b\n"]);
        let one = LogRules { files: 1, ..RULES };
        file.append(long.as_bytes(), one);
        assert_eq!(text(&path), long);
    }

    #[test]
    fn an_unfinished_line_is_ended_and_a_removed_file_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "cut of").unwrap();
        let mut file = RotatingFile::open(&path).unwrap();
        file.append(b"whole\n", RULES);
        assert_eq!(text(&path), "cut of\nwhole\n");
        std::fs::remove_file(&path).unwrap();
        file.looked = Instant::now().checked_sub(LOOK).unwrap();
        file.append(b"next\n", RULES);
        assert_eq!(text(&path), "next\n");
    }
}
