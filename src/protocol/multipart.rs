//! `multipart/form-data`: forms with files. The parts are slices of the body.

use bytes::Bytes;

/// Crash reporters send some dozen annotations and a few files.
const MAX_PARTS: usize = 300;

/// Bytes of one part's head.
const MAX_HEAD: usize = 8 * 1024;

/// Longest boundary, by RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// One field or file of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// A file's name; `None` for a plain field.
    pub filename: Option<String>,
    /// A file's MIME type.
    pub content_type: Option<String>,
    /// What was sent.
    pub content: Bytes,
}

/// Why a body is no form. The text is for the `causes` of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The content type names no boundary that could be one.
    #[error("no usable boundary")]
    NoBoundary,
    /// The boundary does not occur.
    #[error("the body does not contain the boundary")]
    NoParts,
    /// A head without an end, or without a name.
    #[error("the head of part {0} is malformed")]
    InvalidHead(usize),
    /// The body ends inside a part.
    #[error("the body ends inside part {0}")]
    UnexpectedEnd(usize),
    /// More parts than any client sends.
    #[error("more than {MAX_PARTS} parts")]
    TooManyParts,
}

/// The boundary of a `multipart/form-data` content type; `None` for other types.
pub fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary")
}

/// Reads a form whose parts `boundary` keeps apart. In time linear in the body.
pub fn parse_multipart(body: &Bytes, boundary: &str) -> Result<Vec<Part>, MultipartError> {
    let is_sound = boundary.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !is_sound {
        return Err(MultipartError::NoBoundary);
    }
    let delimiter = format!("\n--{boundary}").into_bytes();
    let mut rest = body.clone();
    if let Some(first) = delimiter.get(1..).filter(|first| rest.starts_with(first)) {
        let _delimiter = rest.split_to(first.len());
    } else {
        let start = find(&rest, &delimiter).ok_or(MultipartError::NoParts)?;
        let _preamble = rest.split_to(start + delimiter.len());
    }
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let number = parts.len() + 1;
        if number > MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        let (head, length) = split_head(&rest).ok_or(MultipartError::InvalidHead(number))?;
        let (name, filename) = disposition(head).ok_or(MultipartError::InvalidHead(number))?;
        let content_type = content_type(head);
        let _head = rest.split_to(length);
        let end = find(&rest, &delimiter).ok_or(MultipartError::UnexpectedEnd(number))?;
        let mut content = rest.split_to(end);
        let _delimiter = rest.split_to(delimiter.len());
        if content.ends_with(b"\r") {
            content.truncate(content.len() - 1);
        }
        parts.push(Part { name, filename, content_type, content });
    }
    Ok(parts)
}

/// A part's head, which follows the delimiter's own line, and the bytes up to the part's content.
fn split_head(rest: &[u8]) -> Option<(&[u8], usize)> {
    let window = rest.get(..MAX_HEAD).unwrap_or(rest);
    let with_returns = find(window, b"\r\n\r\n").map(|at| (at, 4));
    let without = find(window, b"\n\n").map(|at| (at, 2));
    let (end, length) = match (with_returns, without) {
        (Some(one), Some(other)) => one.min(other),
        (one, other) => one.or(other)?,
    };
    Some((window.get(..end)?, end + length))
}

/// The names in `Content-Disposition`.
fn disposition(head: &[u8]) -> Option<(String, Option<String>)> {
    let value = field(head, "content-disposition")?;
    let (_form_data, parameters) = value.split_once(';')?;
    Some((parameter(parameters, "name")?, parameter(parameters, "filename")))
}

/// What `Content-Type` says.
fn content_type(head: &[u8]) -> Option<String> {
    field(head, "content-type").map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The value of one line of a part's head.
fn field(head: &[u8], wanted: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.to_owned())
    })
}

/// The value of `wanted` in `name="form"; filename=x`: quoted, with backslashes before quotes, or bare.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, behind) = rest.split_once('=')?;
        let mut value = String::new();
        let behind = behind.trim_start();
        rest = if let Some(quoted) = behind.strip_prefix('"') {
            let mut letters = quoted.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '"' => break,
                    // Paths of Windows have backslashes that escape nothing.
                    '\\' if letters.as_str().starts_with(['"', '\\']) => value.extend(letters.next()),
                    letter => value.push(letter),
                }
            }
            letters.as_str()
        } else {
            let (bare, behind) = behind.split_once(';').unwrap_or((behind, ""));
            bare.trim().clone_into(&mut value);
            behind
        };
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
    }
}

/// Where `needle` begins. Its first byte must not occur again in it, which makes this linear, or it must be short.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let rest = haystack.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<Vec<(String, Option<String>, String)>, MultipartError> {
        let parts = parse_multipart(&Bytes::copy_from_slice(body.as_bytes()), "XX")?;
        let text = |part: Part| (part.name, part.filename, String::from_utf8_lossy(&part.content).into_owned());
        Ok(parts.into_iter().map(text).collect())
    }

    fn part(name: &str, filename: Option<&str>, content: &str) -> (String, Option<String>, String) {
        (name.to_owned(), filename.map(str::to_owned), content.to_owned())
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let body = "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"sentry\"\r\n\r\n{}\r\n--XX\r\n\
                    content-type: application/octet-stream\r\ncontent-disposition: form-data; filename=\"C:\\a \\\"b\\\".dmp\"; \
                    name=upload_file_minidump\r\n\r\nMDMP\r\n--X\r\n\r\n--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\
                    \r\n--XX--\r\nepilogue";
        let file = part("upload_file_minidump", Some("C:\\a \"b\".dmp"), "MDMP\r\n--X\r\n");
        assert_eq!(parse(body), Ok(vec![part("sentry", None, "{}"), file, part("empty", None, "")]));
        assert_eq!(parse("--XX--"), Ok(vec![]));
        assert_eq!(parse("--XX\nContent-Disposition: form-data; name=a\n\nb\n--XX--"), Ok(vec![part("a", None, "b")]));
    }

    #[test]
    fn a_file_has_a_type_of_its_own() {
        let body = "--XX\r\nCONTENT-TYPE:  text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--XX\r\n\
                    Content-Type:\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--XX--";
        let parts = parse_multipart(&Bytes::from_static(body.as_bytes()), "XX").unwrap();
        let types: Vec<Option<&str>> = parts.iter().map(|part| part.content_type.as_deref()).collect();
        assert_eq!(types, [Some("text/plain; charset=utf-8"), None]);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for (body, error) in [
            ("", MultipartError::NoParts),
            ("MDMP", MultipartError::NoParts),
            ("--XX", MultipartError::InvalidHead(1)),
            ("--XX\r\n\r\n\r\n--XX--", MultipartError::InvalidHead(1)),
            ("--XX\r\nContent-Disposition: form-data\r\n\r\n\r\n--XX--", MultipartError::InvalidHead(1)),
            ("--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nb", MultipartError::UnexpectedEnd(1)),
        ] {
            assert_eq!(parse(body), Err(error), "{body}");
        }
        let many = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(MAX_PARTS + 1) + "--XX--";
        assert_eq!(parse(&many), Err(MultipartError::TooManyParts));
        for boundary in ["", "a\nb", &"x".repeat(71)] {
            assert_eq!(parse_multipart(&Bytes::from_static(b"--"), boundary), Err(MultipartError::NoBoundary));
        }
    }

    #[test]
    fn the_boundary_is_read_quoted_or_not() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("application/json; boundary=abc", None),
        ] {
            assert_eq!(boundary_of(content_type).as_deref(), boundary, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in "(--XX|\r\n|\n|--|Content-Disposition: form-data; name=a|[ -~]{0,4}){0,24}") {
            if let Ok(parts) = parse(&body) {
                prop_assert!(parts.iter().map(|(.., content)| content.len()).sum::<usize>() <= body.len());
            }
        }
    }
}
