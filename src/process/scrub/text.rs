//! Secrets in a text: one pass tells whether anything looks suspicious, and only then the finders read it.

use std::ops::Range;
use std::sync::LazyLock;

use super::rules::ScrubRules;
use super::{FILTERED, address, assignment, number, token};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value of a name (`password=…`).
    Named,
    /// A token of a known form.
    Token,
    /// What follows `Bearer`.
    Bearer,
    /// What follows `Basic`.
    Basic,
    /// The body of a private key.
    PrivateKey,
    /// The password in an address.
    UrlPassword,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// A social security number of the USA.
    Ssn,
}

impl Kind {
    /// What stands in its place. People read messages, so there it says what was taken out.
    fn replacement(self, style: Style) -> &'static str {
        match (style, self) {
            (Style::Labelled, Self::Card) => "[creditcard]",
            (Style::Labelled, Self::Iban) => "[iban]",
            (Style::Labelled, Self::Ssn) => "[usssn]",
            (Style::Labelled, Self::Bearer) => "[bearer]",
            _ => FILTERED,
        }
    }

    /// The name of the rule in a remark.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Named => "@password",
            Self::Token => "@token",
            Self::Bearer => "@bearer",
            Self::Basic => "@basicauth",
            Self::PrivateKey => "@pemkey",
            Self::UrlPassword => "@urlauth",
            Self::Card => "@creditcard",
            Self::Iban => "@iban",
            Self::Ssn => "@usssn",
        }
    }
}

/// Every text that stands in the place of a secret, here or in other scrubbers.
pub(super) const MARKS: [&str; 10] = [
    "[Filtered]",
    "[FILTERED]",
    "[filtered]",
    "[creditcard]",
    "[iban]",
    "[usssn]",
    "[bearer]",
    "[ip]",
    "[REDACTED]",
    "[Redacted]",
];

/// How a text is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `[Filtered]` for everything.
    Plain,
    /// What has a label gets it.
    Labelled,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    All,
    /// Tokens only: in source code, where names are followed by variables.
    Tokens,
}

/// A place in a text that is not to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// In bytes; at characters' boundaries.
    pub(super) range: Range<usize>,
    /// What is there.
    pub(super) kind: Kind,
}

/// What is taken out may have kept something beside it from being seen; a text settles in fewer rounds.
const MAX_ROUNDS: usize = 4;

/// The text without its secrets and the first kind of what was found; `None` if it is ordinary.
pub(super) fn scrub(text: &str, rules: &ScrubRules, style: Style, extent: Extent) -> Option<(String, Kind)> {
    let (mut scrubbed, kind) = scrub_once(text, rules, style, extent)?;
    for _ in 1..MAX_ROUNDS {
        let Some((settled, _)) = scrub_once(&scrubbed, rules, style, extent) else { break };
        scrubbed = settled;
    }
    Some((scrubbed, kind))
}

fn scrub_once(text: &str, rules: &ScrubRules, style: Style, extent: Extent) -> Option<(String, Kind)> {
    let suspicion = suspicion(text, rules, extent);
    if suspicion == 0 {
        return None;
    }
    let mut found = Vec::new();
    if suspicion & NAME != 0 {
        assignment::find(text, rules, &mut found);
    }
    if suspicion & TOKEN != 0 {
        token::find_tokens(text, &mut found);
    }
    if suspicion & SCHEME != 0 {
        token::find_schemes(text, &mut found);
    }
    if suspicion & PEM != 0 {
        token::find_private_keys(text, &mut found);
    }
    if suspicion & USER != 0 {
        address::find_passwords(text, &mut found);
    }
    if suspicion & DIGITS != 0 {
        number::find(text, &mut found);
    }
    rewrite(text, found, style)
}

fn rewrite(text: &str, mut found: Vec<Finding>, style: Style) -> Option<(String, Kind)> {
    // The widest first among those that begin together.
    found.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
    let first = found.first()?.kind;
    let mut out = String::with_capacity(text.len() + FILTERED.len());
    let mut end = 0;
    for Finding { range, kind } in found {
        if range.start >= end {
            out.push_str(text.get(end..range.start)?);
            out.push_str(kind.replacement(style));
        }
        // One that reaches out of the one before loses its rest, too.
        end = end.max(range.end);
    }
    out.push_str(text.get(end..)?);
    (out != text).then_some((out, first))
}

/// A name of a secret before `=` or `:`.
const NAME: u8 = 1;
/// The beginning of a token.
const TOKEN: u8 = 2;
/// `Bearer ` or `Basic `.
const SCHEME: u8 = 4;
/// The beginning of a block in PEM form.
const PEM: u8 = 8;
/// An `@` in what has an address.
const USER: u8 = 16;
/// As many digits as the shortest number has.
const DIGITS: u8 = 32;

/// Digits of a social security number, and of the shortest account number in ours.
const MIN_DIGITS: usize = 9;

/// Which kinds of trigger a byte is, as the bits above.
static TRIGGERS: LazyLock<[u8; 256]> =
    LazyLock::new(|| std::array::from_fn(|value| u8::try_from(value).map_or(0, trigger)));

fn trigger(byte: u8) -> u8 {
    match byte {
        b'=' | b':' => NAME,
        b'@' => USER,
        b'0'..=b'9' => DIGITS,
        b'J' | b'A' | b'G' | b'_' | b'x' => TOKEN,
        b'b' | b'B' => SCHEME,
        b'-' => TOKEN | PEM,
        _ => 0,
    }
}

/// What the finders have to look for: one pass, in which most bytes cost a table's look-up.
fn suspicion(text: &str, rules: &ScrubRules, extent: Extent) -> u8 {
    let wanted = match (extent, rules.has_defaults()) {
        (Extent::Tokens, true) => TOKEN | SCHEME,
        (Extent::Tokens, false) => 0,
        (Extent::All, true) => NAME | TOKEN | SCHEME | PEM | USER | DIGITS,
        (Extent::All, false) => NAME,
    };
    if wanted == 0 {
        return 0;
    }
    let triggers = &*TRIGGERS;
    let bytes = text.as_bytes();
    let mut found = 0;
    let mut digits = 0_usize;
    for (at, &byte) in bytes.iter().enumerate() {
        let kind = triggers.get(usize::from(byte)).copied().unwrap_or_default() & wanted;
        if kind == 0 {
            continue;
        }
        if kind == DIGITS {
            digits += 1;
        } else if kind == USER {
            found |= USER;
        } else if kind == NAME {
            if found & NAME == 0 && assignment::may_name(text, at, rules) {
                found |= NAME;
            }
        } else {
            found |= opening(bytes, at, byte) & wanted;
        }
    }
    if digits >= MIN_DIGITS {
        found |= DIGITS;
    }
    if found & USER != 0 && !text.contains("://") {
        found &= !USER;
    }
    found
}

/// What begins around this byte, if anything does.
fn opening(bytes: &[u8], at: usize, byte: u8) -> u8 {
    let before = bytes.get(..at).unwrap_or_default();
    let behind = bytes.get(at + 1..).unwrap_or_default();
    let is = |found: bool, kind: u8| if found { kind } else { 0 };
    let follows = |word: &[u8]| behind.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match byte {
        b'J' => is(before.ends_with(b"ey"), TOKEN),
        b'A' => is([&b"KIA"[..], b"SIA", b"Iza"].iter().any(|rest| behind.starts_with(rest)), TOKEN),
        b'x' => is(behind.starts_with(b"ox") || behind.starts_with(b"app-"), TOKEN),
        b'G' => is(before.ends_with(b"S") && behind.starts_with(b"."), TOKEN),
        b'_' => is(token::is_underscored(before), TOKEN),
        b'-' if behind.starts_with(b"----BEGIN ") => PEM,
        b'-' if assignment::may_option(bytes, at) => NAME,
        b'-' => is(before.ends_with(b"glpat") || (before.ends_with(b"sk") && behind.len() >= 20), TOKEN),
        b'b' | b'B' => is(follows(b"earer ") || follows(b"asic "), SCHEME),
        _ => 0,
    }
}
