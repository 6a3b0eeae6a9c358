//! The bodies every ingest figure is taken with, and how one file becomes fifty issues.

use anyhow::{Context, Result};
use serde_json::Value;

/// Words of the corpus. Each issue maps them onto one another in its own way, so that file names,
/// functions, context lines and names of locals differ between issues and stay the same within one.
const WORDS: &[&str] = &[
    "account",
    "address",
    "backend",
    "cache",
    "config",
    "context",
    "currency",
    "customer",
    "discount",
    "invoice",
    "ledger",
    "order",
    "payload",
    "payment",
    "price",
    "product",
    "queryset",
    "request",
    "response",
    "result",
    "serializer",
    "session",
    "shipment",
    "token",
    "total",
    "user",
    "warehouse",
];

/// Between the fixed text of a body and what varies with each event.
const MARK: &str = "@@";

/// One body in as many variants as there are issues.
pub(crate) struct Corpus {
    /// `event-3k`
    pub(crate) name: &'static str,
    /// Of the file as it stands.
    pub(crate) bytes: usize,
    issues: Vec<Vec<String>>,
}

/// The values that change with each event; a small generator is enough for load.
pub(crate) struct Variation(u64);

impl Variation {
    /// A seed of its own each time: every event of every run is a fresh one.
    pub(crate) fn new() -> Self {
        Self(rand::random())
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of a range that is not empty.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start).max(1)
    }

    fn hex(&mut self, digits: usize) -> String {
        let words = digits.div_ceil(16);
        let mut text: String = (0..words).map(|_| hex::encode(self.next().to_be_bytes())).collect();
        text.truncate(digits);
        text
    }
}

impl Corpus {
    /// Reads `json` and prepares `issues` variants of it.
    pub(crate) fn new(name: &'static str, json: &str, issues: usize) -> Result<Self> {
        let event: Value = serde_json::from_str(json)?;
        let issues = (0..issues).map(|number| variant(&event, number)).collect::<Result<_>>()?;
        Ok(Self { name, bytes: json.len(), issues })
    }

    /// The issues the events are spread over.
    pub(crate) fn issue_count(&self) -> usize {
        self.issues.len()
    }

    /// A one-item envelope with a fresh event, and the event's id.
    pub(crate) fn envelope(&self, number: usize, random: &mut Variation) -> Result<(String, String)> {
        let parts = self.issues.get(number % self.issues.len()).context("at least one issue")?;
        let id = random.hex(32);
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let user = (random.next() % 1_000).to_string();
        let mut event = String::with_capacity(self.bytes + 512);
        for (index, part) in parts.iter().enumerate() {
            if index % 2 == 0 {
                event.push_str(part);
                continue;
            }
            let (kind, size) = part.split_at_checked(1).unwrap_or(("", ""));
            match kind {
                "E" => event.push_str(&id),
                "T" => event.push_str(&now),
                "H" => event.push_str(&random.hex(size.parse()?)),
                "U" => event.push_str(&user),
                "S" => event.push_str(&(random.next() % 8).to_string()),
                _ => event.push_str(&(random.next() % 5).to_string()),
            }
        }
        let envelope = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{event}\n");
        Ok((id, envelope))
    }
}

/// The event of issue `number`, cut at what varies: even parts are fixed, odd ones name a value.
fn variant(event: &Value, number: usize) -> Result<Vec<String>> {
    let mut event = event.clone();
    let set = |event: &mut Value, pointer: &str, text: &str| -> Result<()> {
        *event.pointer_mut(pointer).with_context(|| format!("{pointer} in the corpus"))? = text.into();
        Ok(())
    };
    for pointer in ["/exception", "/transaction", "/request/url"] {
        let part = event.pointer_mut(pointer).with_context(|| format!("{pointer} in the corpus"))?;
        rewrite(part, &|text| rename(text, number));
    }
    set(&mut event, "/exception/values/0/type", &format!("{}Error{number}", capital(word(number))))?;
    rewrite(&mut event, &mark_hex);
    set(&mut event, "/event_id", "@@E@@")?;
    set(&mut event, "/timestamp", "@@T@@")?;
    set(&mut event, "/server_name", "web-@@S@@")?;
    set(&mut event, "/release", "shop@1.4.@@R@@")?;
    set(&mut event, "/user/id", "@@U@@")?;
    set(&mut event, "/user/username", "user@@U@@")?;
    set(&mut event, "/user/email", "user@@U@@@example.com")?;
    if let Some(breadcrumbs) = event.pointer_mut("/breadcrumbs/values").and_then(Value::as_array_mut) {
        for breadcrumb in breadcrumbs {
            set(breadcrumb, "/timestamp", "@@T@@")?;
        }
    }
    Ok(serde_json::to_string(&event)?.split(MARK).map(str::to_owned).collect())
}

/// Applies `change` to every string and every key within.
fn rewrite(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (key, mut field) in old {
                rewrite(&mut field, change);
                // The protocol's own names stay; names of locals go with the issue.
                let is_name = !matches!(key.as_str(), "context_line" | "pre_context" | "post_context" | "request");
                fields.insert(if is_name { change(&key) } else { key }, field);
            }
        }
        _ => {}
    }
}

/// Replaces the words of the corpus and numbers the case.
fn rename(text: &str, number: usize) -> String {
    let mut renamed = String::with_capacity(text.len() + 8);
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        let letters = piece.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        let (letters, tail) = piece.split_at_checked(letters.len()).unwrap_or((piece, ""));
        match WORDS.iter().position(|word| *word == letters) {
            Some(index) => renamed.push_str(word(index + number)),
            None => renamed.push_str(letters),
        }
        renamed.push_str(tail);
    }
    renamed.replace("(case 0)", &format!("(case {number})")).replace("_0", &format!("_{number}"))
}

fn word(index: usize) -> &'static str {
    WORDS.get(index % WORDS.len()).copied().unwrap_or("order")
}

fn capital(word: &str) -> String {
    let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
    head.to_ascii_uppercase() + tail
}

/// Marks every run of eight or more hexadecimal digits that has a digit in it.
fn mark_hex(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if matches!(c, '0'..='9' | 'a'..='f') {
            run.push(c);
            continue;
        }
        if run.len() >= 8 && run.contains(|digit: char| digit.is_ascii_digit()) {
            marked.extend([MARK, "H", &run.len().to_string(), MARK]);
        } else {
            marked.push_str(&run);
        }
        run.clear();
        if c != '\0' {
            marked.push(c);
        }
    }
    marked
}
