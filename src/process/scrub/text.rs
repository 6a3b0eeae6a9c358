//! Secrets in a text: one pass tells whether anything looks suspicious, and only then the finders read it.

use std::ops::Range;

use super::rules::ScrubRules;
use super::suspicion::{DIGITS, MARKUP, NAME, PEM, PHRASE, SCHEME, TOKEN, USER, suspicion};
use super::{FILTERED, address, assignment, command, markup, number, phrase, sql, token};

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
pub(super) const MARKS: [&str; 11] = [
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
    "[redacted]",
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
    /// Tokens, and what is written out: in source code, where names are followed by variables.
    Source,
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
        assignment::find(text, rules, extent, &mut found);
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
        if extent == Extent::All {
            address::find_bare_passwords(text, &mut found);
        }
    }
    if suspicion & DIGITS != 0 {
        number::find(text, &mut found);
    }
    if suspicion & PHRASE != 0 {
        command::find(text, &mut found);
        if extent == Extent::All {
            phrase::find(text, &mut found);
            sql::find(text, rules, &mut found);
        }
    }
    if suspicion & MARKUP != 0 {
        markup::find_pairs(text, rules, &mut found);
        if extent == Extent::All {
            markup::find(text, rules, &mut found);
        }
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
