//! How an event's JSON is kept in `event.payload`.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// Level 3: each step beyond costs more CPU than it saves bytes on documents of this size.
const LEVEL: i32 = 3;

/// The largest document we read back, in bytes; the edge takes nothing near it.
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

thread_local! {
    // A context is a few hundred KB; making one costs more than compressing a small event.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses a document.
pub fn compress(json: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(json)
    })
}

/// Reads back what [`compress`] made, byte for byte; an error when it is damaged or over 64 MiB.
pub fn decompress(payload: &[u8]) -> io::Result<Vec<u8>> {
    let size = Decompressor::upper_bound(payload)
        .filter(|size| *size <= MAX_DOCUMENT)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a stored event payload"))?;
    Decompressor::new()?.decompress(payload, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_byte_for_byte() {
        for document in [&b"{}"[..], b"", "{\"message\":\"héllo\"}".repeat(5000).as_bytes()] {
            assert_eq!(decompress(&compress(document).unwrap()).unwrap(), document);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let mut stored = compress(&b"{\"a\":1}".repeat(100)).unwrap();
        stored.truncate(stored.len() / 2);
        assert!(decompress(&stored).is_err());
        assert!(decompress(b"not zstd").is_err());
    }
}
