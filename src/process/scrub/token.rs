//! Tokens that are known by their form, credentials behind the name of their scheme, and private keys.

use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

use super::FILTERED;
use super::content::is_parameter;
use super::text::{Finding, Kind};

/// Bytes of the shortest key that begins with `sk-`, without that.
pub(super) const MIN_SK: usize = 20;

/// Forms that nothing but a token has. Lengths are a little below the issuers', since they have changed before.
const FORMS: [&str; 27] = [
    // JSON web tokens, signed or encrypted: the header is an object, so its first letters are always these.
    r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}",
    // Amazon Web Services: access key ids, lasting and temporary; those of Aliyun and Tencent Cloud.
    r"A[KS]IA[A-Z0-9]{16}(?-u:\b)",
    r"(?:LTAI[A-Za-z0-9]{12,30}|AKID[A-Za-z0-9]{28,})(?-u:\b)",
    // GitHub.
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    // Slack.
    r"xox[a-z]-[A-Za-z0-9-]{10,}",
    r"xapp-[A-Za-z0-9-]{10,}",
    // Stripe: secret and restricted keys, secrets of webhooks.
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"whsec_[A-Za-z0-9+/=]{16,}",
    // Google: keys, secrets of clients, codes, refresh tokens.
    r"AIza[A-Za-z0-9_-]{30,}",
    r"GOCSPX-[A-Za-z0-9_-]{20,}",
    r"(?:4(?:/|%2F)0[A-Za-z0-9_-]{30,}|1//0[A-Za-z0-9_-]{30,})",
    // GitLab, npm.
    r"gl(?:pat|ptt|rt|dt|soat|ft|imt|agent|oas)-[A-Za-z0-9_-]{16,}",
    r"npm_[A-Za-z0-9]{30,}",
    // Model providers.
    r"(?:sk-(?:[a-z0-9]{2,12}-)?[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,})",
    // Sentry's and ours, DigitalOcean.
    r"(?:sntry[su]_[A-Za-z0-9+/=_-]{20,}|dop_v1_[a-f0-9]{32,})",
    // SendGrid.
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    // Shopify, PyPI.
    r"(?:shp[a-z]{2}_[a-fA-F0-9]{24,}|pypi-[A-Za-z0-9_-]{40,})",
    // HashiCorp Vault, access tokens of Google.
    r"(?:hvs\.[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,})",
    // Discord's bots, Mailgun, Mailchimp, Telegram's bots.
    r"[MNO][A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,}",
    r"(?:key-[a-f0-9]{32}|[a-f0-9]{32}-us[0-9]{1,2})(?-u:\b)",
    r"[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}",
    // Atlassian, Heroku, Postman, New Relic, Databricks, Meta and Square.
    r"ATATT3[A-Za-z0-9_=-]{30,}|HRKU-[A-Za-z0-9_-]{30,}|PMAK-[a-f0-9-]{40,}|NR(?:AK|JS)-[A-Za-z0-9]{20,}",
    r"dapi[a-f0-9]{32}(?-u:\b)|EAA[A-Za-z0-9_-]{40,}|sq0[a-z]{3}-[A-Za-z0-9_-]{20,}|sbp_[a-f0-9]{40}",
    // Streams of Twitch; sessions of Phoenix; private keys in base64, as clusters have them.
    r"live_[0-9]{6,12}_[A-Za-z0-9]{20,}|SFMyNTY\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    r"LS0tLS1CRUdJTiB(?:SU0Eg|QUklWQVRF|FQyB|PUEVOU1NI|FTkNSWVBURUQg|EU0Eg)[A-Za-z0-9+/=]{20,}",
    // Hashes of passwords: Django's and Werkzeug's.
    r"(?:pbkdf2[_:]sha[0-9]{1,3}(?::[0-9]+)?|scrypt:[0-9]+:[0-9]+:[0-9]+)\$[A-Za-z0-9+/=$.]{20,}",
];

/// Hashes of passwords, none of which begins with a letter: those of crypt, LDAP and MySQL.
const HASHES: &str = concat!(
    r"\$2[abxy]?\$[0-9]{2}\$[A-Za-z0-9./]{50,53}|\$(?:[156y]|apr1|sha1|md5)\$[A-Za-z0-9./$=,]{20,}",
    r"|\$(?:argon2(?:id?|d)|scrypt|pbkdf2(?:-sha[0-9]{1,3})?)\$[A-Za-z0-9./$=,+_-]{30,}",
    r"|\{S?SHA(?:256|512)?\}[A-Za-z0-9+/=]{20,}|\*[A-F0-9]{40}",
);

/// Bytes of what follows the issuer's name and a `_` in a token of unknown form.
pub(super) const MIN_PREFIXED: usize = 32;
/// Bytes of that name.
const MAX_ISSUER: usize = 16;

// A test sees to it that these compile.
static TOKENS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?-u:\b)(?:{})|{HASHES}", FORMS.join("|"))).ok());
static SCHEMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?-u:\b)(bearer|basic)[ \t]+([A-Za-z0-9._~+/=-]{6,})").ok());

/// Addresses whose path is the secret: incoming webhooks of Slack, Discord, Feishu, WeCom and Teams, and Telegram's bots.
static HOOKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:hooks\.slack\.com/services/|/api/webhooks/[0-9]{1,24}/|/bot[0-9]{6,12}:|/bot/(?:v[0-9]/)?hook/",
        r"|/webhook/send\?key=|/webhookb2/|hooks\.zapier\.com/hooks/catch/)",
        r"([A-Za-z0-9_/@-]{16,})",
    ))
    .ok()
});

pub(super) fn find_tokens(text: &str, found: &mut Vec<Finding>) {
    let hooks = HOOKS.iter().flat_map(|hooks| hooks.captures_iter(text));
    found.extend(hooks.filter_map(|hook| hook.get(1)).map(|path| Finding { range: path.range(), kind: Kind::Token }));
    find_prefixed(text, found);
    let Some(tokens) = TOKENS.as_ref() else { return };
    found.extend(
        tokens
            .find_iter(text)
            .filter(|token| is_token(token.as_str(), text.get(..token.start()).unwrap_or_default()))
            .map(|token| Finding { range: token.range(), kind: Kind::Token }),
    );
}

/// False for the few things that begin like a token: words, paths, and keys of caches.
fn is_token(token: &str, before: &str) -> bool {
    match token.as_bytes() {
        [b's', b'k', b'-', ..] => token.bytes().any(|byte| byte.is_ascii_digit()),
        [b'k', b'e', b'y', ..] => !before.ends_with(['-', '_', '/', '.']),
        [b'4', ..] if !token.contains("-us") => token.bytes().any(|byte| byte.is_ascii_uppercase()),
        _ => true,
    }
}

/// Tokens that begin as most issuers' do today, with a short name of theirs and `_`: `gsk_…`, `lin_api_…`, `r8_…`.
fn find_prefixed(text: &str, found: &mut Vec<Finding>) {
    let mut end = 0;
    while let Some(rest) = text.get(end..)
        && let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric())
    {
        let start = end + begin;
        let word = text.get(start..).unwrap_or_default();
        let length = word.bytes().take_while(|byte| is_of_token(*byte)).count();
        end = start + length;
        let word = word.get(..length).unwrap_or_default();
        let Some((issuer, body)) = word.split_once('_') else { continue };
        let is_name = issuer.len() <= MAX_ISSUER
            && issuer.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && issuer.len() > 1;
        if is_name && is_scrambled(body) {
            found.push(Finding { range: start..end, kind: Kind::Token });
        }
    }
}

/// A byte that issuers use.
pub(super) fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Bytes at the end that may be of a token, as far as it matters.
pub(super) fn length_before(before: &[u8]) -> usize {
    before.iter().rev().take(MIN_PREFIXED).take_while(|byte| is_of_token(**byte)).count()
}

/// True if the kinds of letters and digits change as they only do by chance: in names, capitals begin words, and digits
/// stand together.
fn is_scrambled(body: &str) -> bool {
    #[derive(PartialEq, Eq, Clone, Copy)]
    enum Class {
        Lower,
        Upper,
        Digit,
        Sign,
    }
    let class = |byte: u8| match byte {
        b'a'..=b'z' => Class::Lower,
        b'A'..=b'Z' => Class::Upper,
        b'0'..=b'9' => Class::Digit,
        _ => Class::Sign,
    };
    let (mut changes, mut numbers) = (0, 0);
    let mut before = Class::Sign;
    for class in body.bytes().map(class) {
        changes += usize::from(class != before);
        numbers += usize::from(class == Class::Digit && before != Class::Digit);
        before = class;
    }
    body.len() >= MIN_PREFIXED
        && numbers >= 3
        && changes * 20 >= body.len() * 9
        && body.bytes().any(|byte| byte.is_ascii_uppercase())
        && body.bytes().any(|byte| byte.is_ascii_lowercase())
}

pub(super) fn find_schemes(text: &str, found: &mut Vec<Finding>) {
    let Some(schemes) = SCHEMES.as_ref() else { return };
    for captures in schemes.captures_iter(text) {
        let (Some(scheme), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        let kind = if scheme.as_str().eq_ignore_ascii_case("bearer") { Kind::Bearer } else { Kind::Basic };
        let is_secret = match kind {
            Kind::Basic => is_user_and_password(value.as_str()) || is_made(value.as_str(), 16),
            _ => is_made(value.as_str(), 6) || value.len() >= 20,
        };
        // `token_type=bearer expires_in=3600`
        let is_pair = value.as_str().trim_end_matches('=').contains('=');
        if is_secret && !is_pair && !is_parameter(value.as_str()) {
            found.push(Finding { range: value.range(), kind });
        }
    }
}

/// `user:password` in base64, as the scheme wants it.
fn is_user_and_password(value: &str) -> bool {
    let value = value.trim_end_matches('=');
    let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(value);
    decoded.is_ok_and(|bytes| bytes.contains(&b':') && std::str::from_utf8(&bytes).is_ok())
}

/// Not a word of a sentence: digits, capitals inside, or signs inside.
fn is_made(value: &str, least: usize) -> bool {
    let value = value.trim_end_matches(['.', '-', '/', '=']);
    let inside = value.as_bytes().get(1..).unwrap_or_default();
    let has_lower = value.bytes().any(|byte| byte.is_ascii_lowercase());
    value.len() >= least
        && (value.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'+' | b'=' | b'~'))
            || (has_lower && inside.iter().any(u8::is_ascii_uppercase))
            || inside.contains(&b'.')
            || (value.len() >= 12 && inside.contains(&b'-')))
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// More than any kind of key has in its name.
const MAX_KEY_NAME: usize = 64;

/// The bodies of private keys, line breaks left in place; one that was cut off reaches to the end.
pub(super) fn find_private_keys(text: &str, found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(begin) = rest.find(BEGIN)
    {
        let name = at + begin + BEGIN.len();
        at = name;
        let behind = text.get(name..).unwrap_or_default();
        let head = behind.get(..behind.floor_char_boundary(MAX_KEY_NAME)).unwrap_or(behind);
        let Some(length) = head.find(DASHES) else { continue };
        if !head.get(..length).unwrap_or_default().contains("PRIVATE KEY") {
            continue;
        }
        let start = name + length + DASHES.len();
        let body = text.get(start..).unwrap_or_default();
        let end = body.find(END).unwrap_or(body.len());
        let body = body.get(..end).unwrap_or_default();
        // A line break may be written out.
        let lead = if body.starts_with("\\n") { 2 } else { body.len() - body.trim_start().len() };
        let inner = body.get(lead..).unwrap_or_default();
        let inner = inner.strip_suffix("\\n").unwrap_or_else(|| inner.trim_end());
        at = start + end;
        if inner != FILTERED && inner.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            found.push(Finding { range: start + lead..start + lead + inner.len(), kind: Kind::PrivateKey });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_compile() {
        assert!(TOKENS.is_some() && SCHEMES.is_some() && HOOKS.is_some());
    }

    #[test]
    fn credentials_are_told_from_sentences() {
        for (text, is_secret) in [
            ("Basic dXNlcjpwYXNz", true),
            ("basic auth is not enabled", false),
            ("Basic authentication required", false),
            ("Bearer abc123def", true),
            ("bearer token is missing", false),
            ("Bearer realm=\"x\"", false),
            ("Bearer authentication failed.", false),
            ("token_type=bearer expires_in=3600", false),
            ("Bearer a.b.c.d", true),
        ] {
            let mut found = Vec::new();
            find_schemes(text, &mut found);
            assert_eq!(found.len(), usize::from(is_secret), "{text}");
        }
    }

    #[test]
    fn bodies_of_private_keys_are_found_without_their_markers() {
        for (text, body) in [
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----", Some("MIIE\nabcd")),
            ("k: -----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----", Some("MIIE")),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ", Some("lQ")),
            ("-----BEGIN PRIVATE KEY-----\n[Filtered]\n-----END PRIVATE KEY-----", None),
            ("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", None),
            ("-----BEGIN PRIVATE KEY-----", None),
        ] {
            let mut found = Vec::new();
            find_private_keys(text, &mut found);
            assert_eq!(found.first().and_then(|finding| text.get(finding.range.clone())), body, "{text}");
        }
    }
}
