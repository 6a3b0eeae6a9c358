//! Items beside events: what they say, read as kindly as events are. Pure.

mod attachment;
mod attributes;
mod check_in;
mod feedback;
mod log;
mod session;
mod span;
mod transaction;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ProjectRules;
use super::lenient_json;
use super::normalise::attribute;
use super::normalise::clock::{Clock, MAX_FUTURE};
use super::normalise::field::{Errors, Path};
use super::scrub::scrub_item;
use crate::ids::ProjectId;
use crate::protocol::kept_item::UserHash;
use crate::protocol::{Filter, KeptItem, Stamp, StampedItem};

/// Why an item is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unkept {
    /// It says too little, or what is of no use: counted as filtered for this reason.
    Filtered(&'static str),
    /// A filter of its project holds it back.
    HeldBack(Filter),
    /// It cannot be read; why.
    Rejected(String),
}

/// Reads an item of a type that is kept: see [`StampedItem::is_kept`](crate::protocol::StampedItem::is_kept).
///
/// # Errors
/// When there is nothing to keep.
pub fn read(stamp: &Stamp, payload: &Bytes) -> Result<KeptItem, Unkept> {
    read_for(stamp, payload, &ProjectRules::default())
}

/// As [`read`], as a project wants it. Who sent it has been looked at: [`Filters::of_sender`](super::filter::Filters::of_sender).
///
/// # Errors
/// When there is nothing to keep.
pub fn read_for(stamp: &Stamp, payload: &Bytes, rules: &ProjectRules) -> Result<KeptItem, Unkept> {
    let is_file = matches!(stamp.item_type.as_str(), "attachment" | StampedItem::FILE_PART);
    // The edge has put the item's header, one line, before the file's bytes.
    let (payload, content) = match payload.iter().position(|byte| *byte == b'\n') {
        Some(end) if is_file => (payload.slice(..end), payload.slice(end + 1..)),
        _ => (payload.clone(), Bytes::new()),
    };
    let object = lenient_json::parse_object(&payload)
        .map_err(|error| Unkept::Rejected(format!("the {} is not a JSON object: {error}", stamp.item_type)))?;
    let fields = Fields { object, clock: Clock::new(stamp), stamp };
    let mut item = match stamp.item_type.as_str() {
        "session" => session::update(fields).map(KeptItem::Session),
        "sessions" => session::counts(fields).map(KeptItem::SessionCounts),
        "check_in" => check_in::check_in(fields).map(KeptItem::CheckIn),
        "user_report" => feedback::report(fields).map(KeptItem::Feedback),
        "feedback" => feedback::feedback(fields).map(KeptItem::Feedback),
        "attachment" | StampedItem::FILE_PART => attachment::attachment(fields, content).map(KeptItem::Attachment),
        "log" => log::records(fields).map(KeptItem::Logs),
        "span" => span::spans(fields).map(KeptItem::Spans),
        "transaction" => transaction::spans(fields).map(KeptItem::Spans),
        other => Err(Unkept::Rejected(format!("no reader for items of type {other:?}"))),
    }?;
    if let Some(filter) = rules.filters.drop_spans(&mut item) {
        return Err(Unkept::HeldBack(filter));
    }
    scrub_item(&mut item, &rules.scrub);
    Ok(item)
}

/// An object being read. What does not fit counts as absent: there is nowhere to note it.
struct Fields<'s> {
    object: Map<String, Value>,
    clock: Clock,
    stamp: &'s Stamp,
}

impl<'s> Fields<'s> {
    /// An object inside it, empty if there is none.
    fn inner(&mut self, key: &str) -> Fields<'s> {
        let object = match self.take(key) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        self.of(object)
    }

    /// Another object of the same item.
    fn of(&self, object: Map<String, Value>) -> Fields<'s> {
        Fields { object, clock: self.clock, stamp: self.stamp }
    }

    /// What the item tells of had ended at this time of its own, so that it is not in the future.
    fn ended(&mut self, key: &str) {
        self.clock = self.clock.ended(self.object.get(key));
    }

    /// The same of all members of a container at once, if all seem to have ended in the future: then it is the clock that
    /// is wrong. One that is far off from the others does not move them.
    fn all_ended(&mut self, items: &[Value], key: &str) {
        let clock = self.clock;
        let ends = || items.iter().filter_map(|item| item.get(key)).filter_map(|end| Some((clock.read(end)?, end)));
        let Some((first, _)) = ends().min_by_key(|(end, _)| *end) else { return };
        if first > clock.received() + MAX_FUTURE {
            let last = ends().filter(|(end, _)| *end < first + TimeDelta::days(1)).max_by_key(|(end, _)| *end);
            self.clock = clock.ended(last.map(|(_, end)| end));
        }
    }

    fn take(&mut self, key: &str) -> Value {
        self.object.remove(key).unwrap_or_default()
    }

    /// A text of at most `limit` characters without white space around it; an empty one is none.
    fn word(&mut self, key: &str, limit: usize) -> Option<String> {
        let value = self.take(key);
        Errors::default().word(&Path::Root, value, limit)
    }

    fn unsigned(&mut self, key: &str) -> Option<u64> {
        let value = self.take(key);
        Errors::default().unsigned(&Path::Root, value)
    }

    /// A number that is finite and not negative.
    fn seconds(&mut self, key: &str) -> Option<f64> {
        let value = self.take(key);
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|number| number.is_finite() && *number >= 0.0)
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).as_bool().unwrap_or(false)
    }

    fn time(&mut self, key: &str) -> Option<DateTime<Utc>> {
        let value = self.take(key);
        self.clock.time(&mut Errors::default(), &Path::Root, value)
    }

    /// A UUID with or without dashes; all zeros is none.
    fn uuid(&mut self, key: &str) -> Option<Uuid> {
        let text = self.word(key, 64)?;
        Uuid::try_parse(&text).ok().filter(|id| !id.is_nil())
    }

    fn release(&mut self) -> Option<String> {
        let value = self.take("release");
        attribute::release(&mut Errors::default(), &Path::Root, value)
    }

    fn environment(&mut self) -> Option<String> {
        let value = self.take("environment");
        attribute::environment(&mut Errors::default(), &Path::Root, value)
    }

    fn span_id(&mut self, key: &str) -> Option<i64> {
        self.word(key, 32).and_then(|text| span_id(&text))
    }

    /// Tells users of a project apart. Whoever knows both ids can compute it; nobody can read the id out of it.
    fn user(&mut self, key: &str) -> Option<UserHash> {
        let id = self.word(key, 1024)?;
        Some(user_hash(self.stamp.project_id, &id))
    }
}

/// A span's id, 16 hexadecimal digits, as a number; all zeros is none.
fn span_id(text: &str) -> Option<i64> {
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|number| is_id && *number != 0)?;
    Some(number.cast_signed())
}

fn user_hash(project: ProjectId, id: &str) -> UserHash {
    let mut hasher = Sha256::new();
    hasher.update(project.0.to_le_bytes());
    hasher.update(id.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut hash = UserHash::default();
    for (to, from) in hash.iter_mut().zip(digest) {
        *to = from;
    }
    hash
}

#[cfg(test)]
mod tests;
