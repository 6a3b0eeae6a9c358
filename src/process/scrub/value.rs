//! Free-form values: names first, then what is in their texts.

use serde_json::{Map, Value};

use super::remark::{Path, Remarks};
use super::rules::{ScrubRules, Verdict};
use super::text::{self, Extent, Style};
use super::{FILTERED, address, assignment, command, content, name, notation, number};

/// The rules at work, and what they did.
pub(super) struct Scrubber<'r> {
    pub(super) rules: &'r ScrubRules,
    pub(super) remarks: Remarks,
    /// Secrets that were found by their names.
    known: Vec<String>,
    /// Only those are looked for.
    hides: bool,
}

/// Bytes of an argument that are looked at.
const MAX_ARGUMENT: usize = 256;

/// Secrets of one event that are looked for everywhere.
const MAX_KNOWN: usize = 16;

impl<'r> Scrubber<'r> {
    pub(super) fn new(rules: &'r ScrubRules) -> Self {
        Self { rules, remarks: Remarks::default(), known: Vec::new(), hides: false }
    }

    /// A text without a name of its own; whether it was changed.
    pub(super) fn text(&mut self, at: &Path<'_>, text: &mut String, style: Style, extent: Extent) -> bool {
        let mut is_changed = false;
        if self.hides {
            return self.hide(at, text);
        }
        if let Some((scrubbed, kind)) = text::scrub(text, self.rules, style, extent) {
            self.remarks.note(at, kind.rule(), Some(text.chars().count()));
            *text = scrubbed;
            is_changed = true;
        }
        is_changed | (extent == Extent::All && self.addresses(at, text))
    }

    /// From now on only secrets that are known by now and stand more than once in `payload` are looked for; false if there
    /// are none. One that JSON writes in another way is looked for in any case.
    pub(super) fn starts_hiding(&mut self, payload: &[u8]) -> bool {
        self.known.retain(|secret| {
            let is_plain = secret.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/'));
            !is_plain || memchr::memmem::find_iter(payload, secret.as_bytes()).nth(1).is_some()
        });
        self.hides = !self.known.is_empty();
        self.hides
    }

    fn hide(&mut self, at: &Path<'_>, text: &mut String) -> bool {
        let mut is_changed = false;
        for secret in &self.known {
            if text.contains(secret.as_str()) {
                self.remarks.note(at, "@password", Some(text.chars().count()));
                *text = text.replace(secret.as_str(), FILTERED);
                is_changed = true;
            }
        }
        is_changed
    }

    /// Remembers a secret that cannot be anything else where it turns up again.
    fn remember(&mut self, text: &str, verdict: Verdict) {
        let word = text.rsplit(' ').next().unwrap_or_default().trim_matches(['\'', '"']);
        let least = if verdict == Verdict::Sure { 8 } else { 16 };
        let is_marked = text::MARKS.iter().any(|mark| word.contains(mark));
        if content::is_mixed(word) && !is_marked && (least..=256).contains(&word.len()) && self.known.len() < MAX_KNOWN
        {
            self.known.push(word.to_owned());
        }
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
            Verdict::Random if !assignment::is_random(field, text) => self.plain(at, text),
            verdict => self.named_secret(at, field, text, verdict),
        }
    }

    /// Pairs of a cookie's name and its value.
    pub(super) fn cookies(&mut self, at: &Path<'_>, pairs: &mut [(String, String)]) {
        for (index, (field, value)) in pairs.iter_mut().enumerate() {
            let at = &at.index(index);
            let verdict = self.rules.judge(field);
            let is_session = || name::is_session_cookie(field) || name::is_made(value);
            if verdict == Verdict::Ordinary && self.rules.has_defaults() && is_session() {
                self.named_secret(&at.index(1), field, value, Verdict::Likely);
            } else {
                self.named(&at.index(1), field, value);
            }
        }
    }

    /// Parameters of an address, some of which are secrets by what they look like.
    pub(super) fn query(&mut self, at: &Path<'_>, pairs: &mut [(String, String)]) {
        for (index, (field, value)) in pairs.iter_mut().enumerate() {
            let at = &at.index(index);
            let is_random = || notation::is_of_query(field) && assignment::is_random(field, value);
            if self.rules.has_defaults() && self.rules.judge(field) == Verdict::Ordinary && is_random() {
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
        self.remember(text, verdict);
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
            Verdict::Random if !value.as_str().is_some_and(|text| assignment::is_random(field, text)) => {
                self.value(at, value);
            }
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
        let is_option = |member: &Value| member.as_str().is_some_and(|text| bare(text).starts_with('-'));
        let is_command = self.rules.has_defaults() && list.iter().any(is_option);
        let program =
            list.first().filter(|_| is_command).and_then(Value::as_str).map(bare).unwrap_or_default().to_owned();
        let mut option = String::new();
        for (index, member) in list.iter_mut().enumerate() {
            let at = &at.index(index);
            if follows_option && member.is_string() {
                self.secret(at, "", member, Verdict::Likely);
                follows_option = false;
                continue;
            }
            if let Value::String(text) = member
                && is_command
            {
                let secret = command::secret_argument(&program, &option, bare(text)).map(str::to_owned);
                bare(text).clone_into(&mut option);
                if let Some(secret) = secret.filter(|secret| !secret.is_empty() && !content::is_nothing(secret)) {
                    self.remarks.note(at, "@password", Some(text.chars().count()));
                    *text = text.replace(&secret, FILTERED);
                    continue;
                }
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

/// An argument without the quotes that printing put around it.
fn bare(argument: &str) -> &str {
    let short = argument.get(..argument.floor_char_boundary(MAX_ARGUMENT)).unwrap_or(argument);
    short.trim_matches(['\'', '"'])
}

/// True if a text with the name of a secret is none: empty, masked already, or the shell's working directory.
fn is_kept(field: &str, text: &str) -> bool {
    let is_directory = matches!(field, "PWD" | "OLDPWD") && (text.starts_with('/') || text.contains(":\\"));
    is_directory || content::is_nothing(text)
}
