//! Cuts a stream of bytes into whole lines.

use memchr::{memchr_iter, memrchr};

/// Longest line kept whole, in bytes; a longer one goes on in the next record.
pub(super) const LONGEST: usize = 64 * 1024;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A run ends with the line that makes it this long, in bytes...
const RUN_BYTES: usize = 32 * 1024;

/// ...or has so many lines: each grows by a time and a name, and a run should stay small even when all are empty.
const RUN_LINES: usize = 512;

/// Holds what was read until its lines are complete.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that were handed out.
    start: usize,
    /// Bytes after `start` that hold no end of a line, so that a long line is not searched again and again.
    searched: usize,
}

impl Splitter {
    /// Where to append what is read: as much as fits without growing.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.buffer.reserve_exact(CHUNK);
        &mut self.buffer
    }

    /// The next complete lines with `\n` between them (not after the last), or `None` when the rest has no end yet.
    /// A line that is too long comes in pieces, none cut inside a character.
    pub(super) fn next_run(&mut self) -> Option<&[u8]> {
        let rest = self.buffer.get(self.start..).unwrap_or(&[]);
        let near = rest.get(..RUN_BYTES).unwrap_or(rest);
        let mut ends = memchr_iter(b'\n', near);
        let end = match ends.nth(RUN_LINES - 1) {
            Some(end) => Some(end),
            None => memrchr(b'\n', near),
        };
        let end = end.or_else(|| {
            let from = near.len().max(self.searched);
            memchr::memchr(b'\n', rest.get(from..)?).map(|at| from + at)
        });
        match end {
            Some(end) if end <= LONGEST => {
                self.searched = 0;
                self.hand_out(end, 1)
            }
            None if rest.len() <= LONGEST => {
                self.searched = rest.len();
                None
            }
            _ => {
                let is_start = |at: &usize| rest.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
                let cut = (LONGEST - 3..=LONGEST).rev().find(is_start).unwrap_or(LONGEST);
                self.searched = end.unwrap_or(rest.len()).saturating_sub(cut);
                self.hand_out(cut, 0)
            }
        }
    }

    /// Lets go of what was handed out; a stream that is silent costs no more than its unfinished line.
    pub(super) fn tidy(&mut self) {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        self.buffer.shrink_to_fit();
    }

    /// The stream has ended: what is left is a line too.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let rest = self.buffer.get(self.start..).unwrap_or(&[]);
        (!rest.is_empty()).then(|| rest.to_vec())
    }

    fn hand_out(&mut self, length: usize, separator: usize) -> Option<&[u8]> {
        let from = self.start;
        self.start = from + length + separator;
        self.buffer.get(from..from + length)
    }
}

/// The lines of a run, without the `\r` before an end.
pub(super) fn lines_of(run: &str) -> impl Iterator<Item = &str> + Clone {
    run.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the pump does it.
    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        let mut take = |run: &[u8]| {
            assert!(run.len() <= LONGEST);
            lines.extend(lines_of(&String::from_utf8_lossy(run)).map(str::to_owned));
        };
        for chunk in chunks.iter().flat_map(|chunk| chunk.chunks(CHUNK)) {
            splitter.room().extend_from_slice(chunk);
            while let Some(run) = splitter.next_run() {
                take(run);
            }
            splitter.tidy();
            assert!(splitter.buffer.capacity() <= LONGEST, "an unfinished line is all that is kept");
        }
        if let Some(rest) = splitter.finish() {
            take(&rest);
        }
        lines
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(split(&[b"one\ntw", b"", b"o\r\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(split(&[b"end\n"]), ["end"]);
        assert_eq!(split(&[b"end\r", b"\n"]), ["end"]);
        assert!(split(&[b""]).is_empty());
    }

    #[test]
    fn every_cut_of_a_stream_gives_the_same_lines() {
        let mut text = Vec::new();
        for number in 0..3_000_usize {
            text.extend(format!("{number}:{}\n", "x".repeat(number * 7 % 300)).into_bytes());
        }
        text.extend(vec![b'\n'; 2_000]);
        text.extend(b"no end");
        let expected: Vec<String> = String::from_utf8(text.clone()).unwrap().split('\n').map(str::to_owned).collect();
        for size in [1, 7, 100, 4_096, 65_536, 1_000_000] {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert!(split(&chunks) == expected, "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_cut_between_characters() {
        let long = "\u{e9}".repeat(LONGEST);
        let with_end = format!("x{long}\nnext\n");
        let pieces = split(&[with_end.as_bytes()]);
        assert_eq!(pieces.len(), 4);
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST));
        assert_eq!(pieces.concat(), format!("x{long}next"));
    }
}
