//! An HTTP request.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The request being served, or the page being shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// Without query and fragment; at most 2,048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Decoded, in the order sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query_string: Vec<(String, String)>,
    /// Behind `#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
    /// Sorted by name, names in title case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// In the order sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<(String, String)>,
    /// The body: text, or what JSON or a form held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What the body was taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inferred_content_type: Option<String>,
    /// Variables of the server (`REMOTE_ADDR`, …).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub env: Map<String, Value>,
}

impl Request {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
