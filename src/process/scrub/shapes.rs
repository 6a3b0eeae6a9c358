//! What three neighbouring bytes may be the beginning, or the middle, of.

use std::sync::LazyLock;

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

/// No more than [`Shapes`] has bits. A shape takes in more than it is for; `suspicion` looks at what is really
/// there.
const SHAPES: [Shape; 51] = [
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
    shape(b" \"',[(\n", b"-", b"upawskUPAXN"),
    // `PDO(`, `mysqli(`
    shape(b"Pq", b"Dl", b"Oi"),
    // `/user:`, `/rp`, `/pass`; `sqlplus`; `.pgpass`
    shape(b"/", b"uUrRpP", b"sSpPaA"),
    shape(b"qg", b"lp", b"pa"),
    // Ke`nnw`ort, mot de pa`sse`, se`nha`
    shape(b"nNsS", b"nNsShH", b"wWeEaA"),
    // Parts of contras`eñ`a, па`ро`ль, パス`ワ`ード and 비밀`번`호
    shape(b"e\xD1\xE3\xEB", b"\xC3\x80\x83\xB2", b"\xB1\xD0\xAF\x88"),
    // verification c`ode` is, `cvv`, `INS`ERT, P`ASS`WORD
    shape(b"oc", b"dv", b"evc"),
    shape(b"iI", b"nN", b"sS"),
    // `</password>`, `"password", `, a field of a form, `password%3D`
    shape(ANY, b"<", b"/"),
    shape(NAME_END, b"\"'", b","),
    shape(NAME_END, b"\"'", b"\r\n\\"),
    shape(b"%", b"3", b"dD"),
    // `shpat_`, `pypi-`, `hvs.` and `ya29.`, `hooks.` and `webhooks/`, `/bot7:`
    shape(b"s", b"h", b"p"),
    shape(b"y", b"p", b"i"),
    shape(b"va", b"s2", b".9"),
    shape(b"o", b"k", b"s"),
    shape(b"/", b"b", b"o"),
    // `LTAI`, `GOCSPX-`, `1//0`, `4/0`, `4%2F0`, `ATATT3`, `HRKU-`, `PMAK-`, `NRAK-`, `EAA`, `dapi`, `sq0`
    shape(b"LGAHPNE", b"TORMA", b"ACK"),
    shape(b"1", b"/", b"/"),
    shape(b"4", b"/%", b"02"),
    shape(b"ds", b"aq", b"p0"),
    // `key-`, `-us1`, `:AA`, `Discord`
    shape(b"e", b"y", b"-"),
    shape(b"-", b"u", b"s"),
    shape(b":", b"A", b"A"),
    shape(b"iI", b"sS", b"cC"),
    // `SFMyNTY.`, `LS0tLS1CRUdJTiB`
    shape(b"SL", b"FS", b"M0"),
    // `$2y$`, `$6$`, `$apr1$`, `$argon2id$`, `$scrypt$`, `$pbkdf2$`, `$sha1$`, `$md5$`
    shape(b"$", b"2156yaspm", b"$abxyprchd"),
    // `pbkdf2_`, `scrypt:`, `{SSHA}`, `*94BD…`
    shape(b"k", b"d", b"f"),
    shape(b"r", b"y", b"p"),
    shape(b"S", b"H", b"A"),
    shape(b"*", b"0123456789ABCDEF", b"0123456789ABCDEF"),
    // A digit between letters of both cases, or before them: names have none, tokens of unknown form have many.
    shape(LOWER, DIGIT, UPPER),
    shape(UPPER, DIGIT, LOWER),
    shape(DIGIT, UPPER, LOWER),
    shape(LOWER, UPPER, DIGIT),
    // `/hook/`, `/webhookb2/`
    shape(b"o", b"k", b"/b"),
];

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGIT: &[u8] = b"0123456789";

/// A bit for each of [`SHAPES`].
pub(super) type Shapes = u64;

pub(super) const NAMES: Shapes = 1;
pub(super) const USERS: Shapes = 2;
/// Those of [`PHRASE`], and those of [`MARKUP`].
pub(super) const PHRASES: Shapes = 0x7FFF << 8;
pub(super) const MARKUPS: Shapes = 0b1111 << 23;
/// Of those, the ones that are looked for in source code: options of programs and calls, and pairs.
pub(super) const OF_SOURCE: Shapes = 0b1111 << 15 | 1 << 24;

/// Of each byte, the shapes that have it first, second and third, as bits.
pub(super) static PLACES: LazyLock<[[Shapes; 256]; 3]> =
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
