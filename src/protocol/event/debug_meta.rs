//! What symbolication needs to know of the program.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Loaded images and source maps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DebugMeta {
    /// One object each, with at least a `type`: `sourcemap`, `elf`, `macho`, `pe`, `wasm`, `proguard`, ….
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Map<String, Value>>,
    /// The version of the system's own libraries.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub sdk_info: Map<String, Value>,
}
