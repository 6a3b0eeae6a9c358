//! One exception of a chain.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Stacktrace, ThreadId, is_false};

/// An exception; it has a type, a value or both.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Exception {
    /// Its class; at most 256 characters.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub exception_type: Option<String>,
    /// Its message; at most 8,192 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the class is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The thread that raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// How it came to be reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    /// Where it was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacktrace: Option<Stacktrace>,
    /// The same before the client or the server made it readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_stacktrace: Option<Stacktrace>,
}

impl Exception {
    /// True if the type was made up by the SDK and says nothing.
    pub fn is_synthetic(&self) -> bool {
        self.mechanism.as_ref().is_some_and(|mechanism| mechanism.synthetic)
    }

    /// True if nothing in the program handled it.
    pub fn is_unhandled(&self) -> bool {
        self.mechanism.as_ref().is_some_and(|mechanism| mechanism.handled == Some(false))
    }
}

/// How an exception came to be reported.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mechanism {
    /// `generic`, `django`, `panic`, `chained`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// False: nothing in the program handled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<bool>,
    /// The type was made up by the SDK.
    #[serde(default, skip_serializing_if = "is_false")]
    pub synthetic: bool,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help_link: Option<String>,
    /// Whatever the SDK adds.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// Signal, errno, Mach exception.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
    /// Number of this exception in its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception_id: Option<i64>,
    /// Number of the exception that this one belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<i64>,
    /// It only holds others (`ExceptionGroup`, `AggregateError`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_exception_group: bool,
    /// How the parent holds it: `cause`, `__cause__`, `exceptions[0]`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
