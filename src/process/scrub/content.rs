//! What stands where a secret would, and is none.

use super::text::MARKS;

/// What stands where a secret would: no value, a mask, a mark.
pub(super) fn is_nothing(value: &str) -> bool {
    const WORDS: [&str; 9] = ["none", "null", "nil", "undefined", "true", "false", "nan", "''", "\"\""];
    let value = value.trim();
    value.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'?' | b'-'))
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
        || MARKS.contains(&value.trim_matches(['\'', '"']))
}

/// A parameter of a statement or a template, or the beginning of an object.
pub(super) fn is_parameter(value: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_'));
    let scheme = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let value = scheme.map_or(value, |(_, credentials)| credentials);
    let is_variable = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'0'..=b'9'))
    };
    matches!(value, "%s" | "%v" | "%q" | "%d")
        || value.strip_prefix('$').is_some_and(|name| is_variable(name) || name.starts_with(['(', '_']))
        || ["%(", "${", "{", "<", "YOUR_", "your_"].iter().any(|start| value.starts_with(start))
        || value.strip_prefix('$').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        || value.strip_prefix(':').is_some_and(is_name)
}

/// What sentences, schemes and declarations of types have behind such a name.
const PROSE: &str = "no yes on off ok basic bearer digest required invalid missing expired revoked empty incorrect wrong \
    mismatch failed denied await new unknown hidden optional disabled enabled string str bytes boolean include same-origin omit \
    falsch ungültig abgelaufen erforderlich fehlt incorrect incorrecte invalide expiré requis incorrecta inválida caducada \
    incorreta expirada неверный неверен";

pub(super) fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

/// Digits and letters.
pub(super) fn is_mixed(value: &str) -> bool {
    has_digit(value) && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Letters of both cases.
pub(super) fn has_cases(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_uppercase()) && value.bytes().any(|byte| byte.is_ascii_lowercase())
}

pub(super) fn is_prose(word: &str) -> bool {
    PROSE.split(' ').any(|known| word.eq_ignore_ascii_case(known))
}
