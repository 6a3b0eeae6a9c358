//! The names that stand in addresses.

/// The longest slug, in bytes.
pub const MAX_LENGTH: usize = 50;

/// Why a text is no slug; fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid slug: use 1 to {MAX_LENGTH} lower-case letters, digits, `-` or `_`, \
     beginning with a letter or digit and not digits alone"
)]
pub struct InvalidSlug(String);

/// Checks a slug given by a person. Digits alone are refused, since addresses take a slug or an id.
pub fn check(text: &str) -> Result<&str, InvalidSlug> {
    let valid = (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { Ok(text) } else { Err(InvalidSlug(text.to_owned())) }
}

/// Makes a slug from a name: lower case, everything else a single `-`. `fallback` (itself a slug) stands in
/// where nothing usable is left, as for a name in Chinese.
pub fn from_name(name: &str, fallback: &str) -> String {
    let mut slug = String::with_capacity(name.len().min(MAX_LENGTH));
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if slug.len() == MAX_LENGTH {
            break;
        }
        if c.is_ascii_alphanumeric() || (c == '_' && !slug.is_empty()) {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if check(&slug).is_ok() { slug } else { fallback.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_from_names() {
        assert_eq!(from_name("My Web Shop!", "project"), "my-web-shop");
        assert_eq!(from_name("  --api_v2-- ", "project"), "api_v2");
        assert_eq!(from_name("网店", "project"), "project");
        assert_eq!(from_name("2024", "project"), "project");
        assert_eq!(from_name(&"ab ".repeat(40), "project").len(), 50);
    }

    #[test]
    fn what_is_no_slug() {
        for text in ["", "42", "A", "a b", "-a", "a/b", "é"] {
            assert!(check(text).is_err(), "{text}");
        }
        for text in ["a", "0a", "web-shop_2"] {
            assert_eq!(check(text), Ok(text));
        }
        assert!(check(&"a".repeat(51)).is_err());
    }
}
