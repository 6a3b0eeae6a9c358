//! Takes the text of a query apart, from left to right.

use super::{Condition, QueryError, Term, condition};

/// Longest tag key asked for by name, in characters.
const MAX_KEY_LENGTH: usize = 200;

/// Keys that are no tags, or for which a missing value is a mistake rather than free text.
const KNOWN_KEYS: [&str; 11] = [
    "is",
    "has",
    "level",
    "environment",
    "release",
    "logger",
    "platform",
    "issue",
    "error.handled",
    "error.unhandled",
    "user",
];

/// What stands before a colon.
pub(super) struct Key<'a> {
    /// As in the query, for messages.
    pub(super) written: &'a str,
    pub(super) name: &'a str,
    /// Written as `tags[…]`: a tag whatever its name.
    pub(super) is_tag: bool,
}

/// What stands behind it.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) is_quoted: bool,
}

/// The text that is still to be read.
pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next term, if there is one more.
    pub(super) fn term(&mut self) -> Result<Option<Term>, QueryError> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let negated = self.take_negation();
        if self.rest.starts_with('"') {
            let phrase = self.quoted()?;
            return Ok(Some(Term { negated, condition: Condition::Text(phrase.to_lowercase()) }));
        }
        let Some(key) = self.key() else {
            let word = self.word();
            return Ok(Some(Term { negated, condition: Condition::Text(word.to_lowercase()) }));
        };
        let condition = self.keyed(&key)?;
        Ok(Some(Term { negated, condition }))
    }

    /// A `!` counts only directly before something; alone it is a word.
    fn take_negation(&mut self) -> bool {
        match self.rest.strip_prefix('!') {
            Some(rest) if rest.chars().next().is_some_and(|c| !c.is_whitespace() && c != '!') => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The name before a colon, if the next term is of that shape; takes the colon too. Paths
    /// (`core::fmt`), addresses (`http://…`) and pasted titles (`TypeError: …`) are words.
    fn key(&mut self) -> Option<Key<'a>> {
        let (written, value) = self.rest.split_once(':')?;
        let (name, is_tag) = match written.strip_prefix("tags[").and_then(|tail| tail.strip_suffix(']')) {
            Some(name) => (name, true),
            None => (written, false),
        };
        let is_name = !name.is_empty()
            && name.chars().count() <= MAX_KEY_LENGTH
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let is_known = is_tag || KNOWN_KEYS.contains(&name);
        let ends = value.chars().next().is_none_or(char::is_whitespace);
        if !is_name || value.starts_with(':') || value.starts_with("//") || (ends && !is_known) {
            return None;
        }
        self.rest = value;
        Some(Key { written, name, is_tag })
    }

    fn keyed(&mut self, key: &Key<'_>) -> Result<Condition, QueryError> {
        let is_list = self.rest.starts_with('[');
        let values = self.values(key)?;
        if is_list && matches!(key.name, "is" | "has" | "issue" | "error.handled" | "error.unhandled") && !key.is_tag {
            return Err(QueryError::NoList(key.written.to_owned()));
        }
        condition(key, values)
    }

    fn values(&mut self, key: &Key<'_>) -> Result<Vec<Value>, QueryError> {
        if self.rest.starts_with('[') {
            return self.list(key);
        }
        if self.rest.starts_with('"') {
            return Ok(vec![Value { text: self.quoted()?, is_quoted: true }]);
        }
        let word = self.word();
        if word.is_empty() {
            return Err(QueryError::NoValue(key.written.to_owned()));
        }
        Ok(vec![Value { text: word.to_owned(), is_quoted: false }])
    }

    fn list(&mut self, key: &Key<'_>) -> Result<Vec<Value>, QueryError> {
        let open = || QueryError::OpenList(key.written.to_owned());
        self.rest = self.rest.strip_prefix('[').ok_or_else(open)?;
        let mut values = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('"') {
                values.push(Value { text: self.quoted()?, is_quoted: true });
                self.rest = self.rest.trim_start();
            } else {
                let end = self.rest.find([',', ']']).ok_or_else(open)?;
                let (text, rest) = self.rest.split_at_checked(end).ok_or_else(open)?;
                let text = text.trim_end();
                if text.is_empty() {
                    return Err(QueryError::NoValue(key.written.to_owned()));
                }
                values.push(Value { text: text.to_owned(), is_quoted: false });
                self.rest = rest;
            }
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else {
                self.rest = self.rest.strip_prefix(']').ok_or_else(open)?;
                return Ok(values);
            }
        }
    }

    /// Up to the next white space.
    fn word(&mut self) -> &'a str {
        let (word, rest) = self.rest.split_once(char::is_whitespace).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.split_at_checked(at + 1).map_or("", |(_, rest)| rest);
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => return Err(QueryError::OpenQuote),
                },
                other => text.push(other),
            }
        }
        Err(QueryError::OpenQuote)
    }
}
