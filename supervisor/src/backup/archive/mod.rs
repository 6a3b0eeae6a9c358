//! The file of a backup: a tar archive that any `tar` can read, sealed by a checksum at its end.
//!
//! The checksum covers every byte before it, and all that follows is determined by it. So a byte that is flipped,
//! missing or added anywhere is found.

mod read;
mod write;

pub use read::Archive;
pub use write::Writer;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

/// The member with the database.
pub const DATABASE: &str = "database.dump";
/// The member that says what the others are.
pub const MANIFEST: &str = "manifest.json";
/// The member that seals the file.
const SEAL: &str = "checksum";

/// Tar's unit of length, in bytes.
const BLOCK: u64 = 512;
/// Header and content of the seal, and the two empty blocks that end an archive.
const TAIL: u64 = 4 * BLOCK;
/// How much is read or written at once, in bytes.
const PIECE: usize = 256 * 1024;

/// One file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path in the archive.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// The end of an archive whose bytes so far have this hash.
fn tail(hash: Sha256) -> Vec<u8> {
    let content = format!("{}\n", hex(&hash.finalize()));
    let mut header = header(content.len() as u64);
    // A short name always fits.
    let _ = header.set_path(SEAL);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content.as_bytes());
    bytes.resize(usize::try_from(TAIL).unwrap_or_default(), 0);
    bytes
}

/// Zero bytes that fill the last block of a member of this size.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
