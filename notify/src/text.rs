//! Text of others, made fit to stand in a message.

/// Nothing to see, but it parts what a service would otherwise take for a mention, a link or a mark.
pub(crate) const BREAK: char = '\u{200b}';

/// What stands where something was left out.
pub(crate) const MARK: char = '…';

/// The beginning of `text` in at most `limit` bytes, marked when something is left out.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(MARK.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    short.push(MARK);
    short
}

/// One line without control characters, and without those that turn the direction of what follows.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let clean: String = head(text, limit).chars().filter_map(|letter| tame(letter, false)).collect();
    shorten(clean.trim(), limit)
}

/// As [`line`], with the line breaks there are.
pub(crate) fn lines(text: &str, limit: usize) -> String {
    let clean: String =
        head(text, limit).replace("\r\n", "\n").chars().filter_map(|letter| tame(letter, true)).collect();
    shorten(clean.trim_end(), limit)
}

/// More of a text than can be wanted of it, and not all of what may be very long.
fn head(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit.saturating_mul(4))).unwrap_or(text)
}

fn tame(letter: char, with_breaks: bool) -> Option<char> {
    match letter {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' if with_breaks => Some('\n'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        other if other.is_control() => Some(' '),
        other => Some(other),
    }
}

/// Whether there is nothing to see in it: services take such a text for an empty one, and refuse it.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(|letter| {
        letter.is_whitespace()
            || letter.is_control()
            || matches!(
                letter,
                '\u{ad}'
                    | '\u{34f}'
                    | '\u{61c}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}'
                    | '\u{200b}'..='\u{200f}'
                    | '\u{202a}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0f}'
                    | '\u{feff}'
                    | '\u{ffa0}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
    })
}

/// Calls nobody: parts an `@` at the beginning of a word from the name after it.
pub(crate) fn call_nobody(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut before = ' ';
    for letter in text.chars() {
        quiet.push(letter);
        if matches!(letter, '@' | '＠') && !before.is_ascii_alphanumeric() {
            quiet.push(BREAK);
        }
        before = letter;
    }
    quiet
}

/// Makes every letter what `escape` makes of it, up to `limit` UTF-16 units; marked when something is left out.
pub(crate) fn escaped(text: &str, limit: usize, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut units = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let start = out.len();
        escape(letter, &mut out);
        let more = out.get(start..).map_or(0, units_of);
        let room = if letters.peek().is_some() { limit.saturating_sub(1) } else { limit };
        if units + more > room {
            out.truncate(start);
            out.push(MARK);
            break;
        }
        units += more;
    }
    out
}

/// How long other programs take a text to be that count in UTF-16.
pub(crate) fn units_of(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The spaces at the beginning of each line as such that no Markdown eats.
pub(crate) fn keep_indents(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let rest = line.trim_start_matches(' ');
        "\u{a0}".repeat(line.len() - rest.len()) + rest
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The three characters that begin a tag, a link or an entity (Slack's `<!channel>`, Telegram's HTML, which knows few
/// entities more), and the `@` that calls people.
pub(crate) fn escape_tags(text: &str) -> String {
    call_nobody(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Parts the marks of a Markdown whose escapes are not known: links, tags and mentions, and what a line begins with.
pub(crate) fn part_marks(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    let mut before = '\n';
    for letter in text.chars() {
        let begins_line = before == '\n' && matches!(letter, '#' | '>' | '-' | '+' | '=' | '|');
        if begins_line || (before == ']' && matches!(letter, '(' | '[')) {
            parted.push(BREAK);
        }
        parted.push(letter);
        if letter == '<' {
            parted.push(BREAK);
        }
        before = letter;
    }
    parted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shortened_between_characters() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("错误错误", 10), "错误…");
        assert_eq!(shorten("错误错误", 8), "错…");
        assert_eq!(shorten("abc", 0), "…");
    }

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(line(" a\r\nb\u{1b}[31m\u{202e}c\u{0} ", 99), "a  b [31mc");
        assert_eq!(lines("a\r\nb\rc\u{2028}d\te\n\n", 99), "a\nb\nc\nd e");
    }

    #[test]
    fn a_name_after_an_at_is_parted_from_it_and_mail_addresses_stay() {
        assert_eq!(call_nobody("@all a@b.org 请@here"), "@\u{200b}all a@b.org 请@\u{200b}here");
    }

    #[test]
    fn escaping_counts_what_it_adds() {
        let double = |letter: char, out: &mut String| {
            out.push('\\');
            out.push(letter);
        };
        assert_eq!(escaped("ab", 4, double), "\\a\\b");
        assert_eq!(escaped("abc", 5, double), "\\a\\b…");
        assert_eq!(escaped("😀😀", 5, double), "\\😀…");
        assert_eq!(escaped("", 0, double), "");
    }

    #[test]
    fn marks_are_parted() {
        assert_eq!(part_marks("# a\n> [b](c) <@d>"), "\u{200b}# a\n\u{200b}> [b]\u{200b}(c) <\u{200b}@d>");
        assert_eq!(keep_indents("  a b\nc"), "\u{a0}\u{a0}a b\nc");
    }
}
