//! One pass that tells what a text may hold, so that the finders read only what looks suspicious.
//!
//! Three neighbouring bytes decide whether to look closer: each byte stands for the kinds that have it at its place,
//! and what all three agree on may begin there. Almost no place of an ordinary text gets that far, so the loop hardly
//! ever branches otherwise than the processor expects.

use std::sync::LazyLock;

use super::rules::ScrubRules;
use super::text::Extent;
use super::{assignment, markup, number, phrase, token};

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

/// Three sets of bytes, one for each of three neighbouring places.
struct Shape {
    first: &'static [u8],
    second: &'static [u8],
    third: &'static [u8],
}

/// Any byte.
const ANY: &[u8] = &[];

/// What a name may end with, or what closes it, before a sign.
const NAME_END: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]\"'\\` \t";

const fn shape(first: &'static [u8], second: &'static [u8], third: &'static [u8]) -> Shape {
    Shape { first, second, third }
}

/// No more than [`Shapes`] has bits. A shape takes in more than it is for; [`what_is_at`] looks at what is really there.
const SHAPES: [Shape; 25] = [
    shape(ANY, NAME_END, b"=:"),
    shape(ANY, ANY, b"@"),
    // `bea`rer, `bas`ic, `whs`ec_
    shape(b"bBw", b"eEaAh", b"aAsS"),
    // `ghp_` and its kin, `npm_`, `dop_v1_`, `hf_`
    shape(b"hpv", b"pousrfm1", b"_"),
    // `sk_live_`, `rk_test_`, `github_pat_`
    shape(b"kb", b"_", b"ltp"),
    // `sntrys_`, `sntryu_`
    shape(b"r", b"y", b"su"),
    // `eyJ`, `AKIA`, `ASIA`, `AIza`, `xox`, `xapp-`, `SG.`
    shape(b"eAxS", b"yKSIoaG", b"JIzxp."),
    // `glpat-`, `sk-`, `-----BEGIN`, `--option`
    shape(ANY, b"tk-", b"-"),
    // pa`ssw`ord, pa`ssp`hrase, to`ken`, `key`, `sec`ret, `AUT`H, iden`tif`ied
    shape(b"sS", b"sS", b"wWpP"),
    shape(b"kK", b"eE", b"nN"),
    shape(b"kK", b"eE", b"yY"),
    shape(b"sS", b"eE", b"cC"),
    shape(b"A", b"U", b"T"),
    shape(b"tT", b"iI", b"fF"),
    // The first characters of 密码 and 验证码, the last ones of 口令, 令牌 and 私钥
    shape(b"\xE5\xE7\xE9", b"\xAF\x8F\x89\xAA\x92", b"\x86\xA3\x8C\xA5"),
    // `-u`, `-p`, `-a`, `-w`, `-storepass`, `-keypass`
    shape(b" \"',[(\n", b"-", b"upawsk"),
    // `PDO(`, `mysqli(`
    shape(b"Pq", b"Dl", b"Oi"),
    // `</password>`, `"password", `, `password%3D`
    shape(ANY, b"<", b"/"),
    shape(NAME_END, b"\"'", b","),
    shape(b"%", b"3", b"dD"),
    // `shpat_`, `pypi-`, `hvs.` and `ya29.`, `hooks.` and `webhooks/`, `/bot7:`
    shape(b"s", b"h", b"p"),
    shape(b"y", b"p", b"i"),
    shape(b"va", b"s2", b".9"),
    shape(b"o", b"k", b"s"),
    shape(b"/", b"b", b"o"),
];

/// A bit for each of [`SHAPES`].
type Shapes = u32;

const NAMES: Shapes = 1;
const USERS: Shapes = 2;
/// Those of [`PHRASE`], and those of [`MARKUP`].
const PHRASES: Shapes = 0x1FF << 8;
const MARKUPS: Shapes = 0b111 << 17;

/// Of each byte, the shapes that have it first, second and third, as bits.
static PLACES: LazyLock<[[Shapes; 256]; 3]> =
    LazyLock::new(|| [place(|shape| shape.first), place(|shape| shape.second), place(|shape| shape.third)]);

fn place(bytes_of: fn(&Shape) -> &'static [u8]) -> [Shapes; 256] {
    let mut place = [0; 256];
    for (number, shape) in SHAPES.iter().enumerate() {
        let bytes = bytes_of(shape);
        for (byte, shapes) in (0..=u8::MAX).zip(place.iter_mut()) {
            if bytes.is_empty() || bytes.contains(&byte) {
                *shapes |= 1 << number;
            }
        }
    }
    place
}

/// What the finders have to look for in the text.
pub(super) fn suspicion(text: &str, rules: &ScrubRules, extent: Extent) -> u8 {
    let bytes = text.as_bytes();
    let defaults = if rules.has_defaults() { !NAMES } else { 0 };
    let shapes = match extent {
        Extent::Tokens if bytes.len() < MIN_TOKEN => 0,
        Extent::Tokens => defaults & !(USERS | PHRASES | MARKUPS),
        Extent::All => defaults | NAMES,
    };
    if shapes == 0 {
        return 0;
    }
    let mut found = scan(text, shapes, rules);
    if extent == Extent::Tokens {
        return found & (TOKEN | SCHEME);
    }
    if found & USER != 0 && !text.contains(':') {
        found &= !USER;
    }
    if rules.has_defaults() && number::may_find(bytes) {
        found |= DIGITS;
    }
    found
}

fn scan(text: &str, shapes: Shapes, rules: &ScrubRules) -> u8 {
    let [firsts, seconds, thirds] = &*PLACES;
    let of = |place: &[Shapes; 256], byte: u8| place.get(usize::from(byte)).copied().unwrap_or_default();
    let mut found = 0;
    // What was found already is not looked for again.
    let mut wanted = shapes;
    let (mut first, mut second) = (0, 0);
    for (at, third) in text.bytes().enumerate() {
        let agreed = of(firsts, first) & of(seconds, second) & of(thirds, third) & wanted;
        if agreed != 0 {
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
    if agreed & (PHRASES | MARKUPS) != 0 {
        return phrase_or_markup_at(text.as_bytes(), at, bytes);
    }
    let all = text.as_bytes();
    let behind = all.get(at + 1..).unwrap_or_default();
    let before = all.get(..at.saturating_sub(2)).unwrap_or_default();
    let is = |found: bool, kind: u8| if found { kind } else { 0 };
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
        [b'r', b'y', _] => is(before.ends_with(b"snt") && behind.starts_with(b"_"), TOKEN),
        b"eyJ" | b"AKI" | b"ASI" | b"AIz" | b"xox" | b"SG." | b"hf_" => TOKEN,
        b"xap" => is(behind.starts_with(b"p-"), TOKEN),
        b"shp" => is(behind.get(2) == Some(&b'_'), TOKEN),
        b"ypi" => is(before.ends_with(b"p") && behind.starts_with(b"-"), TOKEN),
        b"vs." => is(before.ends_with(b"h"), TOKEN),
        b"a29" => is(before.ends_with(b"y") && behind.starts_with(b"."), TOKEN),
        b"oks" => is(before.ends_with(b"ho") && behind.first().is_some_and(|b| matches!(b, b'.' | b'/')), TOKEN),
        b"/bo" => is(behind.starts_with(b"t") && behind.get(1).is_some_and(u8::is_ascii_digit), TOKEN),
        b"at-" => is(before.ends_with(b"glp"), TOKEN),
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
        [b'%', b'3', _] => markup::may_end(before),
        _ => false,
    };
    if is_markup {
        return MARKUP;
    }
    let is_phrase = match bytes.map(|byte| byte.to_ascii_lowercase()) {
        [b's', b's', _] => true,
        [b'k', b'e', b'n'] => before.last_chunk::<2>().is_some_and(|start| start.eq_ignore_ascii_case(b"to")),
        [b'k', b'e', b'y'] => behind.starts_with(b" "),
        [b's', b'e', b'c'] => follows(b"ret"),
        [b'a', b'u', b't'] => behind.starts_with(b"H "),
        [b't', b'i', b'f'] => follows(b"ied "),
        [b'p', b'd', b'o'] => behind.starts_with(b"(") || behind.starts_with(b"->"),
        [b'q', b'l', b'i'] => before.ends_with(b"mys"),
        [first, _, _] => !first.is_ascii() || bytes.get(1) == Some(&b'-'),
    };
    // Chinese names need nothing but a letter behind them.
    if is_phrase && (phrase::is_near(behind) || !bytes.is_ascii()) { PHRASE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> u8 {
        suspicion(text, &ScrubRules::default(), Extent::All)
    }

    #[test]
    fn what_may_be_a_secret_is_noticed_wherever_it_stands() {
        for (text, kind) in [
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
            ("a</password>", MARKUP),
            ("('password', 'a')", MARKUP),
            ("password%3da", MARKUP),
        ] {
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
        assert_eq!(suspicion("shoe=1 4111111111111111 eyJhbGciOi", &rules, Extent::Tokens), 0);
        assert_eq!(suspicion("password=1 eyJhbGciOiJIUzI1NiJ9", &ScrubRules::default(), Extent::Tokens), TOKEN);
    }
}
