//! What a variable's text means.
//!
//! A shell and docker compose take quotes and comments out of an environment file; `docker run --env-file` hands
//! everything behind the `=` over as it stands. Both have to mean the same. (The supervisor has the same rules.)

/// The value meant by `text`; empty: unset.
///
/// Blanks around it do not count, nor does one pair of quotes around the whole, nor a comment (a blank and a `#`). Behind
/// a password that stands without quotes a `#` is no comment: it may well be a part of it.
pub(super) fn meant<'a>(name: &str, text: &'a str) -> &'a str {
    let value = text.trim();
    if value.starts_with('#') && text.starts_with(char::is_whitespace) {
        return "";
    }
    for quote in ['"', '\''] {
        let closed = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote));
        if let Some((inner, behind)) = closed
            && (behind.is_empty() || (behind.starts_with(char::is_whitespace) && behind.trim_start().starts_with('#')))
        {
            return inner;
        }
    }
    if ["_PASSWORD", "_SECRET", "_KEY", "_TOKEN"].iter().any(|ending| name.ends_with(ending)) {
        return value;
    }
    let comment = value
        .match_indices('#')
        .find(|(index, _)| value.get(..*index).is_some_and(|before| before.ends_with(char::is_whitespace)));
    comment.and_then(|(index, _)| value.get(..index)).map_or(value, str::trim_end)
}

/// Written into the image, where nothing but the entry point's command line chooses these: `NAME=value` lines.
const FIXED: &str = "/usr/share/glitchbox/fixed.env";

/// The value that an image fixes for `name`, whatever the environment says: an environment file made for a whole
/// deployment names folders and ports of the machine outside.
pub(super) fn fixed(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(FIXED).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn quotes_comments_and_blanks_are_no_part_of_a_value() {
        for (text, value) in [
            ("plain", "plain"),
            (" plain\t", "plain"),
            ("\"a,b\"", "a,b"),
            ("'a b'", "a b"),
            ("\"a # b\"", "a # b"),
            ("\"a\"   # the first", "a"),
            ("\"\"", ""),
            ("10485760      # 10 MB", "10485760"),
            ("    # Generate unique key for production", ""),
            ("   ", ""),
            ("https://example.com/#anchor", "https://example.com/#anchor"),
            // Not one pair around the whole.
            ("\"a\",\"b\"", "\"a\",\"b\""),
            ("\"a", "\"a"),
            ("\"", "\""),
        ] {
            assert_eq!(meant("NAME", text), value, "{text:?}");
        }
    }

    #[test]
    fn a_password_keeps_what_may_be_a_part_of_it() {
        for (text, value) in [
            ("#1 fan # of it", "#1 fan # of it"),
            ("correct #horse", "correct #horse"),
            ("\"correct #horse\"", "correct #horse"),
            ("    # Database password (generate for production)", ""),
        ] {
            assert_eq!(meant("DB_PASSWORD", text), value, "{text:?}");
        }
    }
}
