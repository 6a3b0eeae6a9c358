//! Secrets that are named in a sentence or a statement, with no sign between the name and the value.
//!
//! `token expired` and `unexpected token 'export'` are sentences, too, so what follows has to look as if it was made up:
//! digits among letters, and the longer, the less the name says.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::content::{has_cases, has_digit, is_mixed, is_nothing, is_parameter, is_prose};
use super::text::{Finding, Kind};

/// Bytes behind a name within which a value has to show a digit or a quote.
const NEAR: usize = 64;
/// Letters and digits that no word has mixed.
const RANDOM: usize = 16;

/// `password is x`, `token 'x'`, `with key x`.
static SENTENCES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(password|passwd|passphrase|secret[a-z_]{0,32}|token",
        r"|(?:api|access|license|auth|secret|master|private|signing|application|app)[ ._-]key",
        r"|(?:with|using|provided:) key)(?: hash| value|(?: for| of)(?: [a-z0-9_.@-]{1,32}){1,2}?)?",
        r"([ \t]+(?:is|was|provided|->))?:?[ \t]+",
        r#"(?:'([^'\n]{4,128})'|"([^"\n]{4,128})"|`([^`\n]{4,128})`|([^\s'"`,;()<>\[\]{}]{4,256}))"#,
    ))
    .ok()
});
/// `AUTH x` of Redis and mail servers, with a user or a mechanism before it.
static AUTH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?-u:\b)AUTH[ \t]+(?:['"]?[A-Za-z]+['"]?[ \t]+)?['"]?([A-Za-z0-9+/=_!@#$%^&*.-]{8,128})"#).ok()
});
/// How MySQL and Oracle name the password of a user.
static IDENTIFIED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)identified(?: with [a-z0-9_]+)?[ \t]+by[ \t]+(?:password[ \t]+)?",
        r#"(?:['"]([^'"\n]{1,128})|([^\s'";,?:]{3,128}))"#,
    ))
    .ok()
});
/// Chinese names: what follows them in a sentence is Chinese, a secret is not.
static CHINESE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:密码|密碼|口令|令牌|密钥|密鑰|私钥|验证码|驗證碼)\\?["'”]?\s*(:|：|=|为|是|為)?\s*\\?["'“「]?"#,
        r"([A-Za-z0-9!#$%^&*+./@_~=\u{C0}-\u{24F}-]{4,256})",
    ))
    .ok()
});
/// Names in other languages.
static FOREIGN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:passwort|kennwort|mot de passe|contrase(?:ñ|n)a|senha|wachtwoord|пароль|パスワード|비밀번호)",
        r#"["'»”]?(\s*(?:=|:|：|は)|\s+(?:ist|lautet|est|es|é|is)\s*:?)?\s*(?:["'«„“「]([^"'»“”」\n]{3,128})"#,
        r#"|([^\s"'`,;()<>\[\]{}]{4,128}))"#,
    ))
    .ok()
});

/// Codes that are told once, and those on cards.
static CODES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?-u:\b)(?:(?:verification|security|confirmation|one-time|login|sign-in|authentication|access)",
        r" (?:code|passcode|password)(?: is|:) ?|cvv2? |cvc2? )([0-9][0-9 -]{1,9}[0-9])(?-u:\b)",
    ))
    .ok()
});

/// True if a value may follow: something with a digit, or in quotes.
pub(super) fn is_near(behind: &[u8]) -> bool {
    behind.iter().take(NEAR).any(|byte| byte.is_ascii_digit() || matches!(byte, b'\'' | b'"' | b'`'))
}

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(captures) = SENTENCES.as_ref().and_then(|sentences| sentences.captures_at(text, from)) {
        let Some(name) = captures.get(1) else { break };
        from = name.end();
        found.extend(in_sentence(text, &captures));
    }
    for captures in AUTH.iter().flat_map(|auth| auth.captures_iter(text)) {
        found.extend(captures.get(1).filter(|value| is_mixed(value.as_str())).map(|value| named(&value)));
    }
    for captures in IDENTIFIED.iter().flat_map(|identified| identified.captures_iter(text)) {
        let is_value = |value: &str| !is_nothing(value) && !is_parameter(value) && !is_prose(value);
        let value = captures.get(1).or_else(|| captures.get(2)).filter(|value| is_value(value.as_str()));
        found.extend(value.map(|value| named(&value)));
    }
    for captures in CODES.iter().flat_map(|codes| codes.captures_iter(text)) {
        found.extend(captures.get(1).map(|value| named(&value)));
    }
    in_other_languages(text, found);
    for captures in CHINESE.iter().flat_map(|chinese| chinese.captures_iter(text)) {
        let is_signed = captures.get(1).is_some();
        let value = captures.get(2).filter(|value| {
            let value = value.as_str();
            (is_signed || has_digit(value)) && !is_nothing(value) && !is_prose(value)
        });
        found.extend(value.map(|value| named(&value)));
    }
}

/// `Passwort: x`, `mot de passe x`: with a sign, what sentences do not go on with; else, what has digits or signs in it.
fn in_other_languages(text: &str, found: &mut Vec<Finding>) {
    for captures in FOREIGN.iter().flat_map(|foreign| foreign.captures_iter(text)) {
        let Some(value) = captures.get(2).or_else(|| captures.get(3)) else { continue };
        let sign = captures.get(1).map(|sign| sign.as_str().trim());
        let content = value.as_str().trim_end_matches(['.', '!', '?', ':']);
        let is_latin = content.chars().all(|character| character < '\u{250}');
        let is_made = is_latin && content.len() >= 5 && has_digit(content) && !is_place(content);
        let is_secret = match sign {
            Some("=") => true,
            Some(verb) if verb.trim_end_matches([' ', ':']).eq_ignore_ascii_case("lautet") => true,
            Some(_) => is_made || (content.is_ascii() && content.bytes().any(|byte| b"#$%^&*!@_+".contains(&byte))),
            None => is_made,
        };
        if is_secret && !content.is_empty() && !is_nothing(content) && !is_parameter(content) && !is_prose(content) {
            found.push(Finding { range: value.start()..value.start() + content.len(), kind: Kind::Named });
        }
    }
}

fn named(value: &regex::Match<'_>) -> Finding {
    Finding { range: value.range(), kind: Kind::Named }
}

fn in_sentence(text: &str, captures: &Captures<'_>) -> Option<Finding> {
    let name = captures.get(1)?;
    let before = text.get(..name.start())?.trim_end();
    // What parsers say.
    if before.len() >= 10 && before.get(before.len() - 10..).is_some_and(|word| word.eq_ignore_ascii_case("unexpected"))
    {
        return None;
    }
    let quoted = captures.get(3).or_else(|| captures.get(4)).or_else(|| captures.get(5));
    let value = quoted.or_else(|| captures.get(6))?;
    let content = value.as_str().trim_end_matches(['.', '!', '?', ':']);
    let is_path = content.starts_with(['/', '~']) || content.contains(":\\");
    if content.is_empty() || is_path || is_nothing(content) || is_parameter(content) || is_prose(content) {
        return None;
    }
    let first = name.as_str().as_bytes().first()?.to_ascii_lowercase();
    let is_said = captures.get(2).is_some();
    // What somebody says of their own.
    let is_own = is_said && before.rsplit(' ').next().is_some_and(|word| word.eq_ignore_ascii_case("my"));
    if is_own && first == b'p' && !is_state(content) {
        return Some(Finding { range: value.start()..value.start() + content.len(), kind: Kind::Named });
    }
    let is_secret = match (first, quoted.is_some()) {
        (b'p', true) if name.as_str().len() > 5 && !name.as_str().ends_with("key") => {
            is_said || has_digit(content) || content.contains(' ')
        }
        (b'p', false) if name.as_str().len() > 5 && !name.as_str().ends_with("key") => {
            let is_long = if is_said { content.len() >= 5 } else { content.len() >= 8 && is_mixed(content) };
            is_long && has_digit(content) && !is_place(content)
        }
        (b't', true) => (content.len() >= 8 && is_mixed(content) && is_word(content)) || is_random(content),
        (b'w' | b'u', _) => is_random(content) && has_cases(content),
        _ => is_random(content),
    };
    is_secret.then(|| Finding { range: value.start()..value.start() + content.len(), kind: Kind::Named })
}

/// What a password is said to be that is not told.
fn is_state(word: &str) -> bool {
    const WORDS: &str = "a an the too not no my that this to being still never always again also now just only very \
        correct right good fine ok same different long short weak strong secure safe reset changed saved stored lost \
        forgotten working accepted rejected refused ignored asked needed set stuck gone broken case";
    WORDS.split_whitespace().any(|known| word.eq_ignore_ascii_case(known)) || word.ends_with("ed")
}

fn is_word(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'~'))
}

/// Digits among letters, without the signs of paths, names and versions.
fn is_random(value: &str) -> bool {
    let least = if has_cases(value) { 10 } else { RANDOM };
    value.len() >= least && is_mixed(value) && is_word(value)
}

/// A date, an address, a version or a path.
fn is_place(word: &str) -> bool {
    word.contains('/')
        || word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-' | b'T'))
            && word.contains(['.', ':', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_compile() {
        assert!(SENTENCES.is_some() && AUTH.is_some() && IDENTIFIED.is_some());
        assert!(CHINESE.is_some() && FOREIGN.is_some() && CODES.is_some());
    }

    #[test]
    fn values_are_told_from_what_sentences_go_on_with() {
        for (text, wanted) in [
            ("the password is hunter2.", Some("hunter2")),
            ("with password Tr0ub4dor9", Some("Tr0ub4dor9")),
            ("the password is expired since 2026-11-26", None),
            ("password \"correct horse\" rejected", Some("correct horse")),
            ("token token f81d4fae7dec11d0", Some("f81d4fae7dec11d0")),
            ("Unexpected token 'h264x265'", None),
            ("Enter passphrase for key '/home/ci/.ssh/id_ed25519':", None),
            ("AUTH default s3cretpw", Some("s3cretpw")),
            ("AUTH failed after 3 attempts", None),
            ("IDENTIFIED BY 'x'", Some("x")),
            ("IDENTIFIED BY ?", None),
            ("密码为abc123，请重试", Some("abc123")),
            ("密码长度必须至少为8位", None),
            ("密码是 Fußball7，端口 3306", Some("Fußball7")),
            ("IDENTIFIED BY Saffron91 DEFAULT", Some("Saffron91")),
            ("Unknown X-Auth-Key a1c68ce9a842294b8cc3d500 for x", Some("a1c68ce9a842294b8cc3d500")),
            ("my password is pikachu! help", Some("pikachu")),
            ("my password is wrong", None),
            ("My password is not accepted", None),
            ("mein Passwort lautet Winter#22 und", Some("Winter#22")),
            ("Benutzer=huber Passwort=Enzian", Some("Enzian")),
            ("Passwort 'Tulpe.44' fehlgeschlagen", Some("Tulpe.44")),
            ("Passwort muss mindestens 8 Zeichen haben", None),
            ("Das Passwort lautet Kuckucksuhr und", Some("Kuckucksuhr")),
            ("Your verification code is 481 920", Some("481 920")),
            ("cvv 612 rejected", Some("612")),
            ("mot de passe=edelweiss", Some("edelweiss")),
            ("contraseña: Clavel_60", Some("Clavel_60")),
            ("пароль: romashka12", Some("romashka12")),
            ("パスワード=himawari", Some("himawari")),
            ("パスワードは8文字以上", None),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), wanted, "{text}");
        }
    }
}
