//! Files that go with an event.

use bytes::Bytes;
use serde_json::Value;

use super::{Fields, Unkept};
use crate::protocol::kept_item::Attachment;

/// Characters of a name, and of a MIME type or kind.
const MAX_NAME: usize = 255;
const MAX_TYPE: usize = 127;

/// A trace's attachment is none of an event's.
const OF_A_TRACE: &str = "application/vnd.sentry.trace-attachment";

/// The file, from its item's header and its bytes.
pub(super) fn attachment(mut header: Fields<'_>, content: Bytes) -> Result<Attachment, Unkept> {
    let content_type = header.word("content_type", MAX_TYPE);
    if content_type.as_deref() == Some(OF_A_TRACE) {
        return Err(Unkept::Filtered("not_kept"));
    }
    let file_id = header.uuid("file_id");
    let number = |value: Value| value.as_i64().filter(|number| *number >= 0);
    let size = number(header.take("size")).or_else(|| i64::try_from(content.len()).ok()).unwrap_or_default();
    let part = number(header.take("part")).and_then(|part| i16::try_from(part).ok()).unwrap_or_default();
    let name = match header.take("filename") {
        Value::String(path) => base_name(&path),
        _ => String::new(),
    };
    Ok(Attachment {
        name: if name.is_empty() { "attachment".to_owned() } else { name },
        content_type: content_type
            .filter(|text| text.is_ascii() && !text.contains(|one: char| one.is_ascii_control()))
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        kind: header.word("attachment_type", MAX_TYPE).unwrap_or_else(|| "event.attachment".to_owned()),
        size,
        file_id,
        part,
        content,
    })
}

/// A path's last part, of whichever system, without what no name should have.
fn base_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|one| !one.is_control()).take(MAX_NAME).collect();
    if name.trim_matches('.').trim().is_empty() { String::new() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_folders() {
        for (path, wanted) in [
            ("log.txt", "log.txt"),
            ("/var/log/a b.txt", "a b.txt"),
            ("C:\\temp\\x.dmp", "x.dmp"),
            ("../..", ""),
            ("a\r\nb\0.txt", "ab.txt"),
            ("日志.txt", "日志.txt"),
        ] {
            assert_eq!(base_name(path), wanted, "{path}");
        }
    }
}
