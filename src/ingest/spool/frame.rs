//! How records lie in a segment, so that damage costs only what it hits.
//!
//! ```text
//! frame = marker (8) | version (1) | zero (3) | length of the counts (4) | length of the entry (4)
//!       | checksum of counts and entry (4) | checksum of these 24 bytes (4) | counts | entry
//! ```
//!
//! Numbers are little-endian, checksums CRC-32. An entry and what is counted for it lie in one frame: a write that breaks
//! off leaves both or neither. The marker is made of the segment's name, which no sender knows, so that nothing inside an
//! entry can pass for a frame. A frame with a good header and a bad body is skipped; from a bad header on, the next good
//! one is looked for.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes in front of each record.
pub(super) const HEADER: usize = 28;

/// Largest record; the largest item there is has 1 MiB.
pub(super) const MAX_BODY: usize = 8 * 1024 * 1024;

/// How the rest of a frame is to be read.
const VERSION: u8 = 1;

/// What was appended at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// What is counted for it, as a tally encodes itself.
    pub(super) counts: Bytes,
    /// The entry for the queue; empty: there is only something to count.
    pub(super) entry: Bytes,
    /// Where its frame ends in the file.
    pub(super) end: u64,
}

/// What the frames of one segment begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker([u8; 8]);

impl Marker {
    /// That of the segment with this id.
    pub(super) fn of(segment: Uuid) -> Self {
        let mut marker = [0; 8];
        for (to, from) in marker.iter_mut().zip(Sha256::digest(segment.as_bytes())) {
            *to = from;
        }
        Self(marker)
    }

    /// Appends a frame to `out`. Both parts together must not be larger than [`MAX_BODY`].
    pub(super) fn write(self, out: &mut Vec<u8>, counts: &[u8], entry: &[u8]) {
        let start = out.len();
        out.extend_from_slice(&self.0);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        for part in [counts, entry] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        let mut check = crc32fast::Hasher::new();
        check.update(counts);
        check.update(entry);
        out.extend_from_slice(&check.finalize().to_le_bytes());
        let check = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_le_bytes());
        out.extend_from_slice(counts);
        out.extend_from_slice(entry);
    }

    /// The header at the start of `bytes`, if there is a good one.
    fn header(self, bytes: &[u8]) -> Option<Header> {
        let (head, check) = bytes.get(..HEADER)?.split_at(HEADER - 4);
        if !head.starts_with(&self.0) || crc32fast::hash(head) != number(check)? {
            return None;
        }
        let length = |range| usize::try_from(number(head.get(range)?)?).ok();
        let (counts, entry) = (length(12..16)?, length(16..20)?);
        let fits = counts.saturating_add(entry) <= MAX_BODY;
        fits.then_some(Header {
            version: *head.get(8)?,
            counts,
            length: counts + entry,
            check: number(head.get(20..24)?)?,
        })
    }

    /// Where the next good header begins, from `from` on.
    fn find(self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let rest = bytes.get(at..)?;
            at += rest.windows(self.0.len()).position(|window| window == self.0)?;
            if self.header(bytes.get(at..)?).is_some() {
                return Some(at);
            }
            at += 1;
        }
    }
}

struct Header {
    version: u8,
    counts: usize,
    length: usize,
    check: u32,
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// A stretch of a segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where it begins in the file.
    pub(super) at: u64,
    /// Its length in bytes.
    pub(super) bytes: u64,
    /// What is wrong.
    pub(super) what: &'static str,
}

/// What was read of a segment.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The records in their order.
    pub(super) records: Vec<Record>,
    /// Up to where the file has been read.
    pub(super) end: u64,
    /// What had to be left out.
    pub(super) damage: Vec<Damage>,
}

/// Reads frames from `bytes`, which lie at `at` in the file; stops after `max` records. `is_last` says that nothing
/// follows in the file. Without it, what is incomplete at the end is left for the next call, which must bring more
/// bytes if this one did not get on.
pub(super) fn read(marker: Marker, bytes: BytesMut, at: u64, max: usize, is_last: bool) -> Frames {
    let bytes = bytes.freeze();
    let offset = |position: usize| at + position as u64;
    let mut frames = Frames { end: at, ..Frames::default() };
    let mut position = 0;
    while position < bytes.len() && frames.records.len() < max {
        let rest = bytes.get(position..).unwrap_or_default();
        let damaged = |until: usize, what| Damage { at: offset(position), bytes: (until - position) as u64, what };
        let Some(header) = marker.header(rest) else {
            if let Some(next) = marker.find(&bytes, position + 1) {
                frames.damage.push(damaged(next, "no entry begins where one should"));
                position = next;
                continue;
            }
            if is_last {
                let what = if rest.len() < HEADER { "cut off" } else { "no entry begins where one should" };
                frames.damage.push(damaged(bytes.len(), what));
                position = bytes.len();
            } else if rest.len() > 2 * MAX_BODY {
                // So long a stretch is lost; a header may begin within its last bytes.
                let until = bytes.len() - HEADER;
                frames.damage.push(damaged(until, "no entry begins where one should"));
                position = until;
            }
            break;
        };
        let end = position + HEADER + header.length;
        let Some(body) = bytes.get(position + HEADER..end) else {
            // Cut off; or the header is all that is left of a frame, and others follow.
            let next = if is_last { marker.find(&bytes, position + 1).or(Some(bytes.len())) } else { None };
            let Some(next) = next else { break };
            frames.damage.push(damaged(next, "cut off"));
            position = next;
            continue;
        };
        if crc32fast::hash(body) != header.check {
            frames.damage.push(damaged(end, "a wrong checksum"));
        } else if header.version != VERSION {
            frames.damage.push(damaged(end, "written by another version"));
        } else {
            let middle = position + HEADER + header.counts;
            let (counts, entry) = (bytes.slice(position + HEADER..middle), bytes.slice(middle..end));
            frames.records.push(Record { counts, entry, end: offset(end) });
        }
        position = end;
    }
    frames.end = offset(position);
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marker() -> Marker {
        Marker::of(Uuid::from_u128(7))
    }

    fn written(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            marker().write(&mut out, &body[..body.len() / 3], &body[body.len() / 3..]);
        }
        out
    }

    fn read_all(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Damage>) {
        let frames = read(marker(), BytesMut::from(bytes), 0, usize::MAX, true);
        assert_eq!(frames.end, bytes.len() as u64);
        (frames.records.iter().map(|one| [&one.counts[..], &one.entry].concat()).collect(), frames.damage)
    }

    #[test]
    fn nothing_inside_a_body_passes_for_a_frame() {
        let mut forged = Vec::new();
        Marker::of(Uuid::from_u128(8)).write(&mut forged, b"", b"forged");
        let mut file = written(&[forged.clone(), b"two".to_vec()]);
        assert_eq!(read_all(&file).0, [forged, b"two".to_vec()]);
        // Not even when the frame around it is damaged.
        file[0] ^= 1;
        let (bodies, damage) = read_all(&file);
        assert_eq!((bodies, damage.len()), (vec![b"two".to_vec()], 1));
    }

    #[test]
    fn what_is_incomplete_waits_unless_nothing_follows() {
        let file = written(&[b"one".to_vec(), b"two".to_vec()]);
        let cut = &file[..file.len() - 1];
        let frames = read(marker(), BytesMut::from(cut), 100, 10, false);
        assert_eq!((frames.records.len(), frames.damage.len()), (1, 0));
        assert_eq!(frames.end, 100 + (HEADER as u64 + 3));
        let (bodies, damage) = read_all(cut);
        assert_eq!((bodies, damage[0].what), (vec![b"one".to_vec()], "cut off"));
        let limited = read(marker(), BytesMut::from(&file[..]), 0, 1, true);
        assert_eq!((limited.records.len(), limited.end), (1, HEADER as u64 + 3));
    }

    #[test]
    fn zeros_at_the_end_are_one_damage() {
        let mut file = written(&[b"one".to_vec()]);
        file.extend([0; 5000]);
        let (bodies, damage) = read_all(&file);
        assert_eq!((bodies.len(), damage.len(), damage[0].bytes), (1, 1, 5000));
    }

    fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..12)
    }

    proptest! {
        #[test]
        fn one_flipped_bit_loses_one_entry(bodies in bodies(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut file = written(&bodies);
            let place = place.index(file.len());
            file[place] ^= 1_u8 << bit;
            let mut hit = 0;
            let mut end = 0;
            for (index, body) in bodies.iter().enumerate() {
                let start = end;
                end += HEADER + body.len();
                if (start..end).contains(&place) {
                    hit = index;
                }
            }
            let (read, damage) = read_all(&file);
            let mut rest = bodies.clone();
            rest.remove(hit);
            prop_assert_eq!(read, rest);
            prop_assert_eq!(damage.len(), 1);
        }

        #[test]
        fn a_cut_loses_only_what_lies_behind_it(bodies in bodies(), place in any::<prop::sample::Index>()) {
            let file = written(&bodies);
            let place = place.index(file.len());
            let (read, damage) = read_all(&file[..place]);
            prop_assert_eq!(&read[..], &bodies[..read.len()]);
            let whole: usize = read.iter().map(|body| HEADER + body.len()).sum();
            prop_assert_eq!(damage.len(), usize::from(whole < place));
            prop_assert!(place - whole < HEADER + bodies[read.len()].len());
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            read_all(&bytes);
        }
    }
}
