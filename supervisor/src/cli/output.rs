//! What commands write: to a reader who may have gone, for people or for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::json;

use crate::control::Failure;

/// The width that lines for people keep to, in columns.
pub(super) const WIDTH: usize = 80;

/// A line, or several.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line beside the result.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One JSON document on one line.
pub(super) fn print_json(value: &impl Serialize) {
    print(&serde_json::to_string(value).unwrap_or_default());
}

/// Ends a command that was to answer with JSON: a failure is a document too. The sentence goes to standard error as well.
pub(super) fn or_error_in_json(json: bool, result: Result<u8, Failure>) -> Result<u8, Failure> {
    if let (true, Err(failure)) = (json, &result) {
        print_json(&json!({ "ok": false, "error": failure.0 }));
    }
    result
}

/// A colour that says how something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Green,
    Yellow,
    Red,
    Dim,
}

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output: coloured on a terminal, unless `NO_COLOR` is set to anything.
    pub(super) fn for_output() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { on: std::io::stdout().is_terminal() && !unwanted && !dumb }
    }

    /// Never.
    #[cfg(test)]
    pub(super) fn never() -> Self {
        Self { on: false }
    }

    /// Always.
    #[cfg(test)]
    pub(super) fn always() -> Self {
        Self { on: true }
    }

    /// The text in that colour.
    pub(super) fn colour(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Dim => "2",
        };
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The text in lines of at most [`WIDTH`] columns, the first indented by `first` and all others by `rest`; a longer word
/// stays whole.
pub(super) fn wrap(text: &str, first: usize, rest: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{:rest$}{word}", "")),
            None => lines.push(format!("{:first$}{word}", "")),
        }
    }
    lines.join("\n")
}

/// Bytes as people read them: three figures at most before the point.
#[expect(clippy::cast_precision_loss, reason = "rounded to one figure after the point")]
pub(super) fn size(bytes: u64) -> String {
    const MB: f64 = 1_048_576.0;
    match bytes as f64 / MB {
        mb if mb < 1_000.0 => format!("{mb:.1} MB"),
        mb => format!("{:.1} GB", mb / 1_024.0),
    }
}

/// Seconds as people read them: the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_between_words() {
        let text = wrap(&"word ".repeat(40), 2, 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
        assert!(text.starts_with("  word"), "{text}");
        assert_eq!(wrap("short", 0, 4), "short");
    }

    #[test]
    fn sizes_and_durations_are_short() {
        assert_eq!([size(0), size(35_000_000), size(3 << 30)], ["0.0 MB", "33.4 MB", "3.0 GB"]);
        assert_eq!([5, 61, 3_700, 90_000].map(duration), ["5s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
