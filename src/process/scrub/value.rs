//! Free-form values: names first, then what is in their texts.

use serde_json::{Map, Value};

use super::remark::{Path, Remarks};
use super::rules::{ScrubRules, Verdict};
use super::text::{self, Extent, Style};
use super::{FILTERED, address, content, name, number};

/// The rules at work, and what they did.
pub(super) struct Scrubber<'r> {
    pub(super) rules: &'r ScrubRules,
    pub(super) remarks: Remarks,
}

impl<'r> Scrubber<'r> {
    pub(super) fn new(rules: &'r ScrubRules) -> Self {
        Self { rules, remarks: Remarks::default() }
    }

    /// A text without a name of its own; whether it was changed.
    pub(super) fn text(&mut self, at: &Path<'_>, text: &mut String, style: Style, extent: Extent) -> bool {
        let mut is_changed = false;
        if let Some((scrubbed, kind)) = text::scrub(text, self.rules, style, extent) {
            self.remarks.note(at, kind.rule(), Some(text.chars().count()));
            *text = scrubbed;
            is_changed = true;
        }
        is_changed | (extent == Extent::All && self.addresses(at, text))
    }

    /// The addresses in a text, if they are taken out; whether it had some. A version looks like one and stays.
    pub(super) fn addresses(&mut self, at: &Path<'_>, text: &mut String) -> bool {
        if !self.rules.takes_ip_addresses() || at.is_version() {
            return false;
        }
        let Some(without) = address::without_addresses(text) else { return false };
        self.remarks.note(at, Remarks::ADDRESS, Some(text.chars().count()));
        *text = without;
        true
    }

    /// As [`Self::text`], of every kind of secret.
    pub(super) fn plain(&mut self, at: &Path<'_>, text: &mut String) {
        self.text(at, text, Style::Plain, Extent::All);
    }

    /// As [`Self::plain`], if there is a text.
    pub(super) fn optional(&mut self, at: &Path<'_>, text: &mut Option<String>) {
        if let Some(text) = text {
            self.plain(at, text);
        }
    }

    /// A text by its name.
    pub(super) fn named(&mut self, at: &Path<'_>, field: &str, text: &mut String) {
        match self.rules.judge(field) {
            Verdict::Safe => {}
            Verdict::Ordinary => self.plain(at, text),
            verdict => self.named_secret(at, field, text, verdict),
        }
    }

    /// Pairs of a cookie's name and its value.
    pub(super) fn cookies(&mut self, at: &Path<'_>, pairs: &mut [(String, String)]) {
        for (index, (field, value)) in pairs.iter_mut().enumerate() {
            let at = &at.index(index);
            let verdict = self.rules.judge(field);
            if verdict == Verdict::Ordinary && self.rules.has_defaults() && name::is_session_cookie(field) {
                self.named_secret(&at.index(1), field, value, Verdict::Likely);
            } else {
                self.named(&at.index(1), field, value);
            }
        }
    }

    /// Pairs of names and values.
    pub(super) fn pairs(&mut self, at: &Path<'_>, pairs: &mut [(String, String)]) {
        for (index, (field, value)) in pairs.iter_mut().enumerate() {
            self.named(&at.index(index).index(1), field, value);
        }
    }

    fn named_secret(&mut self, at: &Path<'_>, field: &str, text: &mut String, verdict: Verdict) {
        if is_kept(field, text) {
            return;
        }
        if verdict == Verdict::Address && !text.contains('@') {
            self.plain(at, text);
            return;
        }
        self.remarks.note(at, "@password", Some(text.chars().count()));
        FILTERED.clone_into(text);
    }

    /// The members of an object.
    pub(super) fn map(&mut self, at: &Path<'_>, map: &mut Map<String, Value>) {
        let named = map.get("value").and_then(|_| self.secret_name(map));
        for (field, value) in map.iter_mut() {
            let at = &at.key(field);
            if let Some(name) = named.as_ref().filter(|_| field == "value") {
                self.secret(at, name, value, Verdict::Likely);
            } else {
                self.member(at, field, value);
            }
            if self.rules.takes_ip_addresses()
                && address::names_clients(field)
                && let Value::String(text) = value
            {
                self.ips(at, text);
            }
        }
    }

    /// Contexts by name, each of which stays an object with its type.
    pub(super) fn contexts(&mut self, at: &Path<'_>, contexts: &mut Map<String, Value>) {
        for (name, context) in contexts.iter_mut() {
            let at = &at.key(name);
            let verdict = self.rules.judge(name);
            match context {
                _ if verdict == Verdict::Safe => {}
                Value::Object(map) if matches!(verdict, Verdict::Likely | Verdict::Sure) => {
                    for (field, value) in map.iter_mut().filter(|(field, _)| *field != "type") {
                        self.secret(&at.key(field), field, value, verdict);
                    }
                }
                context => self.value(at, context),
            }
        }
    }

    /// A value by its name.
    pub(super) fn member(&mut self, at: &Path<'_>, field: &str, value: &mut Value) {
        match self.rules.judge(field) {
            Verdict::Safe => {}
            Verdict::Ordinary => self.value(at, value),
            verdict => self.secret(at, field, value, verdict),
        }
    }

    /// The text of a header of a proxy.
    pub(super) fn ips(&mut self, at: &Path<'_>, text: &mut String) {
        if let Some(without) = address::without_ips(text) {
            self.remarks.note(at, Remarks::ADDRESS, Some(text.chars().count()));
            *text = without;
        }
    }

    /// The name in `{"name": "password", "value": …}`, also with `key`.
    fn secret_name(&self, map: &Map<String, Value>) -> Option<String> {
        let mut names = ["name", "key"].iter().filter_map(|field| map.get(*field)?.as_str());
        names.find(|name| self.is_secret(name)).map(str::to_owned)
    }

    fn is_secret(&self, field: &str) -> bool {
        matches!(self.rules.judge(field), Verdict::Likely | Verdict::Sure)
    }

    /// A value with the name of a secret.
    fn secret(&mut self, at: &Path<'_>, field: &str, value: &mut Value, verdict: Verdict) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Array(list) if list.is_empty() => {}
            Value::Object(map) if map.is_empty() => {}
            Value::String(text) => self.named_secret(at, field, text, verdict),
            _ if verdict == Verdict::Address => self.value(at, value),
            _ => {
                self.remarks.note(at, "@password", None);
                *value = Value::String(FILTERED.to_owned());
            }
        }
    }

    /// A value without a name of its own.
    pub(super) fn value(&mut self, at: &Path<'_>, value: &mut Value) {
        match value {
            Value::String(text) => self.plain(at, text),
            Value::Array(list) => self.list(at, list),
            Value::Object(map) => self.map(at, map),
            Value::Number(digits) if self.rules.has_defaults() => {
                // Small numbers are no card's, and need not be written out.
                let is_long = digits.as_u64().is_some_and(|number| number >= 1_000_000_000_000);
                if is_long && number::is_card(digits.to_string().as_bytes()) {
                    self.remarks.note(at, text::Kind::Card.rule(), None);
                    *value = Value::String(FILTERED.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Members of a list: of pairs, of a command line, or of anything.
    fn list(&mut self, at: &Path<'_>, list: &mut [Value]) {
        let mut follows_option = false;
        for (index, member) in list.iter_mut().enumerate() {
            let at = &at.index(index);
            if follows_option && member.is_string() {
                self.secret(at, "", member, Verdict::Likely);
                follows_option = false;
                continue;
            }
            // `--password`, and its value next.
            follows_option = member.as_str().is_some_and(|text| {
                text.len() < 64 && text.starts_with('-') && !text.contains('=') && self.is_secret(text)
            });
            if let Value::Array(pair) = member
                && let [Value::String(field), value] = pair.as_mut_slice()
                && self.is_secret(field)
            {
                self.secret(&at.index(1), field, value, Verdict::Likely);
                continue;
            }
            self.value(at, member);
        }
    }

    /// The client's remarks: trees of names, in which `val` is what a field was before.
    pub(super) fn meta(&mut self, map: &mut Map<String, Value>, is_secret: bool) {
        for (field, value) in map.iter_mut() {
            match value {
                value if is_secret && field == "val" => self.secret(&Path::Root, field, value, Verdict::Sure),
                value if field == "val" => self.value(&Path::Root, value),
                Value::Object(map) => self.meta(map, is_secret || self.is_secret(field)),
                _ => {}
            }
        }
    }
}

/// True if a text with the name of a secret is none: empty, masked already, or the shell's working directory.
fn is_kept(field: &str, text: &str) -> bool {
    let is_directory = matches!(field, "PWD" | "OLDPWD") && (text.starts_with('/') || text.contains(":\\"));
    is_directory || content::is_nothing(text)
}
