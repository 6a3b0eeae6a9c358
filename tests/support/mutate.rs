//! Damages what clients sent, by a seed: the same seed and number give the same damage on every machine. Shared by the tests
//! of the library and those of the whole.

use std::fs;
use std::path::Path;

/// A generator of numbers (splitmix64): small, and the same everywhere.
pub(crate) struct Numbers(u64);

impl Numbers {
    /// Those of one round of a run.
    pub(crate) fn of(seed: u64, round: u64) -> Self {
        let mut numbers = Self(seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        numbers.next();
        numbers
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, without it; 0 when there is nothing to choose from.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What breaks parsers.
const PIECES: &[&[u8]] = &[
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-9223372036854775809",
    b"99999999999999999999999999999999999999999999",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n",
    b"\n\n",
    b"{}",
    b"null",
    b"[]",
    b"\"",
    b"\\",
    b"{\"type\":\"event\"}\n",
    b"{\"type\":\"event\",\"length\":18446744073709551615}\n",
    b"{\"type\":\"attachment\",\"length\":3,\"filename\":\"../../x\"}\n",
    b"\"length\":0,",
    b"\"item_count\":18446744073709551615,",
    b"\"event_id\":\"00000000000000000000000000000000\",",
    b"\"type\":\"transaction\",",
    b"\"sent_at\":\"9999-99-99T99:99:99Z\",",
    b"\"timestamp\":1e300,",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    b"%s%n{0}{{auto}}",
    b"sentry_key=",
    b"&&==%00%zz",
    "é\u{202e}\u{1f600}".as_bytes(),
];

/// One to eight damages at once, one more often than eight; `others` lend pieces of theirs.
pub(crate) fn damage(numbers: &mut Numbers, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let times = 1 + numbers.below(8);
    for _ in 0..=numbers.below(times) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(64)).min(bytes.len());
        match numbers.below(9) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, numbers.choose(PIECES).iter().copied())),
            4 => drop(bytes.splice(at..end, numbers.choose(PIECES).iter().copied())),
            5 => {
                let piece = bytes[at..end].repeat(1 + numbers.below(20));
                drop(bytes.splice(at..at, piece));
            }
            6 => {
                let other = numbers.choose(others);
                let from = numbers.below(other.len() + 1);
                let piece = &other[from..(from + numbers.below(400)).min(other.len())];
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            7 if numbers.below(8) == 0 => bytes.truncate(at),
            // A digit, where there is one: lengths, levels, times.
            _ => {
                if let Some(digit) = bytes.iter().skip(at).position(u8::is_ascii_digit) {
                    bytes[at + digit] = b'0' + u8::try_from(numbers.below(10)).unwrap();
                }
            }
        }
    }
}

/// A setting of a run, such as `FUZZ_SEED`.
#[expect(clippy::disallowed_methods, reason = "whoever repeats a run says which")]
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The bodies of the requests that clients sent, folder by folder in the order of their names.
pub(crate) fn recorded() -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut bodies = Vec::new();
    for folder in ["captures", "edge", "items", "security"] {
        let mut files: Vec<_> =
            fs::read_dir(fixtures.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let is_request = file.extension().is_some_and(|extension| extension == "http");
            let end = bytes.windows(2).position(|window| window == b"\n\n").filter(|_| is_request);
            bodies.push(bytes[end.map_or(0, |end| end + 2)..].to_vec());
        }
    }
    bodies
}
