//! What a backup says of itself, and whether this installation can take it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::archive::Member;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the backup's format.
    pub format: u32,
    /// The glitchbox that made it.
    pub glitchbox_version: String,
    /// Number of the last migration of its database.
    pub schema_version: i64,
    /// The server it was made from, such as "17.2".
    pub postgres_version: String,
    /// Major version of that server.
    pub postgres_major: u32,
    /// The moment of the snapshot.
    pub created_at: DateTime<Utc>,
    /// Where it comes from.
    pub instance: Instance,
    /// The programs that made it.
    pub tools: Tools,
    /// Bytes that its tables took in the database, without indexes.
    pub table_bytes: u64,
    /// Every file in it but the manifest itself and the checksum.
    pub members: Vec<Member>,
    /// Rows of every table in the snapshot, by schema and name.
    pub rows: BTreeMap<String, u64>,
}

/// Where a backup comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its public address.
    pub url: String,
    /// Its data directory.
    pub data_dir: String,
    /// True when its database was that of `DATABASE_URL`.
    pub external_database: bool,
}

/// The programs that made a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// `pg_dump --version`.
    pub pg_dump: String,
    /// Its major version: an older pg_restore cannot read what it wrote.
    pub pg_dump_major: u32,
}

/// What this installation can take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Number of the last migration known here; none when it cannot be told.
    pub schema_version: Option<i64>,
    /// Major version of PostgreSQL here.
    pub postgres_major: u32,
}

/// Read first: other formats may have nothing else in common.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Manifest {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// A few words: it is damaged, or newer than this program.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let damaged = |error: serde_json::Error| format!("its manifest.json cannot be read: {error}");
        let AnyFormat { format } = serde_json::from_slice(text).map_err(damaged)?;
        if format > FORMAT {
            return Err(format!(
                "it was made by a newer glitchbox: its format is {format}, and this version reads up to {FORMAT}"
            ));
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    /// Whether it can be restored here.
    ///
    /// # Errors
    /// A few words saying what is too new.
    pub fn check(&self, limits: Limits) -> Result<(), String> {
        if let Some(known) = limits.schema_version.filter(|known| self.schema_version > *known) {
            return Err(format!(
                "it was made by a newer glitchbox ({}): its database has migration {}, and this version knows up to {known}",
                self.glitchbox_version, self.schema_version
            ));
        }
        let here = limits.postgres_major;
        if self.postgres_major > here {
            return Err(format!(
                "it comes from PostgreSQL {}, newer than the PostgreSQL {here} here",
                self.postgres_version
            ));
        }
        let dumped_by = self.tools.pg_dump_major;
        if dumped_by > here {
            return Err(format!("it was written by pg_dump {dumped_by}, newer than the PostgreSQL {here} here"));
        }
        Ok(())
    }

    /// All rows together.
    pub fn total_rows(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// How restored rows differ from those of the manifest, if they do.
///
/// # Errors
/// A few words naming the first table that differs.
pub fn compare_rows(manifest: &BTreeMap<String, u64>, found: &BTreeMap<String, u64>) -> Result<(), String> {
    for (table, rows) in manifest {
        match found.get(table) {
            None => return Err(format!("table {table} is missing after restoring it")),
            Some(there) if there != rows => {
                return Err(format!("table {table} has {there} rows after restoring it, and should have {rows}"));
            }
            Some(_) => {}
        }
    }
    match found.keys().find(|table| !manifest.contains_key(*table)) {
        Some(table) => Err(format!("table {table} is there after restoring it, and should not be")),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample() -> Manifest {
        Manifest {
            format: FORMAT,
            glitchbox_version: "0.1.0".to_owned(),
            schema_version: 6,
            postgres_version: "16.3".to_owned(),
            postgres_major: 16,
            created_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            instance: Instance {
                url: "http://localhost:8000".to_owned(),
                data_dir: "/data".to_owned(),
                external_database: false,
            },
            tools: Tools { pg_dump: "pg_dump (PostgreSQL) 16.3".to_owned(), pg_dump_major: 16 },
            table_bytes: 8192,
            members: Vec::new(),
            rows: [("public.event".to_owned(), 3)].into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = sample();
        assert_eq!(Manifest::read(&serde_json::to_vec(&manifest).unwrap()), Ok(manifest));
    }

    #[test]
    fn newer_is_refused_with_the_reason() {
        let newer = Manifest::read(br#"{"format":2,"everything":"else"}"#).unwrap_err();
        assert!(newer.contains("its format is 2"), "{newer}");
        let here = |schema, postgres_major| Limits { schema_version: Some(schema), postgres_major };
        assert_eq!(sample().check(here(6, 16)), Ok(()));
        assert_eq!(sample().check(here(7, 17)), Ok(()));
        assert!(sample().check(here(5, 16)).unwrap_err().contains("migration 6"));
        assert!(sample().check(here(6, 15)).unwrap_err().contains("PostgreSQL 16.3"));
        let mut by_newer = sample();
        by_newer.tools.pg_dump_major = 17;
        assert!(by_newer.check(here(6, 16)).unwrap_err().contains("pg_dump 17"));
    }

    #[test]
    fn differing_rows_are_named() {
        let rows = |rows: &[(&str, u64)]| rows.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect();
        let manifest = rows(&[("a", 1), ("b", 2)]);
        assert_eq!(compare_rows(&manifest, &manifest), Ok(()));
        assert!(compare_rows(&manifest, &rows(&[("a", 1), ("b", 3)])).unwrap_err().contains("table b has 3 rows"));
        assert!(compare_rows(&manifest, &rows(&[("a", 1)])).unwrap_err().contains("table b is missing"));
        assert!(compare_rows(&rows(&[]), &rows(&[("c", 0)])).unwrap_err().contains("table c"));
    }
}
