//! Backups: one file each, made while everything runs, checked by restoring it, and put back whole or not at all.
//!
//! ```text
//! glitchbox-20261120T020100Z.tar
//!   database.dump      pg_dump -Fc of one snapshot
//!   uploads/...        what people have uploaded
//!   secrets/...        what sessions, tokens and signatures need (not the passwords of the bundled servers)
//!   manifest.json      versions, sizes, checksums, the number of rows of every table
//!   checksum           SHA-256 of every byte before it
//! ```
//!
//! Passwords of PostgreSQL's roles and of Redis belong to the installation: a restored database gets those of the
//! installation it is restored into.

pub mod archive;
mod contents;
pub mod create;
mod database;
pub mod keep;
pub mod limit;
pub mod list;
pub mod manifest;
pub mod restore;
pub mod swap;
mod trial;
pub mod verify;

/// The folder of the data directory that holds backups.
pub const FOLDER: &str = "backups";

/// Tells how far a task is: a line on standard error.
fn say(text: &str) {
    eprintln!("{text}");
}
