//! A logged or captured message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message, with its template if the client sent one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LogEntry {
    /// The template, if it differs from what is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is shown; at most 8,192 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// What was put into the template: a list or an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

impl LogEntry {
    /// What people read.
    pub fn text(&self) -> &str {
        self.formatted.as_deref().or(self.message.as_deref()).unwrap_or_default()
    }
}
