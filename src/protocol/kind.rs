//! The small closed sets that events are sorted by. The numbers are those of the tables.

use serde::{Deserialize, Serialize};

/// An event's severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum Level {
    /// For developers.
    Debug = 0,
    /// Worth knowing.
    Info = 1,
    /// May become an error.
    Warning = 2,
    /// The default of an event.
    Error = 3,
    /// The program ended or could not go on.
    Fatal = 4,
}

impl Level {
    /// The protocol's name of the level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The number stored for the level.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The level stored as `code`; an unknown number is an error event.
    pub const fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warning,
            4 => Self::Fatal,
            _ => Self::Error,
        }
    }
}

impl From<i16> for Level {
    fn from(code: i16) -> Self {
        Self::from_code(code)
    }
}

/// What an issue's events are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum EventKind {
    /// A message without an exception.
    Default = 0,
    /// An exception.
    Error = 1,
    /// A browser's report of a content-security-policy violation.
    Csp = 2,
}

impl EventKind {
    /// The protocol's name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Error => "error",
            Self::Csp => "csp",
        }
    }

    /// The number stored for the kind.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The kind stored as `code`.
    pub const fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Error,
            2 => Self::Csp,
            _ => Self::Default,
        }
    }
}

impl From<i16> for EventKind {
    fn from(code: i16) -> Self {
        Self::from_code(code)
    }
}
