//! Names of secrets before `=` or `:` within a text: query strings, command lines, logs, JSON and printed objects.
//!
//! Prose has such names, too (`password: must be longer`, `unexpected token: foo`), so what follows has to look like a
//! value: quoted, alone on its line, or with digits and signs in it.

use super::content::{has_cases, has_digit, is_mixed, is_nothing, is_parameter, is_prose};
use super::name::{self, has_stem};
use super::notation::{Form, Label, MAX_LOOK, MAX_NAME, Value, name_at_end};
use super::rules::{ScrubRules, Verdict};
use super::text::{Extent, Finding, Kind, MARKS};

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

/// False if what stands behind this sign in source code is neither in quotes nor, as in a shell, without a space.
pub(super) fn may_be_written_out(bytes: &[u8], at: usize) -> bool {
    let behind = bytes.get(at + 1..).unwrap_or_default();
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    match behind.first() {
        Some(b' ' | b'>' | b'\t') => {
            let value = behind.iter().take(4).find(|byte| !matches!(byte, b' ' | b'>' | b'\t'));
            value.is_some_and(|byte| is_quote(byte) || matches!(byte, b'b' | b'u' | b'r' | b'f'))
        }
        Some(first) => is_quote(first) || (bytes.get(at) == Some(&b'=') && *first != b'='),
        None => false,
    }
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
pub(super) fn find(text: &str, rules: &ScrubRules, extent: Extent, found: &mut Vec<Finding>) {
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
        if extent == Extent::Source && !is_literal(text, &label, &value, content, verdict) {
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

/// What is written out in source code and is no name, path or pattern there.
fn is_literal(text: &str, label: &Label<'_>, value: &Value, content: &str, verdict: Verdict) -> bool {
    if ["{", "%s", "%(", "://", "\\"].iter().any(|part| content.contains(part)) {
        return false;
    }
    let is_mixed = is_mixed(content) && !content.contains([' ', '/']);
    match value.form {
        Form::Quoted => content.len() >= if verdict == Verdict::Sure { 6 } else { 12 } && is_mixed,
        // Of a shell.
        Form::Bare if value.sign == b'=' && !value.is_spaced && !content.contains(['(', '$']) => {
            let head = text.get(..label.start).unwrap_or_default().trim_start();
            // Within a text that is written out: `"host=h password=x"`.
            let is_inside = is_mixed && ['"', '\'', '`'].iter().any(|quote| head.matches(*quote).count() % 2 == 1);
            let is_exported = (head.is_empty() || head == "export ")
                && !label.name.bytes().any(|byte| byte.is_ascii_lowercase())
                && !content.contains(['.', '[']);
            let is_by_chance = content.len() >= 10 && is_mixed && has_cases(content);
            is_exported || is_inside || (is_by_chance && verdict == Verdict::Sure && !content.contains(['.', '[']))
        }
        _ => false,
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

/// A value of such a parameter that is no word.
pub(super) fn is_random(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['\'', '"']);
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    let is_long = value.len() >= 2 * LONG && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if name::is_key_of_environment(name) && uuid::Uuid::try_parse(value).is_ok() {
        return true;
    }
    value.len() >= LONG
        && !value.contains([' ', ':', '.'])
        && has_digit(value)
        && (has(u8::is_ascii_uppercase) || ((name == "sid" || is_long) && has(u8::is_ascii_lowercase)))
        && !MARKS.iter().any(|mark| value.contains(mark))
}

/// What code and style sheets have behind such a name: a call, an element of a list, the variable of the same name.
fn is_code(label: &Label<'_>, value: &Value, content: &str, behind: &str) -> bool {
    // `selectToken = (state) => …`
    if value.form == Form::Bracketed && behind.trim_start().starts_with("=>") {
        return true;
    }
    if value.form == Form::Bare && (value.sign == b'=' || label.is_quoted) && is_expression(label, value, content) {
        return true;
    }
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
        || ((value.is_spaced || behind.starts_with(')')) && label.name.ends_with(content))
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
        return is_random(label.name, content);
    }
    let is_sure = verdict == Verdict::Sure;
    let word = content.trim_end_matches(['.', '!', '?', ':']);
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let is_code_of_card = label.name.ends_with("cvv") || label.name.ends_with("cvc");
    let is_count = word.len() < 4 && !is_code_of_card && word.bytes().all(|byte| byte.is_ascii_digit());
    if is_prose(word) || (is_count && !is_sure) || is_code(label, value, content, behind) {
        return false;
    }
    let is_rule = content.split_once('|').is_some_and(|(first, _)| is_prose(first));
    if is_rule || (value.form == Form::Bracketed && is_complaint(content)) {
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
        _ if value.sign == b' ' => {
            is_made(word) || is_alone(behind) || behind.trim_start().starts_with('-') || !is_of_a_sentence(word)
        }
        _ if is_sure => is_made(word) || (value.is_spaced && is_alone(behind) && !word.contains('/')),
        _ if value.is_spaced => (has_digit && word.len() >= 6 && !is_place(word)) || word.len() >= LONG + 4,
        _ => has_digit && word.len() >= LONG,
    }
}

/// `request.form[`, `env(`, `$_POST[`, `$(cat`, `self.token`: something that has the secret when it runs.
fn is_expression(label: &Label<'_>, value: &Value, content: &str) -> bool {
    // `random(60`
    let is_call = content.split_once('(').is_some_and(|(path, rest)| {
        path.len() > 1
            && path.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_.:".contains(&byte))
            && rest.len() <= 3
            && rest.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_call && value.is_spaced {
        return true;
    }
    let is_part = |byte: u8| byte.is_ascii_alphabetic() || b"_.:()[]<>-$?!@*& ".contains(&byte);
    let is_spaced = value.is_spaced || label.is_quoted;
    let is_path = is_spaced && (content.contains('.') || content.contains("::"));
    let last = content.rsplit(['.', '>', ':']).next().unwrap_or_default();
    content.bytes().all(is_part)
        && (content.contains(['(', '['])
            || content.starts_with('$')
            || is_path
            || content.contains("->")
            || (last.len() < content.len() && label.name.to_ascii_lowercase().ends_with(&last.to_ascii_lowercase())))
}

/// `["This field may not be blank."]`: what is wrong with a field, as forms tell it.
fn is_complaint(list: &str) -> bool {
    let inside = list.trim_start_matches(['[', '(', ' ']).trim_start_matches(['"', '\'']);
    let end = inside.find(['"', '\'']).unwrap_or(inside.len());
    let text = inside.get(..end).unwrap_or_default();
    text.starts_with(|c: char| c.is_uppercase()) && text.ends_with(['.', '!']) && text.contains(' ')
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

/// What goes on behind the name of an option that somebody writes about.
fn is_of_a_sentence(word: &str) -> bool {
    const WORDS: &str = "to for and or is are was has have had in on if when must should can cannot not option options flag \
        flags argument arguments parameter parameters instead with without requires required needs from by of at as but \
        which that via before after because the a an";
    word.len() < 4 || WORDS.split_whitespace().any(|known| word.eq_ignore_ascii_case(known))
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
        find(text, &ScrubRules::default(), Extent::All, &mut found);
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
            ("using dsn host=a user=b password=inv3ntory_rw dbname=c", "inv3ntory_rw"),
            ("password = correct-horse", "correct-horse"),
            ("login='joe' AND pass=MD5('joejoe')", "joejoe"),
            ("[\"password\"]=> string(9) \"tansy\"", "tansy"),
            ("secret_key: !ruby/string tansy9", "tansy9"),
            ("gpg --passphrase angelica root -d x.gpg", "angelica"),
            ("GET /home?sid=4o2nohax47ynpgn1fpaomdlaxy", "4o2nohax47ynpgn1fpaomdlaxy"),
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
            "undefined method `password_digest=' for nil",
            "export const selectToken = (state) => state.auth.token;",
            "psycopg2.connect(user=user, password=password)",
            "password_reset_timeout=3600",
            "tokenizer.pad_token = tokenizer.eos_token",
            "const token = req.headers.authorization.split(' ')[1];",
            "const secret = process.env.JWT_SECRET;",
            "$password = $_POST['password'];",
            "'password' => bcrypt($data['password']),",
            "'password' => 'required|string|min:8|confirmed',",
            "'password' => env('DB_PASSWORD', ''),",
            "{'password': request.POST['password']}",
            "headers = {\"Authorization\": f\"Bearer {token}\"}",
            "headers: { Authorization: `Bearer ${token}` }",
            "session_id = request.session.session_key",
            "val token = prefs.getString(KEY_TOKEN, null)",
            "export TOKEN=$(cat /run/secrets/token)",
            "docker login -u ci --password-stdin registry.example.com",
            "{\"password\": [\"This field may not be blank.\"]}",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbC123",
            "mode=cors credentials=same-origin",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
