//! Cuts a stream of bytes into whole lines.

/// Longest line kept whole, in bytes; a longer one goes on in the next record.
pub(super) const LONGEST: usize = 64 * 1024;

/// Remembers the beginning of a line whose end has not been read yet.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    /// Takes in what was read and hands each complete line, without its end, to `line`.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            bytes = tail.get(1..).unwrap_or(&[]);
            if self.rest.is_empty() && head.len() <= LONGEST {
                line(head.strip_suffix(b"\r").unwrap_or(head));
            } else {
                self.grow(head, &mut line);
                let whole = std::mem::take(&mut self.rest);
                line(whole.strip_suffix(b"\r").unwrap_or(&whole));
            }
        }
        self.grow(bytes, &mut line);
    }

    /// The stream has ended: what is left is a line too.
    pub(super) fn finish(self, mut line: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            line(&self.rest);
        }
    }

    /// Adds to the unfinished line, and lets go of it in pieces when it is too long (never inside a character).
    fn grow(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        self.rest.extend_from_slice(bytes);
        while self.rest.len() > LONGEST {
            let is_start = |at: &usize| self.rest.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
            let cut = (LONGEST - 3..=LONGEST).rev().find(is_start).unwrap_or(LONGEST);
            let after = self.rest.split_off(cut);
            line(&std::mem::replace(&mut self.rest, after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        splitter.finish(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        lines
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(split(&[b"one\ntw", b"", b"o\r\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(split(&[b"end\n"]), ["end"]);
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
