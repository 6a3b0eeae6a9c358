//! The normalised event: what `process` emits, what is stored, and what the API and the pages read.
//!
//! Every type serialises without its empty parts, and reading that back and writing it again gives the same bytes.

mod breadcrumb;
mod debug_meta;
mod exception;
mod logentry;
mod request;
mod sdk;
mod stacktrace;
mod template;
mod thread;
mod user;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use breadcrumb::Breadcrumb;
pub use debug_meta::DebugMeta;
pub use exception::{Exception, Mechanism};
pub use logentry::LogEntry;
pub use request::Request;
pub use sdk::{Sdk, SdkPackage, SdkSettings};
pub use stacktrace::{Frame, Stacktrace};
pub use template::Template;
pub use thread::{Thread, ThreadId};
pub use user::{Geo, User};

use super::{EventKind, Level};
use crate::ids::EventId;

/// One event. Field names are those of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The id that the client was told.
    pub event_id: EventId,
    /// What the event is made of.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Severity.
    pub level: Level,
    /// `python`, `javascript`, …; `other` when unknown.
    pub platform: String,
    /// When it happened, corrected for clock drift; whole microseconds.
    pub timestamp: DateTime<Utc>,
    /// When the server got it; whole microseconds.
    pub received: DateTime<Utc>,
    /// One line for lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where it happened, one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub culprit: String,
    /// What the title was made from.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The SDK's name of the logger, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub logger: String,
    /// Route, view or job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// Where the name of the transaction comes from: `route`, `url`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_source: Option<String>,
    /// Version of the program that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Distribution (build) of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dist: Option<String>,
    /// `production`, `staging`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The message, if one was logged or captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logentry: Option<LogEntry>,
    /// The chain: innermost first, the one that was reported last.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub exception: Values<Exception>,
    /// A stack trace that belongs to no exception or thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacktrace: Option<Stacktrace>,
    /// All threads of the program.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub threads: Values<Thread>,
    /// What happened before; oldest first.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub breadcrumbs: Values<Breadcrumb>,
    /// The HTTP request being served, or the page being shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Whom it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The place in a template that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Objects by name: `runtime`, `os`, `browser`, `trace`, …; each has a `type`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub contexts: Map<String, Value>,
    /// The client's tags, then the derived ones; keys are unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Whatever the client added.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// Installed packages and their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, String>,
    /// The client's wish about grouping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprint: Vec<String>,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<Sdk>,
    /// Images and source maps that symbolication needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_meta: Option<DebugMeta>,
    /// A report of a content-security-policy violation, keys in snake case.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub csp: Map<String, Value>,
    /// What was wrong with the payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<EventError>,
    /// The client's remarks about values that it cut or filtered, in the shape of the event.
    #[serde(rename = "_meta", default, skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

/// A list that the protocol wraps as `{"values": […]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values<T> {
    /// The list.
    #[serde(default = "Vec::new")]
    pub values: Vec<T>,
}

impl<T> Values<T> {
    /// True if there is nothing in the list.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

/// What the title was made from, and what an issue shows beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Type of the main exception; at most 128 characters.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub exception_type: Option<String>,
    /// Value of the main exception; at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// File of the crashing frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Function of the crashing frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Of a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of a content-security-policy violation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directive: Option<String>,
    /// What such a violation blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Such a violation in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Metadata {
    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something in the payload that could not be kept as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventError {
    /// `invalid_data`, `missing_attribute`, `future_timestamp`, …, or a word of the client's.
    #[serde(rename = "type")]
    pub kind: String,
    /// Path of the field, such as `exception.values.0.type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was sent, if it is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}
