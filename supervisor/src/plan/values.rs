//! Takes values of the plan file out of their tables, noting what is wrong with them.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest duration a setting may have, in seconds: a day.
const LONGEST_S: f64 = 86_400.0;

/// The text being read, and what was found wrong, with the line.
pub(super) struct Reader<'s> {
    pub(super) source: &'s str,
    pub(super) errors: Vec<(usize, String)>,
}

/// A table being taken apart: what is left at the end is unknown.
pub(super) struct Section<'s> {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) table: DeTable<'s>,
}

impl<'s> Reader<'s> {
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.source.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn fault(&mut self, line: usize, message: String) {
        self.errors.push((line, message));
    }

    pub(super) fn section(&mut self, parent: &mut Section<'s>, key: &str) -> Option<Section<'s>> {
        let value = parent.table.remove(key)?;
        let line = self.line(value.span().start);
        let path = join(&parent.path, key);
        if let DeValue::Table(table) = value.into_inner() {
            Some(Section { path, line, table })
        } else {
            self.fault(line, format!("{path}: must be a table"));
            None
        }
    }

    pub(super) fn take(&mut self, section: &mut Section<'s>, key: &str) -> Option<(Spanned<DeValue<'s>>, usize)> {
        let value = section.table.remove(key)?;
        let line = self.line(value.span().start);
        Some((value, line))
    }

    pub(super) fn string(&mut self, section: &mut Section<'s>, key: &str) -> Option<(String, usize)> {
        let (value, line) = self.take(section, key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.fault(line, format!("{}: must be a string", join(&section.path, key)));
        }
        Some((text?, line))
    }

    pub(super) fn boolean(&mut self, section: &mut Section<'s>, key: &str) -> Option<bool> {
        let (value, line) = self.take(section, key)?;
        let answer = value.get_ref().as_bool();
        if answer.is_none() {
            self.fault(line, format!("{}: must be true or false", join(&section.path, key)));
        }
        answer
    }

    pub(super) fn integer(&mut self, section: &mut Section<'s>, key: &str, least: u64, most: u64) -> Option<u64> {
        let (value, line) = self.take(section, key)?;
        let number = value.get_ref().as_integer().and_then(|n| n.as_str().parse::<u64>().ok());
        let number = number.filter(|n| (least..=most).contains(n));
        if number.is_none() {
            self.fault(line, format!("{}: must be a whole number from {least} to {most}", join(&section.path, key)));
        }
        number
    }

    /// A duration in seconds, as milliseconds.
    pub(super) fn millis(&mut self, section: &mut Section<'s>, key: &str) -> Option<u64> {
        let (value, line) = self.take(section, key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let millis = number.and_then(to_millis);
        if millis.is_none() {
            self.fault(line, format!("{}: must be a number of seconds, at most a day", join(&section.path, key)));
        }
        millis
    }

    pub(super) fn list(&mut self, section: &mut Section<'s>, key: &str) -> Option<Vec<(DeValue<'s>, usize)>> {
        let (value, line) = self.take(section, key)?;
        if let DeValue::Array(values) = value.into_inner() {
            let with_line = |value: Spanned<DeValue<'s>>| {
                let line = self.line(value.span().start);
                (value.into_inner(), line)
            };
            Some(values.into_iter().map(with_line).collect())
        } else {
            self.fault(line, format!("{}: must be a list", join(&section.path, key)));
            None
        }
    }

    pub(super) fn strings(&mut self, section: &mut Section<'s>, key: &str) -> Option<Vec<(String, usize)>> {
        let mut words = Vec::new();
        for (value, line) in self.list(section, key)? {
            match value.as_str() {
                Some(word) => words.push((word.to_owned(), line)),
                None => self.fault(line, format!("{}: must hold strings only", join(&section.path, key))),
            }
        }
        Some(words)
    }

    pub(super) fn choice<T: Copy>(&mut self, section: &mut Section<'s>, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let (word, line) = self.string(section, key)?;
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.fault(line, format!("{}: \"{word}\" is none of {}", join(&section.path, key), names.join(", ")));
        }
        found
    }

    pub(super) fn nothing_left(&mut self, section: Section<'s>) {
        for (key, _) in section.table {
            let line = self.line(key.span().start);
            self.fault(line, format!("{}: unknown setting", join(&section.path, key.get_ref())));
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Seconds to whole milliseconds, when within bounds.
pub(super) fn to_millis(seconds: f64) -> Option<u64> {
    if !(0.0..=LONGEST_S).contains(&seconds) {
        return None;
    }
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).ok()
}

/// Whether a service or a schedule can be called so.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&name.len()) && name.chars().all(allowed)
}
