//! The one error that ends the program: a sentence for the person, and the exit code that tells what failed.

use std::fmt;
use std::io;

/// Exit codes of `supervisor run`; they are part of the contract with whoever starts the appliance.
pub mod exit {
    /// An essential service is beyond repair.
    pub const SERVICE: u8 = 10;
    /// The appliance started but is not healthy.
    pub const HEALTH: u8 = 11;
    /// A migration failed.
    pub const MIGRATION: u8 = 12;
    /// The data directory is locked, foreign, newer than this program, or out of reach.
    pub const DATA_DIRECTORY: u8 = 13;
    /// The disk is full or cannot be written.
    pub const DISK: u8 = 14;
    /// A setting is wrong, or a program the appliance needs is not installed.
    pub const CONFIGURATION: u8 = 15;
    /// The port is taken.
    pub const PORT_IN_USE: u8 = 16;
}

/// Why the supervisor cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The exit code, one of [`exit`].
    pub exit: u8,
    /// One or more whole sentences or lines naming the thing, without secrets.
    pub message: String,
}

impl Fault {
    /// A fault with one of the codes of [`exit`].
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A wrong setting (exit code 15).
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(exit::CONFIGURATION, message)
    }

    /// Something in the data directory that cannot be written: exit code 14 when the disk is to blame, else 13.
    pub fn writing(message: impl Into<String>, error: &io::Error) -> Self {
        let disk = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
        );
        Self::new(if disk { exit::DISK } else { exit::DATA_DIRECTORY }, message)
    }

    /// A data directory that cannot be used (exit code 13).
    pub fn data_directory(message: impl Into<String>) -> Self {
        Self::new(exit::DATA_DIRECTORY, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
