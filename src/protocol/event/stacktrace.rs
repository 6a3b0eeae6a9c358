//! Stack traces and their frames.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::is_false;

/// A stack trace with at least one frame.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Stacktrace {
    /// Caller first, crash last; at most 250.
    pub frames: Vec<Frame>,
    /// First and one past the last of the frames that were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_omitted: Option<(u64, u64)>,
    /// Processor registers by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub registers: Map<String, Value>,
    /// Programming language, if the platform leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Taken of a running thread, not where something was raised.
    #[serde(default, skip_serializing_if = "is_false")]
    pub snapshot: bool,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Frame {
    /// Relative to the program, or the path of a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// On disk, or the whole URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abs_path: Option<String>,
    /// As people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// As the program names it, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_function: Option<String>,
    /// Module, or class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Library or image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Symbol in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineno: Option<u64>,
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colno: Option<u64>,
    /// Part of the program itself, not of a library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_app: Option<bool>,
    /// Lines before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_context: Vec<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_line: Option<String>,
    /// Lines after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_context: Vec<String>,
    /// Local variables.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
    /// If it differs from the event's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Hexadecimal with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_addr: Option<String>,
    /// Hexadecimal with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol_addr: Option<String>,
    /// Hexadecimal with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_addr: Option<String>,
    /// `abs` or `rel:N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr_mode: Option<String>,
    /// WebAssembly's number of the function, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_id: Option<String>,
    /// How the frame was found while unwinding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// An asynchronous stack begins here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stack_start: bool,
    /// A lock that the frame holds or waits for.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub lock: Map<String, Value>,
    /// Remarks of SDK and symbolication (`sourcemap`, `orig_in_app`, …).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}
