//! How an event's JSON is kept in `event.payload`: one zstd frame, made with the project's dictionary when it has
//! one. The frame itself says which.

use std::cell::RefCell;
use std::io;

use zstd::bulk::Decompressor;
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{CCtx, get_dict_id_from_dict, get_dict_id_from_frame, get_error_name};

/// Level 3: each step beyond costs more CPU than it saves bytes on documents of this size.
const LEVEL: i32 = 3;

/// The largest document we read back, in bytes; the edge takes nothing near it.
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// A dictionary's size, in bytes: zstd's own default.
const DICTIONARY: usize = 110 * 1024;

thread_local! {
    // A context is a few hundred KB; making one costs more than compressing a small event.
    static CONTEXT: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
}

/// A dictionary made ready for compressing.
pub type Encoder = EncoderDictionary<'static>;

/// A dictionary made ready for reading.
pub type Decoder = DecoderDictionary<'static>;

/// Compresses a document.
pub fn compress(json: &[u8], encoder: Option<&Encoder>) -> io::Result<Vec<u8>> {
    CONTEXT.with_borrow_mut(|context| {
        let mut frame = Vec::with_capacity(zstd::zstd_safe::compress_bound(json.len()));
        let written = match encoder {
            Some(encoder) => context.compress_using_cdict(&mut frame, json, encoder.as_cdict()),
            None => context.compress(&mut frame, json, LEVEL),
        };
        written.map_err(|code| io::Error::other(get_error_name(code)))?;
        frame.shrink_to_fit();
        Ok(frame)
    })
}

/// The dictionary that a payload was made with.
pub fn dictionary_id(payload: &[u8]) -> Option<i64> {
    get_dict_id_from_frame(payload).map(|id| i64::from(id.get()))
}

/// Reads back what [`compress`] made, byte for byte; an error when it is damaged, over 64 MiB, or made with another
/// dictionary.
pub fn decompress(payload: &[u8], decoder: Option<&Decoder>) -> io::Result<Vec<u8>> {
    let size = Decompressor::upper_bound(payload)
        .filter(|size| *size <= MAX_DOCUMENT)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a stored event payload"))?;
    match decoder {
        Some(decoder) => Decompressor::with_prepared_dictionary(decoder)?.decompress(payload, size),
        None => Decompressor::new()?.decompress(payload, size),
    }
}

/// Makes a dictionary of what `documents` have in common, and its id. An error when they are too few, or too much
/// alike, for one.
pub fn train(documents: &[Vec<u8>]) -> io::Result<(i64, Vec<u8>)> {
    let content = zstd::dict::from_samples(documents, DICTIONARY)?;
    let id = get_dict_id_from_dict(&content).ok_or_else(|| io::Error::other("the dictionary has no id"))?;
    Ok((i64::from(id.get()), content))
}

/// Makes a trained dictionary ready for compressing; about three times its size in memory.
pub fn encoder(content: &[u8]) -> io::Result<Encoder> {
    Encoder::try_copy(content, LEVEL)
}

/// Makes a trained dictionary ready for reading.
pub fn decoder(content: &[u8]) -> io::Result<Decoder> {
    Decoder::try_copy(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Vec<u8>> {
        let words = ["checkout", "inventory", "payment", "gateway", "timeout", "customer", "invoice", "session"];
        let word = |n: usize| words[n % words.len()];
        (0..400)
            .map(|n| {
                let text = format!(
                    r#"{{"id":{n},"frames":[{{"function":"{}_{}","module":"shop.{}"}}],"value":"{} failed for {}"}}"#,
                    word(n),
                    word(n / 3),
                    word(n / 5),
                    word(n / 7),
                    n * 7919
                );
                text.into_bytes()
            })
            .collect()
    }

    #[test]
    fn documents_come_back_byte_for_byte() {
        for document in [&b"{}"[..], b"", "{\"message\":\"héllo\"}".repeat(5000).as_bytes()] {
            assert_eq!(decompress(&compress(document, None).unwrap(), None).unwrap(), document);
        }
    }

    #[test]
    fn with_a_dictionary_they_are_smaller_and_come_back_too() {
        let documents = documents();
        let (id, content) = train(&documents).unwrap();
        let (encoder, decoder) = (encoder(&content).unwrap(), decoder(&content).unwrap());
        for document in &documents {
            let stored = compress(document, Some(&encoder)).unwrap();
            assert!(stored.len() < compress(document, None).unwrap().len());
            assert_eq!(dictionary_id(&stored), Some(id));
            assert_eq!(decompress(&stored, Some(&decoder)).unwrap(), *document);
            assert!(decompress(&stored, None).is_err(), "read without its dictionary");
        }
        assert_eq!(dictionary_id(&compress(b"{}", None).unwrap()), None);
    }

    #[test]
    fn too_little_to_learn_from_is_an_error() {
        assert!(train(&[]).is_err());
        assert!(train(&[b"{}".to_vec()]).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let mut stored = compress(&b"{\"a\":1}".repeat(100), None).unwrap();
        stored.truncate(stored.len() / 2);
        assert!(decompress(&stored, None).is_err());
        assert!(decompress(b"not zstd", None).is_err());
    }
}
