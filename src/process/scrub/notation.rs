//! How a name and its value stand in a text: `a=b`, `"a": "b"`, `'a' => 'b'`, `a: b`, headers, and printed objects.

use super::name::has_stem;
use super::text::MARKS;

/// Bytes of a name that are looked at.
pub(super) const MAX_NAME: usize = 64;
/// How far is looked for what ends a value that stands in brackets, or for what shows that a line is a cookie's.
pub(super) const MAX_LOOK: usize = 512;
/// What a value may stand in: types of Rust, and what statements hash a password with.
const WRAPPERS: [&str; 8] = ["Some(", "Secret(", "MD5(", "md5(", "SHA1(", "sha1(", "crypt(", "PASSWORD("];

/// A name before a sign.
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    pub(super) start: usize,
    /// It stands in quotes, as in JSON.
    pub(super) is_quoted: bool,
}

impl<'a> Label<'a> {
    pub(super) fn before(text: &'a str, at: usize) -> Option<Self> {
        let head = text.get(..at)?;
        let close = head.trim_end_matches([' ', '\t']);
        if head.len() - close.len() > 3 {
            return None;
        }
        if close.ends_with(']') && MARKS.iter().any(|mark| close.ends_with(mark)) {
            return None;
        }
        let bare = close.trim_end_matches(['"', '\'', '\\', '`', ']']);
        let name = name_at_end(bare);
        let is_quoted = close.ends_with(['"', '\'']);
        (!name.is_empty()).then(|| Self { name, start: bare.len() - name.len(), is_quoted })
    }

    pub(super) fn has_other_name(&self, text: &str) -> bool {
        self.name.eq_ignore_ascii_case("value") && has_stem(self.other_name(text).as_bytes())
    }

    /// The last one in quotes before `value`.
    pub(super) fn other_name<'t>(&self, text: &'t str) -> &'t str {
        let before = text.get(..self.start).unwrap_or_default().trim_end_matches([' ', ',', ']', '\\']);
        let close = before.trim_end_matches(['"', '\'', '\\']);
        if close.len() < before.len() { name_at_end(close) } else { "" }
    }

    /// A parameter that has a secret in some addresses and a word in others.
    pub(super) fn is_of_query(&self, text: &str) -> bool {
        is_of_query(self.name) && text.get(..self.start).is_some_and(|head| head.ends_with(['?', '&']))
    }
}

pub(super) fn name_at_end(text: &str) -> &str {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[');
    let length = text.bytes().rev().take(MAX_NAME).take_while(is_part).count();
    text.get(text.len() - length..).unwrap_or_default()
}

/// How a value stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Quoted,
    Bracketed,
    Bare,
    /// The rest of a header.
    Line,
}

pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) form: Form,
    pub(super) sign: u8,
    /// White space before it.
    pub(super) is_spaced: bool,
    /// The name begins a line, or stands behind a bracket or a comma.
    pub(super) is_member: bool,
}

impl Value {
    pub(super) fn behind(text: &str, at: usize, sign: u8, label: &Label<'_>, word_end: &mut usize) -> Option<Self> {
        let head = text.get(..label.start)?;
        let mut rest = text.get(at + 1..)?;
        if sign == b'=' {
            // The name of a method, as Ruby prints it.
            if head.ends_with('`') && rest.starts_with('\'') {
                return None;
            }
            // A comparison is no assignment; `=>` is one.
            rest = rest.strip_prefix('>').unwrap_or(rest);
            if rest.starts_with(['=', '~']) {
                return None;
            }
        } else if rest.starts_with(':')
            || rest.starts_with("//")
            || (head.ends_with(['/', '\\']) && !is_written_header(label.name))
            || (head.ends_with(':')
                && head.get(head.floor_char_boundary(head.len().saturating_sub(MAX_LOOK))..)?.contains("arn:"))
        {
            // A path of modules, an address, a file that something happened to, the name of a resource.
            return None;
        }
        let bare = rest.trim_start_matches([' ', '\t']);
        let bare = without_yaml_type(bare, sign);
        if sign == b' ' && bare.starts_with('-') {
            return None;
        }
        let is_spaced = bare.len() < rest.len();
        let start = text.len() - bare.len();
        let before = head.trim_end_matches([' ', '\t', '"', '\'', '\\', 'b']);
        let is_member = before.is_empty() || before.ends_with(['{', ',', '(', '[', '\n', ';', '&', '?']);
        let (start, end, form) = if let Some((start, end)) = quoted(text, start) {
            // The end of a text within JSON: nothing was assigned.
            if !label.is_quoted && text.get(start..)?.starts_with([']', '}', ',']) {
                return None;
            }
            (start, end, Form::Quoted)
        } else if let Some(length) = bracketed(bare) {
            (start, start + length, Form::Bracketed)
        } else if let Some((from, to)) = header(label.name, bare, sign) {
            (start + from, start + to, Form::Line)
        } else {
            if start >= *word_end {
                *word_end = start + bare_length(bare);
            }
            // `Some("x")`, and `string(9) "x"` of PHP.
            let dumped =
                || bare.strip_prefix("string(")?.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(") ");
            let wrapped = WRAPPERS.iter().find_map(|open| bare.strip_prefix(open)).or_else(dumped);
            match wrapped.and_then(|inner| quoted(text, text.len() - inner.len())) {
                Some((start, end)) => (start, end, Form::Quoted),
                None => (start, *word_end, Form::Bare),
            }
        };
        (start < end).then_some(Self { start, end, form, sign, is_spaced, is_member })
    }
}

/// `!ruby/string x` -> `x`
fn without_yaml_type(text: &str, sign: u8) -> &str {
    let typed = text.strip_prefix('!').filter(|_| sign == b':');
    let Some((name, value)) = typed.and_then(|typed| typed.split_once(' ')) else { return text };
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'!' | b':')) {
        value
    } else {
        text
    }
}

/// A header of a request that was printed with its line breaks written out: the name has the break's letter before it.
fn is_written_header(name: &str) -> bool {
    let name = name.get(1..).unwrap_or_default();
    ["cookie", "set-cookie", "authorization"].iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// What is between quotes, which may be escaped, and may have Python's `b` before them; without an end, the rest.
fn quoted(text: &str, start: usize) -> Option<(usize, usize)> {
    let rest = text.get(start..)?;
    let open = rest.strip_prefix(['b', 'u', 'r', 'f']).unwrap_or(rest);
    let plain = open.trim_start_matches('\\');
    let is_escaped = plain.len() < open.len();
    let quote = plain.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let inside = plain.get(1..)?;
    let from = text.len() - inside.len();
    let mut skips = false;
    for (at, character) in inside.char_indices() {
        let ends = character == quote || (is_escaped && character == '\\');
        if skips {
            skips = false;
        } else if ends {
            return Some((from, from + at));
        } else {
            skips = character == '\\';
        }
    }
    Some((from, text.len()))
}

/// The length of what is in brackets, with them and with what is written against them.
fn bracketed(rest: &str) -> Option<usize> {
    let near = rest.starts_with(['[', '(']).then(|| rest.get(..rest.floor_char_boundary(MAX_LOOK)))??;
    let end = near.find([']', ')'])? + 1;
    Some(end + bare_length(rest.get(end..)?))
}

/// From where to where a header's value is secret if it is more than one word: what follows a scheme, or cookies.
fn header(name: &str, rest: &str, sign: u8) -> Option<(usize, usize)> {
    const ONE_WORD: [&str; 8] = ["basic", "bearer", "token", "negotiate", "ntlm", "apikey", "jwt", "key"];
    const MANY_WORDS: [&str; 2] = ["digest", "aws4-hmac-sha256"];
    let name = name.to_ascii_lowercase();
    if name.ends_with("authorization") {
        let near = rest.get(..rest.floor_char_boundary(MAX_LOOK)).unwrap_or(rest);
        let scheme = near.split_once(' ')?.0;
        let credentials = rest.get(scheme.len() + 1..)?;
        let is_in = |list: &[&str]| list.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if is_in(&MANY_WORDS) {
            return Some((0, rest.find(['\n', '\r']).unwrap_or(rest.len())));
        }
        let is_marked = MARKS.iter().any(|mark| credentials.starts_with(mark));
        return (is_in(&ONE_WORD) && !is_marked)
            .then(|| (scheme.len() + 1, scheme.len() + 1 + bare_length(credentials)));
    }
    let near = rest.get(..rest.floor_char_boundary(MAX_LOOK)).unwrap_or(rest);
    let is_cookies =
        sign == b':' && name.ends_with("cookie") && near.lines().next().is_some_and(|line| line.contains('='));
    is_cookies.then(|| (0, rest.find(['\n', '\r', '"', '\'']).unwrap_or(rest.len())))
}

/// Up to what ends a word in a query, a list or an object.
fn bare_length(rest: &str) -> usize {
    let is_end = |(at, character): (usize, char)| match character {
        '&' | ';' | ',' | '"' | '\'' | '`' | ')' | ']' | '}' | '<' | '>' => true,
        // A line break that is written out, or a quote.
        '\\' => rest.get(at + 1..).is_some_and(|next| next.starts_with(['n', 'r', 't', '"', '\''])),
        _ => character.is_whitespace(),
    };
    rest.char_indices().find(|found| is_end(*found)).map_or(rest.len(), |(at, _)| at)
}

/// Parameters of addresses that have a secret in some and a word in others.
pub(super) fn is_of_query(name: &str) -> bool {
    matches!(name, "sig" | "key" | "code" | "signature" | "sid" | "appid" | "js_code")
}
