//! One pass that tells what a text may hold, so that the finders read only what looks suspicious.
//!
//! Three neighbouring bytes decide whether to look closer: each byte stands for the kinds that have it at its place,
//! and what all three agree on may begin there. Almost no place of an ordinary text gets that far, so the loop hardly
//! ever branches otherwise than the processor expects.

use super::rules::ScrubRules;
use super::shapes::{MARKUPS, NAMES, OF_SOURCE, PHRASES, PLACES, Shapes, USERS};
use super::text::Extent;
use super::{assignment, markup, number, phrase, sql, token};

/// A name of a secret before `=` or `:`, or behind `--`.
pub(super) const NAME: u8 = 1;
/// The beginning of a token.
pub(super) const TOKEN: u8 = 2;
/// `Bearer ` or `Basic `.
pub(super) const SCHEME: u8 = 4;
/// The beginning of a block in PEM form.
pub(super) const PEM: u8 = 8;
/// An `@` in what has an address.
pub(super) const USER: u8 = 16;
/// Digits as in the number of a card or an account.
pub(super) const DIGITS: u8 = 32;
/// A word for a secret in a sentence, or an option of a program that takes one.
pub(super) const PHRASE: u8 = 64;
/// A name of a secret in an element, a pair or an encoded query.
pub(super) const MARKUP: u8 = 128;

/// Shorter texts hold no token, and no credentials behind a scheme.
const MIN_TOKEN: usize = 13;

/// What the finders have to look for in the text.
pub(super) fn suspicion(text: &str, rules: &ScrubRules, extent: Extent) -> u8 {
    let bytes = text.as_bytes();
    let defaults = if rules.has_defaults() { !NAMES } else { 0 };
    let shapes = match extent {
        Extent::Source if bytes.len() < MIN_TOKEN => 0,
        Extent::Source => defaults & (!(PHRASES | MARKUPS) | OF_SOURCE) | NAMES,
        Extent::All => defaults | NAMES,
    };
    if shapes == 0 {
        return 0;
    }
    let mut found = scan(text, shapes, rules, extent);
    if found & USER != 0 && !text.contains(':') {
        found &= !USER;
    }
    if extent == Extent::Source {
        return found & !(PEM | DIGITS);
    }
    if rules.has_defaults() && number::may_find(bytes) {
        found |= DIGITS;
    }
    found
}

fn scan(text: &str, shapes: Shapes, rules: &ScrubRules, extent: Extent) -> u8 {
    let [firsts, seconds, thirds] = &*PLACES;
    let of = |place: &[Shapes; 256], byte: u8| place.get(usize::from(byte)).copied().unwrap_or_default();
    let mut found = 0;
    // What was found already is not looked for again.
    let mut wanted = shapes;
    let (mut first, mut second) = (0, 0);
    for (at, third) in text.bytes().enumerate() {
        let agreed = of(firsts, first) & of(seconds, second) & of(thirds, third) & wanted;
        if agreed != 0 {
            if extent == Extent::Source && agreed & NAMES != 0 && !assignment::may_be_written_out(text.as_bytes(), at) {
                (first, second) = (second, third);
                continue;
            }
            found |= what_is_at(text, at, [first, second, third], agreed, rules);
            if found & NAME != 0 {
                wanted &= !NAMES;
            }
            if found & USER != 0 {
                wanted &= !USERS;
            }
            if found & PHRASE != 0 {
                wanted &= !PHRASES;
            }
            if found & MARKUP != 0 {
                wanted &= !MARKUPS;
            }
        }
        (first, second) = (second, third);
    }
    found
}

/// What begins with, or around, the three bytes that end at `at`.
#[cold]
fn what_is_at(text: &str, at: usize, bytes: [u8; 3], agreed: Shapes, rules: &ScrubRules) -> u8 {
    if agreed & NAMES != 0 {
        return if assignment::may_name(text, at, rules) { NAME } else { 0 };
    }
    let (all, others) = (text.as_bytes(), PHRASES | MARKUPS);
    let mut found = 0;
    if agreed & others != 0 {
        found |= phrase_or_markup_at(all, at, bytes);
    }
    if agreed & !others != 0 {
        found |= token_at(all, at, bytes);
    }
    found
}

/// As [`what_is_at`], of the shapes of tokens and of what else stands by itself.
fn token_at(all: &[u8], at: usize, bytes: [u8; 3]) -> u8 {
    let behind = all.get(at + 1..).unwrap_or_default();
    let before = all.get(..at.saturating_sub(2)).unwrap_or_default();
    let is = |found: bool, kind: u8| if found { kind } else { 0 };
    let goes_on = || behind.iter().take(token::MIN_PREFIXED).take_while(|byte| token::is_of_token(**byte)).count() + 1;
    let is_mixed = bytes.iter().all(u8::is_ascii_alphanumeric) && bytes.iter().any(u8::is_ascii_digit);
    if is_mixed && goes_on() + token::length_before(before) >= token::MIN_PREFIXED {
        return TOKEN;
    }
    let follows = |word: &[u8]| behind.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match &bytes {
        [_, _, b'@'] => USER,
        [b'w', b'h', b's'] => is(behind.starts_with(b"ec_"), TOKEN),
        [_, b'e' | b'E', b'a' | b'A'] => is(follows(b"rer ") || follows(b"rer\t"), SCHEME),
        [_, b'a' | b'A', b's' | b'S'] => is(follows(b"ic ") || follows(b"ic\t"), SCHEME),
        [b'h', b'p' | b'o' | b'u' | b's' | b'r', b'_'] => is(before.ends_with(b"g"), TOKEN),
        [b'p', b'm', b'_'] => is(before.ends_with(b"n"), TOKEN),
        [b'v', b'1', b'_'] => is(before.ends_with(b"dop_"), TOKEN),
        [b'k', b'_', b'l'] => is(behind.starts_with(b"ive_"), TOKEN),
        [b'k', b'_', b't'] => is(behind.starts_with(b"est_"), TOKEN),
        [b'b', b'_', b'p'] => is(behind.starts_with(b"at_"), TOKEN),
        b"ryp" => is(before.ends_with(b"sc") && behind.starts_with(b"t"), TOKEN),
        [b'r', b'y', _] => is(before.ends_with(b"snt") && behind.starts_with(b"_"), TOKEN),
        b"eyJ" | b"AKI" | b"ASI" | b"AIz" | b"xox" | b"SG." | b"hf_" => TOKEN,
        b"xap" => is(behind.starts_with(b"p-"), TOKEN),
        b"shp" => is(behind.get(2) == Some(&b'_'), TOKEN),
        b"ypi" => is(before.ends_with(b"p") && behind.starts_with(b"-"), TOKEN),
        b"vs." => is(before.ends_with(b"h"), TOKEN),
        b"a29" => is(before.ends_with(b"y") && behind.starts_with(b"."), TOKEN),
        b"oks" => is(before.ends_with(b"ho") && behind.first().is_some_and(|b| matches!(b, b'.' | b'/')), TOKEN),
        b"/bo" => is(behind.starts_with(b"t") && behind.get(1).is_some_and(u8::is_ascii_digit), TOKEN),
        b"ok/" | b"okb" => is(before.ends_with(b"ho"), TOKEN),
        b"LTA" => is(behind.starts_with(b"I"), TOKEN),
        b"GOC" => is(behind.starts_with(b"SPX-"), TOKEN),
        b"1//" => is(behind.starts_with(b"0"), TOKEN),
        b"4/0" => is(behind.len() >= MIN_TOKEN, TOKEN),
        b"4%2" => is(behind.starts_with(b"F0"), TOKEN),
        b"ATA" => is(behind.starts_with(b"TT3"), TOKEN),
        b"HRK" => is(behind.starts_with(b"U-"), TOKEN),
        b"PMA" | b"NRA" => is(behind.get(1) == Some(&b'-'), TOKEN),
        b"EAA" => is(goes_on() >= MIN_TOKEN, TOKEN),
        b"dap" => is(behind.starts_with(b"i"), TOKEN),
        b"sq0" => is(behind.get(3) == Some(&b'-'), TOKEN),
        b"ey-" => is(before.ends_with(b"k") && behind.first().is_some_and(u8::is_ascii_hexdigit), TOKEN),
        b"-us" => is(behind.first().is_some_and(u8::is_ascii_digit), TOKEN),
        b":AA" => is(before.last().is_some_and(u8::is_ascii_digit), TOKEN),
        [b'i' | b'I', b's' | b'S', b'c' | b'C'] => is(follows(b"ord"), TOKEN),
        b"SFM" => is(behind.starts_with(b"yNTY."), TOKEN),
        b"LS0" => is(behind.starts_with(b"tLS1CRUdJTiB"), TOKEN),
        [b'$', ..] => TOKEN,
        b"kdf" => is(behind.starts_with(b"2"), TOKEN),
        b"SHA" => is(before.ends_with(b"{") || before.ends_with(b"{S"), TOKEN),
        [b'*', ..] => is(behind.get(..38).is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit)), TOKEN),
        [_, b't', b'-'] => is(before.iter().rev().take(6).any(|byte| *byte == b'g'), TOKEN),
        b"sk-" => is(behind.len() >= token::MIN_SK, TOKEN),
        b"---" => is(behind.starts_with(b"--BEGIN "), PEM),
        [_, b'-', b'-'] => {
            let is_user = behind.starts_with(b"user") || behind.starts_with(b"proxy-user");
            is(assignment::may_option(all, at), NAME) | is(is_user && phrase::is_near(behind), PHRASE)
        }
        _ => 0,
    }
}

/// As [`what_is_at`], of the shapes of names that have no sign behind them.
fn phrase_or_markup_at(all: &[u8], at: usize, bytes: [u8; 3]) -> u8 {
    let behind = all.get(at + 1..).unwrap_or_default();
    let before = all.get(..at.saturating_sub(2)).unwrap_or_default();
    let follows = |word: &[u8]| behind.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let is_markup = match &bytes {
        [_, b'<', b'/'] => markup::may_close(behind),
        [_, b'"' | b'\'', b','] => {
            phrase::is_near(behind) && markup::may_end(all.get(..at.saturating_sub(1)).unwrap_or_default())
        }
        [_, b'"' | b'\'', b'\r' | b'\n' | b'\\'] => {
            markup::may_end(all.get(..at.saturating_sub(1)).unwrap_or_default())
        }
        [b'%', b'3', _] => markup::may_end(before),
        _ => false,
    };
    if is_markup {
        return MARKUP;
    }
    let is_phrase = match bytes.map(|byte| byte.to_ascii_lowercase()) {
        [b's', b's', b'e'] => follows_on(before, b"pa"),
        // No digit is needed where somebody speaks of it.
        [b's', b's', b'w'] if follows_on(before, b"my pa") => return PHRASE,
        [b's', b's', b'w'] if follows(b"ort lautet ") => return PHRASE,
        [b's', b's', b'w' | b'p'] | [b'/', b'r', b'p'] | [b'c', b'v', b'v' | b'c'] => true,
        [b'n', b'n', b'w'] => follows(b"ort"),
        [b'n', b'h', b'a'] => follows_on(before, b"se"),
        [_, b'-', b'p'] if follows(b"assin ") || follows(b"assout ") => return PHRASE,
        [b'/', b'u', _] if follows(b"er:") => return PHRASE,
        [b'o', b'd', b'e'] => follows(b" is ") || follows(b": "),
        [b'i', b'n', b's'] => follows(b"ert ") && sql::may_begin(behind),
        [b'q', b'l', b'p'] => follows(b"lus"),
        [b'/' | b'g', b'p', b'a'] => follows(b"ss"),
        [b'k', b'e', b'n'] => follows_on(before, b"to"),
        [b'k', b'e', b'y'] => behind.starts_with(b" "),
        [b's', b'e', b'c'] => follows(b"ret"),
        [b'a', b'u', b't'] => behind.starts_with(b"H "),
        [b't', b'i', b'f'] => follows(b"ied "),
        [b'p', b'd', b'o'] => behind.starts_with(b"(") || behind.starts_with(b"->"),
        [b'q', b'l', b'i'] => before.ends_with(b"mys"),
        [b'e', 0xC3, 0xB1] => follows_on(before, b"contras"),
        [0xD1, 0x80, 0xD0] => behind.starts_with(b"\xBE\xD0\xBB"),
        [0xE3, 0x83, 0xAF] => behind.starts_with("ード".as_bytes()),
        [0xEB, 0xB2, 0x88] => behind.starts_with("호".as_bytes()),
        [first, _, _] => matches!(first, 0xE5 | 0xE7 | 0xE9) || bytes.get(1) == Some(&b'-'),
    };
    // Chinese names need nothing but a letter behind them.
    if is_phrase && (phrase::is_near(behind) || bytes.eq_ignore_ascii_case(b"ins") || !bytes.is_ascii()) {
        PHRASE
    } else {
        0
    }
}

/// True if the text ends with a word, in whatever case.
fn follows_on(before: &[u8], word: &[u8]) -> bool {
    let start = before.len().checked_sub(word.len());
    start.and_then(|start| before.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> u8 {
        suspicion(text, &ScrubRules::default(), Extent::All)
    }

    /// What begins as a secret of some kind.
    const BEGINNINGS: &[(&str, u8)] = &[
        ("password=hunter2", NAME),
        ("{\"api_key\": 1}", NAME),
        ("pw:x", NAME),
        ("run --password x", NAME),
        ("--token x", NAME),
        ("https://u:p@h", USER),
        ("BEARER abcdef", SCHEME),
        ("basic\tabcdef", SCHEME),
        ("-----BEGIN X", PEM),
        ("4111 1111 1111 1111", DIGITS),
        ("078-05-1120", DIGITS),
        ("NO93 8601 1117 947", DIGITS),
        ("eyJhbGciOi", TOKEN),
        ("AKIA01234567", TOKEN),
        ("ASIA01234567", TOKEN),
        ("AIza01234567", TOKEN),
        ("xoxb-1", TOKEN),
        ("xapp-1", TOKEN),
        ("SG.abc", TOKEN),
        ("ghp_a", TOKEN),
        ("gho_a", TOKEN),
        ("ghu_a", TOKEN),
        ("ghs_a", TOKEN),
        ("ghr_a", TOKEN),
        ("github_pat_a", TOKEN),
        ("sk_live_a", TOKEN),
        ("rk_test_a", TOKEN),
        ("whsec_a", TOKEN),
        ("npm_a", TOKEN),
        ("sntrys_a", TOKEN),
        ("sntryu_a", TOKEN),
        ("dop_v1_a", TOKEN),
        ("hf_a", TOKEN),
        ("glpat-a", TOKEN),
        ("sk-0123456789012345678901234", TOKEN),
        ("shpat_a", TOKEN),
        ("pypi-a", TOKEN),
        ("hvs.a", TOKEN),
        ("ya29.a", TOKEN),
        ("hooks.slack.com", TOKEN),
        ("/webhooks/1/a", TOKEN),
        ("/bot7:a", TOKEN),
        ("/hook/a", TOKEN),
        ("/webhook/send", TOKEN),
        ("/webhookb2/a", TOKEN),
        ("LTAIa", TOKEN),
        ("GOCSPX-a", TOKEN),
        ("1//0a", TOKEN),
        ("4%2F0a", TOKEN),
        ("ATATT3a", TOKEN),
        ("HRKU-a", TOKEN),
        ("PMAK-a", TOKEN),
        ("NRAK-a", TOKEN),
        ("EAA0123456789012345", TOKEN),
        ("dapi0", TOKEN),
        ("sq0atp-a", TOKEN),
        ("key-0a", TOKEN),
        ("a0-us1", TOKEN),
        ("1:AAa", TOKEN),
        ("Discord", TOKEN),
        ("SFMyNTY.a", TOKEN),
        ("LS0tLS1CRUdJTiBa", TOKEN),
        ("$2y$10$a", TOKEN),
        ("$argon2id$a", TOKEN),
        ("pbkdf2_sha256$a", TOKEN),
        ("scrypt:1", TOKEN),
        ("{SSHA}a", TOKEN),
        ("*0123456789ABCDEF0123456789ABCDEF01234567", TOKEN),
        ("gsk_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6", TOKEN),
        ("glrt-a", TOKEN),
        ("the Password is a1", PHRASE),
        ("passphrase 'a'", PHRASE),
        ("TOKEN a1", PHRASE),
        ("with key a1", PHRASE),
        ("aws_secret_access_key a1", PHRASE),
        ("AUTH a1", PHRASE),
        ("identified by 'a'", PHRASE),
        ("密码为abc", PHRASE),
        ("口令 abc", PHRASE),
        ("令牌 abc", PHRASE),
        ("私钥 abc", PHRASE),
        ("验证码 1234", PHRASE),
        (" -u a:b1", PHRASE),
        (" --user a:b1", PHRASE),
        ("\"-pabc1\"", PHRASE),
        (" -storepass a1", PHRASE),
        ("PDO('a', 'b', 'c')", PHRASE),
        ("mysqli_connect('a', 'b', 'c')", PHRASE),
        ("my password is a", PHRASE),
        ("Kennwort 'a'", PHRASE),
        ("mot de passe a1", PHRASE),
        ("senha a1", PHRASE),
        ("contraseña a", PHRASE),
        ("пароль a", PHRASE),
        ("パスワードはa", PHRASE),
        ("비밀번호 a", PHRASE),
        ("/user:a b", PHRASE),
        ("/rp a1", PHRASE),
        ("sqlplus a/b1@c", PHRASE),
        ("pgpass a1", PHRASE),
        ("code is 1", PHRASE),
        ("cvv 123", PHRASE),
        ("insert into a (b) values ('c')", PHRASE),
        ("a</password>", MARKUP),
        ("('password', 'a')", MARKUP),
        ("password%3da", MARKUP),
        ("name=\"password\"\r\n\r\na", MARKUP),
    ];

    #[test]
    fn what_may_be_a_secret_is_noticed_wherever_it_stands() {
        for (text, kind) in BEGINNINGS {
            for before in ["", "x ", "ä", "a=b:c @-- "] {
                let text = format!("{before}{text}");
                assert_ne!(of(&text) & kind, 0, "{text}");
            }
        }
    }

    #[test]
    fn ordinary_texts_raise_no_suspicion() {
        for text in [
            "",
            "GET https://example.com/a/b?c=1",
            "at 2026-11-20T14:31:34.927760Z on host-12",
            "the best was based on beats; was it?",
            "for user in users: print(user.task_type, user.is_last_page)",
            "9ec79c33-ec99-42ab-8353-589fcb2e04dc",
            "0x7f578069ae01 0x7f578069ae02",
            "use -x and --verbose",
        ] {
            assert_eq!(of(text), 0, "{text}");
        }
    }

    #[test]
    fn without_the_built_in_names_only_ones_own_count() {
        let rules = ScrubRules::default().without_defaults().with_sensitive(["shoe"]);
        assert_eq!(suspicion("shoe=1 4111111111111111 eyJhbGciOi", &rules, Extent::All), NAME);
        assert_eq!(suspicion("shoe=1 4111111111111111 eyJhbGciOi", &rules, Extent::Source), NAME);
        assert_eq!(
            suspicion("4111111111111111 my password is a1 eyJhbGci", &ScrubRules::default(), Extent::Source),
            TOKEN
        );
    }
}
