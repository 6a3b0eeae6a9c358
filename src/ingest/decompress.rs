//! Undoes a body's compression: the one place where raw decoders are named, so that one cap fences all.
#![expect(clippy::disallowed_types, reason = "this file is the cap that the rule asks for")]

use std::io::{self, Read};
use std::sync::LazyLock;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::reply::Refusal;

/// Largest body after decompression.
pub(super) const MAX_BYTES: usize = 100 * 1024 * 1024;

/// What decodes to no more than this is decoded at once; anything larger goes to a thread of its own, to
/// keep a bomb from delaying everybody else.
const SMALL_BYTES: usize = 512 * 1024;

/// Large bodies in memory at the same time; more wait.
static LARGE_BODIES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(4));

/// zstd frames may ask for a window of this many bytes (as a power of two): 8 MiB, what the format's own
/// recommendation says every decoder should support.
const ZSTD_MAX_WINDOW_LOG: u32 = 23;

/// A body in the clear.
pub(super) struct Plain {
    pub(super) bytes: Bytes,
    /// Held as long as the bytes are in use; `None` for a small body.
    place: Option<SemaphorePermit<'static>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why decoding failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("more than the limit of decompressed bytes")]
    TooLarge,
    #[error("{0}")]
    Corrupt(#[from] io::Error),
}

/// `body` without the encodings that the request's head names.
pub(super) async fn decompress(headers: &HeaderMap, body: Bytes) -> Result<Plain, Refusal> {
    let mut plain = Plain { bytes: body, place: None };
    // The last one named was put on last.
    for encoding in encodings(headers)?.into_iter().rev() {
        plain = undo(encoding, plain).await?;
    }
    Ok(plain)
}

fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Refusal> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| Refusal::unsupported_encoding("not text"))?;
        for name in names.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Encoding::Gzip),
                "deflate" => found.push(Encoding::Deflate),
                "br" => found.push(Encoding::Brotli),
                "zstd" => found.push(Encoding::Zstd),
                _ => return Err(Refusal::unsupported_encoding(name)),
            }
        }
    }
    // Nobody wraps a body more than twice but to make us work.
    if found.len() > 2 { Err(Refusal::unsupported_encoding("more than two encodings")) } else { Ok(found) }
}

async fn undo(encoding: Encoding, body: Plain) -> Result<Plain, Refusal> {
    if body.bytes.is_empty() {
        return Ok(body);
    }
    match decode(encoding, &body.bytes, SMALL_BYTES) {
        Ok(bytes) => return Ok(Plain { bytes, ..body }),
        Err(DecodeError::Corrupt(error)) => return Err(corrupt(&error)),
        Err(DecodeError::TooLarge) => {}
    }
    let place = match body.place {
        Some(place) => Some(place),
        None => LARGE_BODIES.acquire().await.ok(),
    };
    let decoded = tokio::task::spawn_blocking(move || decode_large(encoding, &body.bytes, MAX_BYTES)).await;
    match decoded {
        Ok(Ok(bytes)) => Ok(Plain { bytes, place }),
        Ok(Err(DecodeError::TooLarge)) => Err(Refusal::too_large("the decompressed body is too large", MAX_BYTES)),
        Ok(Err(DecodeError::Corrupt(error))) => Err(corrupt(&error)),
        Err(_panicked) => Err(Refusal::bad_request("the body could not be decompressed", "the decoder failed")),
    }
}

fn corrupt(error: &io::Error) -> Refusal {
    Refusal::bad_request("the body could not be decompressed", error)
}

/// zlib data of at most `limit` bytes in the clear, as wrapped inside old `/store/` bodies.
pub(super) fn inflate(data: &[u8], limit: usize) -> Result<Bytes, DecodeError> {
    decode(Encoding::Deflate, data, limit)
}

/// `data` in the clear, at most `limit` bytes of it.
fn decode(encoding: Encoding, data: &[u8], limit: usize) -> Result<Bytes, DecodeError> {
    // Events shrink to about a third.
    let capacity = (data.len() * 4).clamp(1024, limit.min(256 * 1024));
    read_decoded(encoding, data, &mut |decoder| read_capped(decoder, capacity, limit))
}

/// As [`decode`], for what may be large: looked through once, so that one that is too large takes no memory, and a good
/// one no more than it needs.
fn decode_large(encoding: Encoding, data: &[u8], limit: usize) -> Result<Bytes, DecodeError> {
    let size = read_decoded(encoding, data, &mut |decoder| {
        let size = io::copy(&mut decoder.take(one_more_than(limit)), &mut io::sink())?;
        usize::try_from(size).ok().filter(|size| *size <= limit).ok_or(DecodeError::TooLarge)
    })?;
    // One more, so that the end is found without growing.
    read_decoded(encoding, data, &mut |decoder| read_capped(decoder, size + 1, limit))
}

fn read_decoded<T>(
    encoding: Encoding,
    data: &[u8],
    read: &mut dyn FnMut(&mut dyn Read) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    match encoding {
        Encoding::Gzip => read(&mut MultiGzDecoder::new(data)),
        // RFC 9110 means zlib by this name; some clients send the bare stream.
        Encoding::Deflate => match read(&mut ZlibDecoder::new(data)) {
            Err(DecodeError::Corrupt(_)) => read(&mut DeflateDecoder::new(data)),
            result => result,
        },
        Encoding::Brotli if has_large_window(data) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the brotli window is too large").into())
        }
        Encoding::Brotli => read(&mut brotli::Decompressor::new(data, 4096)),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(data)?;
            decoder.window_log_max(ZSTD_MAX_WINDOW_LOG)?;
            read(&mut decoder)
        }
    }
}

/// Brotli's extension to windows of up to 1 GiB, which is no part of the content encoding `br` but which the
/// decoder would follow: announced by a first byte that RFC 7932 leaves unused.
fn has_large_window(data: &[u8]) -> bool {
    data.first().is_some_and(|byte| byte & 0x7f == 0x11)
}

fn read_capped(decoder: &mut dyn Read, capacity: usize, limit: usize) -> Result<Bytes, DecodeError> {
    let mut out = Vec::with_capacity(capacity);
    decoder.take(one_more_than(limit)).read_to_end(&mut out)?;
    if out.len() > limit { Err(DecodeError::TooLarge) } else { Ok(out.into()) }
}

fn one_more_than(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn encoded(name: &str, data: &[u8]) -> Vec<u8> {
        match name {
            "gzip" | "x-gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            "raw deflate" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                let params = brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() };
                brotli::BrotliCompress(&mut &*data, &mut out, &params).unwrap();
                out
            }
            "zstd" => zstd::encode_all(data, 1).unwrap(),
            _ => data.to_vec(),
        }
    }

    async fn open(name: &str, body: Vec<u8>) -> Result<Vec<u8>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, name.trim_start_matches("raw ").parse().unwrap());
        let plain = decompress(&headers, body.into()).await;
        plain.map(|plain| plain.bytes.to_vec()).map_err(|refusal| refusal.status().as_u16())
    }

    #[tokio::test]
    async fn every_encoding_gives_the_body_back() {
        for size in [0, 10, 3000, SMALL_BYTES + 1] {
            let data: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            for name in ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd", "identity", ""] {
                assert_eq!(open(name, encoded(name, &data)).await, Ok(data.clone()), "{name} {size}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_whatever_it_is_made_of() {
        const LIMIT: usize = 100_000;
        for size in [LIMIT, LIMIT + 1, 20 * LIMIT] {
            for (name, encoding) in [
                ("gzip", Encoding::Gzip),
                ("deflate", Encoding::Deflate),
                ("raw deflate", Encoding::Deflate),
                ("br", Encoding::Brotli),
                ("zstd", Encoding::Zstd),
            ] {
                let data = encoded(name, &vec![0; size]);
                for result in [decode(encoding, &data, LIMIT), decode_large(encoding, &data, LIMIT)] {
                    assert_eq!(matches!(result, Err(DecodeError::TooLarge)), size > LIMIT, "{name} {size}");
                    assert!(result.is_err() || result.is_ok_and(|bytes| bytes.len() == size));
                }
            }
        }
    }

    #[tokio::test]
    async fn the_largest_bomb_is_answered_413() {
        assert_eq!(open("zstd", encoded("zstd", &vec![0; MAX_BYTES + 1])).await, Err(413));
    }

    #[tokio::test]
    async fn corrupt_and_unknown_encodings_are_told_apart() {
        for name in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(open(name, b"\xffnot compressed at all".to_vec()).await, Err(400), "{name}");
            let mut cut = encoded(name, &[b'x'; 1000]);
            cut.truncate(cut.len() / 2);
            assert_eq!(open(name, cut).await, Err(400), "{name} cut short");
        }
        assert_eq!(open("compress", vec![1]).await, Err(415));
        assert_eq!(open("gzip, gzip, gzip", vec![1]).await, Err(415));
        let twice = encoded("gzip", &encoded("br", b"both"));
        assert_eq!(open("br, gzip", twice).await, Ok(b"both".to_vec()));
    }

    #[tokio::test]
    async fn a_brotli_window_beyond_the_standard_is_refused() {
        let mut out = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { large_window: true, lgwin: 28, ..Default::default() };
        brotli::BrotliCompress(&mut [7_u8; 5000].as_slice(), &mut out, &params).unwrap();
        assert_eq!(open("br", out).await, Err(400));
    }

    #[tokio::test]
    async fn a_zstd_window_beyond_the_cap_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(&vec![7; 1 << 20]).unwrap();
        assert_eq!(open("zstd", encoder.finish().unwrap()).await, Err(400));
    }
}
