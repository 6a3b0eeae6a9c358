//! Names of secrets before `=` or `:` within a text: query strings, command lines, logs, JSON and printed objects.
//!
//! Prose has such names, too (`password: must be longer`, `unexpected token: foo`), so what follows has to look like a
//! value: quoted, alone on its line, or with digits and signs in it.

use super::content::{is_nothing, is_parameter, is_prose};
use super::name::has_stem;
use super::rules::{ScrubRules, Verdict};
use super::text::{Finding, Kind, MARKS};

/// Bytes of a name that are looked at.
const MAX_NAME: usize = 64;
/// How far is looked for what ends a value that stands in brackets, or for what shows that a line is a cookie's.
const MAX_LOOK: usize = 512;
/// Characters of a word that no prose has.
const LONG: usize = 16;
/// Longer than anything whose letters have to be looked at.
const ENDLESS: usize = 256;

/// True if what stands before this `=` or `:` may be the name of a secret; the cheap question.
pub(super) fn may_name(text: &str, at: usize, rules: &ScrubRules) -> bool {
    // An address or a path of modules, as in `Value::behind`.
    let is_path = text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(b"://") || rest.starts_with(b"::"));
    !is_path
        && Label::before(text, at)
            .is_some_and(|label| rules.may_judge(label.name) || label.has_other_name(text) || label.is_of_query(text))
}

/// True if an option that may be the name of a secret begins behind this `-`, its value being the next word.
pub(super) fn may_option(bytes: &[u8], at: usize) -> bool {
    let begins = at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'-');
    let Some(behind) = bytes.get(at + 1..).filter(|_| begins) else { return false };
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = behind.iter().take(MAX_NAME).take_while(is_part).count();
    behind.get(length) == Some(&b' ') && behind.get(..length).is_some_and(has_stem)
}

/// Values of secrets that are named in the text.
pub(super) fn find(text: &str, rules: &ScrubRules, found: &mut Vec<Finding>) {
    let mut from = 0;
    // Names may follow each other without a break; the end of the word is looked for once.
    let mut word_end = 0;
    for (at, sign) in text.bytes().enumerate() {
        if at < from || !matches!(sign, b'=' | b':' | b' ') {
            continue;
        }
        let Some(label) = Label::before(text, at) else { continue };
        // `--password hunter2`: nothing else has its value behind a space.
        if sign == b' ' && !(label.name.starts_with("--") && label.start + label.name.len() == at) {
            continue;
        }
        let verdict = judge(text, &label, rules);
        if matches!(verdict, Verdict::Ordinary | Verdict::Safe) {
            continue;
        }
        let Some(value) = Value::behind(text, at, sign, &label, &mut word_end) else { continue };
        let Some(content) = text.get(value.start..value.end) else { continue };
        let is_marked = MARKS.iter().any(|mark| text.get(value.start..).is_some_and(|rest| rest.starts_with(mark)));
        if is_marked || is_nothing(content) || is_parameter(content) {
            continue;
        }
        if is_secret(verdict, &label, &value, content, text.get(value.end..).unwrap_or_default()) {
            let is_bearer = value.form == Form::Line
                && text
                    .get(..value.start)
                    .and_then(|head| head.as_bytes().last_chunk::<7>())
                    .is_some_and(|end| end.eq_ignore_ascii_case(b"bearer "));
            let kind = if is_bearer { Kind::Bearer } else { Kind::Named };
            found.push(Finding { range: value.start..value.end, kind });
            from = value.end;
        }
    }
}

fn judge(text: &str, label: &Label<'_>, rules: &ScrubRules) -> Verdict {
    match rules.judge(label.name) {
        // `name="password" value=…`
        Verdict::Ordinary if label.has_other_name(text) => rules.judge(label.other_name(text)),
        Verdict::Ordinary if label.is_of_query(text) && rules.has_defaults() => Verdict::Random,
        // `api key: …`
        Verdict::Ordinary if label.name.eq_ignore_ascii_case("key") => {
            let before = text.get(..label.start).and_then(|head| head.strip_suffix(' ')).unwrap_or_default();
            let word = name_at_end(before);
            if word.is_empty() { Verdict::Ordinary } else { rules.judge(&format!("{word}_key")) }
        }
        verdict => verdict,
    }
}

/// A name before a sign.
struct Label<'a> {
    name: &'a str,
    start: usize,
    /// It stands in quotes, as in JSON.
    is_quoted: bool,
}

impl<'a> Label<'a> {
    fn before(text: &'a str, at: usize) -> Option<Self> {
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

    fn has_other_name(&self, text: &str) -> bool {
        self.name.eq_ignore_ascii_case("value") && has_stem(self.other_name(text).as_bytes())
    }

    /// The last one in quotes before `value`.
    fn other_name<'t>(&self, text: &'t str) -> &'t str {
        let before = text.get(..self.start).unwrap_or_default().trim_end_matches([' ', ',', ']', '\\']);
        let close = before.trim_end_matches(['"', '\'', '\\']);
        if close.len() < before.len() { name_at_end(close) } else { "" }
    }

    /// A parameter that has a secret in some addresses and a word in others.
    fn is_of_query(&self, text: &str) -> bool {
        matches!(self.name, "sig" | "key" | "code" | "signature")
            && text.get(..self.start).is_some_and(|head| head.ends_with(['?', '&']))
    }
}

fn name_at_end(text: &str) -> &str {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[');
    let length = text.bytes().rev().take(MAX_NAME).take_while(is_part).count();
    text.get(text.len() - length..).unwrap_or_default()
}

/// How a value stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Quoted,
    Bracketed,
    Bare,
    /// The rest of a header.
    Line,
}

struct Value {
    start: usize,
    end: usize,
    form: Form,
    sign: u8,
    /// White space before it.
    is_spaced: bool,
    /// The name begins a line, or stands behind a bracket or a comma.
    is_member: bool,
}

impl Value {
    fn behind(text: &str, at: usize, sign: u8, label: &Label<'_>, word_end: &mut usize) -> Option<Self> {
        let head = text.get(..label.start)?;
        let mut rest = text.get(at + 1..)?;
        if sign == b'=' {
            // A comparison is no assignment; `=>` is one.
            rest = rest.strip_prefix('>').unwrap_or(rest);
            if rest.starts_with(['=', '~']) {
                return None;
            }
        } else if rest.starts_with(':')
            || rest.starts_with("//")
            || (head.ends_with(['/', '\\']) && !is_written_header(label.name))
        {
            // A path of modules, an address, a file that something happened to.
            return None;
        }
        let bare = rest.trim_start_matches([' ', '\t']);
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
            // `Some("x")`
            let wrapped = ["Some(", "Secret("].iter().find_map(|open| bare.strip_prefix(open));
            match wrapped.and_then(|inner| quoted(text, text.len() - inner.len())) {
                Some((start, end)) => (start, end, Form::Quoted),
                None => (start, *word_end, Form::Bare),
            }
        };
        (start < end).then_some(Self { start, end, form, sign, is_spaced, is_member })
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
    let open = rest.strip_prefix(['b', 'u', 'r']).unwrap_or(rest);
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

/// What code and style sheets have behind such a name: a call, an element of a list, the variable of the same name.
fn is_code(label: &Label<'_>, value: &Value, content: &str, behind: &str) -> bool {
    if value.form != Form::Bare || label.is_quoted {
        return false;
    }
    if value.sign == b':' {
        return label.name.starts_with('.') && !value.is_spaced && content.contains('{');
    }
    let path = content.trim_start_matches(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | ':'));
    let is_opened = path.starts_with(['(', '[']) && path.len() < content.len() && behind.starts_with([')', '\'', '"']);
    let has_digit = content.bytes().any(|byte| byte.is_ascii_digit());
    (is_opened && !has_digit)
        || (value.is_spaced && label.name.ends_with(content))
        // What a lexer calls the end of a file.
        || (label.name == "token" && content.len() <= 12 && content.bytes().all(|byte| byte.is_ascii_uppercase()))
}

fn is_secret(verdict: Verdict, label: &Label<'_>, value: &Value, content: &str, behind: &str) -> bool {
    if verdict == Verdict::Address {
        let near = content.get(..content.floor_char_boundary(MAX_LOOK)).unwrap_or(content);
        return near.contains('@');
    }
    if content.len() > ENDLESS {
        return true;
    }
    if verdict == Verdict::Random {
        return content.len() >= LONG
            && content.bytes().any(|byte| byte.is_ascii_digit())
            && content.bytes().any(|byte| byte.is_ascii_uppercase());
    }
    let is_sure = verdict == Verdict::Sure;
    let word = content.trim_end_matches(['.', '!', '?', ':']);
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let is_code_of_card = label.name.ends_with("cvv") || label.name.ends_with("cvc");
    let is_count = word.len() < 4 && !is_code_of_card && word.bytes().all(|byte| byte.is_ascii_digit());
    if is_prose(word) || (is_count && !is_sure) || is_code(label, value, content, behind) {
        return false;
    }
    let is_written_out = label.is_quoted && (value.form != Form::Bare || has_digit);
    if value.sign == b'=' || value.form == Form::Line || is_written_out {
        return true;
    }
    match value.form {
        Form::Bracketed => false,
        Form::Quoted if value.sign == b' ' => true,
        Form::Quoted => is_sure || value.is_member || has_digit || word.len() >= LONG,
        _ if value.sign == b' ' => is_made(word) || is_alone(behind) || behind.trim_start().starts_with('-'),
        _ if is_sure => is_made(word) || (value.is_spaced && is_alone(behind) && !word.contains('/')),
        _ if value.is_spaced => (has_digit && word.len() >= 6 && !is_place(word)) || word.len() >= LONG + 4,
        _ => has_digit && word.len() >= LONG,
    }
}

/// No word of a sentence: digits, signs, or capitals inside.
fn is_made(word: &str) -> bool {
    let is_sign =
        |byte: u8| matches!(byte, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'*' | b'_' | b'+' | b'=' | b'~' | b'|');
    let has_lower = word.bytes().any(|byte| byte.is_ascii_lowercase());
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    (word.len() >= 4 && (digits > 0 || word.bytes().any(is_sign)))
        || (has_lower && word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase()))
}

/// A host and port, or a date.
fn is_place(word: &str) -> bool {
    word.contains(['.', ':', '-'])
        && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-'))
}

/// Nothing goes on behind it, as a sentence would, unless it is the next name.
fn is_alone(behind: &str) -> bool {
    let rest = behind.trim_start_matches([' ', '\t']);
    // An apostrophe within a word.
    if behind.strip_prefix('\'').is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_lowercase())) {
        return false;
    }
    if rest.is_empty() || rest.starts_with(['\n', '\r', '}', ')', ';', '|', '&', '"', '\'']) {
        return true;
    }
    let next = rest.trim_start_matches([',', ' ']);
    let length = next.bytes().take(MAX_NAME).take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    length > 0 && next.get(length..).is_some_and(|sign| sign.starts_with(['=', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, &ScrubRules::default(), &mut found);
        found.into_iter().filter_map(|finding| text.get(finding.range)).collect()
    }

    #[test]
    fn values_are_found_in_every_notation() {
        for (text, wanted) in [
            ("password=hunter2", "hunter2"),
            ("GET /x?token=abc&page=2", "abc"),
            ("login failed, password: hunter2", "hunter2"),
            ("password: swordfish", "swordfish"),
            ("password: swordfish, user: bob", "swordfish"),
            ("{\"token\":\"abc\",\"a\":1}", "abc"),
            ("{\\\"token\\\": \\\"abc\\\"}", "abc"),
            ("{'Authorization': 'Basic xyz', 'Host': 'x'}", "Basic xyz"),
            ("{b'cookie': b'a=1; b=2'}", "a=1; b=2"),
            ("{ token: 'abc', a: 1 }", "abc"),
            ("'password' => 'x y'", "x y"),
            ("auth=('bob', 'pw')", "('bob', 'pw')"),
            ("Cookie: sid=1; theme=dark\nHost: x", "sid=1; theme=dark"),
            ("Authorization: Token abcdef", "abcdef"),
            ("api key: k-12345", "k-12345"),
            ("Server=db;Password=a!b;Database=x", "a!b"),
            ("--api-key=abc --verbose", "abc"),
            ("app --password hunter2 --user bob", "hunter2"),
            ("app --token 'a b'", "a b"),
            ("user[password]=x1", "x1"),
            ("token: 9f8a7c6b5d", "9f8a7c6b5d"),
            ("SENTRY_DSN=https://key@host/1", "https://key@host/1"),
            ("password='cut off", "cut off"),
        ] {
            assert_eq!(found(text), [wanted], "{text}");
        }
    }

    #[test]
    fn sentences_and_code_are_left_alone() {
        for text in [
            "password: must be at least 8 characters",
            "Unexpected token: foo",
            "invalid token: expired",
            "token == other",
            "Token::new",
            "open /run/secrets/db_password: permission denied",
            "secret://vault/path",
            "password=None",
            "where token = $1 and password = %s",
            "password=[Filtered]&a=b",
            "pass=12 fail=3",
            "auth: 10.0.0.5:5432 refused",
            "tokens_used=512",
            "token_count: 1234567",
            "grant_type=password",
            "password=",
            "token={token}",
            "task auth:login failed",
            "use --password to log in",
            "app --password --user bob",
            "login(user: str, password: str)",
            "mode=cors credentials=same-origin",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
