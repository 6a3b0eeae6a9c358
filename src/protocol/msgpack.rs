//! MessagePack, as crash reporters write the event and the breadcrumbs that they send beside a dump.

use serde_json::{Map, Value};

/// Values of one document: each takes some 50 bytes of memory, and may take one byte of the document.
const MAX_VALUES: usize = 50_000;

/// Containers nested deeper are no event.
const MAX_DEPTH: usize = 64;

/// The document; `None` if it is none, or too large. What follows it is not looked at.
pub fn read_msgpack(bytes: &[u8]) -> Option<Value> {
    Reader { rest: bytes, left: MAX_VALUES }.value(MAX_DEPTH)
}

/// Documents one after the other, up to the first that is none.
pub fn read_msgpack_stream(bytes: &[u8]) -> Vec<Value> {
    let mut reader = Reader { rest: bytes, left: MAX_VALUES };
    std::iter::from_fn(|| reader.value(MAX_DEPTH)).collect()
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let [first] = self.array::<1>()?;
        Some(match first {
            0x00..=0x7f => first.into(),
            0x80..=0x8f => self.map(usize::from(first & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(first & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(first & 0x1f))?,
            0xc0 => Value::Null,
            0xc2 => false.into(),
            0xc3 => true.into(),
            // Bytes and extensions say nothing in an event.
            0xc4..=0xc6 => self.skip(first - 0xc4, 0)?,
            0xc7..=0xc9 => self.skip(first - 0xc7, 1)?,
            0xca => f32::from_be_bytes(self.array()?).into(),
            0xcb => f64::from_be_bytes(self.array()?).into(),
            0xcc => u8::from_be_bytes(self.array()?).into(),
            0xcd => u16::from_be_bytes(self.array()?).into(),
            0xce => u32::from_be_bytes(self.array()?).into(),
            0xcf => u64::from_be_bytes(self.array()?).into(),
            0xd0 => i8::from_be_bytes(self.array()?).into(),
            0xd1 => i16::from_be_bytes(self.array()?).into(),
            0xd2 => i32::from_be_bytes(self.array()?).into(),
            0xd3 => i64::from_be_bytes(self.array()?).into(),
            0xd4..=0xd8 => self.take(1 + (1 << (first - 0xd4))).map(|_| Value::Null)?,
            0xd9..=0xdb => {
                let length = self.length(first - 0xd9)?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let length = self.length(first - 0xdc + 1)?;
                self.list(length, depth)?
            }
            0xde | 0xdf => {
                let length = self.length(first - 0xde + 1)?;
                self.map(length, depth)?
            }
            0xe0..=0xff => first.cast_signed().into(),
            0xc1 => return None,
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, size: u8) -> Option<usize> {
        match size {
            0 => self.array().map(u8::from_be_bytes).map(usize::from),
            1 => self.array().map(u16::from_be_bytes).map(usize::from),
            _ => usize::try_from(u32::from_be_bytes(self.array()?)).ok(),
        }
    }

    fn skip(&mut self, size: u8, more: usize) -> Option<Value> {
        let length = self.length(size)?;
        self.take(length.checked_add(more)?).map(|_| Value::Null)
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        self.take(length).map(|bytes| String::from_utf8_lossy(bytes).into_owned().into())
    }

    fn list(&mut self, length: usize, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        (0..length).map(|_| self.value(depth)).collect::<Option<Vec<Value>>>().map(Value::Array)
    }

    fn map(&mut self, length: usize, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let mut map = Map::new();
        for _ in 0..length {
            let key = match self.value(depth)? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            map.insert(key, self.value(depth)?);
        }
        Some(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_value_is_read() {
        for (bytes, value) in [
            (b"\x82\xa1a\x93\x01\xff\xc0\xa1b\xd9\x02hi".as_slice(), json!({"a": [1, -1, null], "b": "hi"})),
            (b"\xdc\x00\x02\xc2\xc3", json!([false, true])),
            (b"\xde\x00\x01\x05\xda\x00\x01x", json!({"5": "x"})),
            (b"\xdf\x00\x00\x00\x01\xa0\xdb\x00\x00\x00\x01y", json!({"": "y"})),
            (b"\xdd\x00\x00\x00\x02\xcc\xff\xcd\x01\x00", json!([255, 256])),
            (b"\x92\xce\x00\x01\x00\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00", json!([65_536, 4_294_967_296_u64])),
            (
                b"\x94\xd0\x80\xd1\xff\x00\xd2\xff\xff\xff\xfe\xd3\xff\xff\xff\xff\xff\xff\xff\xfd",
                json!([-128, -256, -2, -3]),
            ),
            (b"\x92\xca\x3f\x00\x00\x00\xcb\x3f\xd0\x00\x00\x00\x00\x00\x00", json!([0.5, 0.25])),
            (b"\x94\xc4\x01x\xc7\x01\x05x\xd4\x01x\xd8\x010123456789abcdef", json!([null, null, null, null])),
        ] {
            assert_eq!(read_msgpack(bytes), Some(value));
        }
    }

    #[test]
    fn what_is_no_document_or_too_large_is_nothing() {
        let nested = [vec![0x91; MAX_DEPTH + 1], vec![0xc0]].concat();
        let wide = [b"\xdd\x00\x00\xff\xff".to_vec(), vec![0xc0; 65_535]].concat();
        for bytes in [b"".as_slice(), b"\xc1", b"\xa5abc", b"\x92\x01", b"\xdd\xff\xff\xff\xff\x01", &nested, &wide] {
            assert_eq!(read_msgpack(bytes), None);
        }
    }

    #[test]
    fn documents_follow_each_other() {
        assert_eq!(read_msgpack_stream(b"\x81\xa1a\x01\x81\xa1a\x02\x81\xa1"), [json!({"a": 1}), json!({"a": 2})]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _value = read_msgpack(&bytes);
        }
    }
}
