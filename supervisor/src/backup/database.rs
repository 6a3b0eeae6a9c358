//! The database side of a backup: one snapshot, dumped and counted at the same time.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use crate::postgres::DATABASE;
use crate::postgres::client::{Connection, Running, Session, Tools};
use crate::secrets::Role;
use crate::task::{Place, PostgresPlace};

/// The folder of the bundled server's socket, in the data directory.
const SOCKET_FOLDER: &str = "run";
/// pg_dump waits so long for a table that is being changed.
const LOCK_PATIENCE: &str = "--lock-wait-timeout=60s";
/// Fast: most of the bytes are events, which are compressed already.
const COMPRESSION: &str = "--compress=1";

/// Every table that pg_dump writes rows of: not those of extensions, not those of sessions.
const TABLES: &str = "\
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
)";

/// The number of the last migration.
const SCHEMA_VERSION: &str = "select coalesce(max(version), 0) from _sqlx_migrations where success;";

/// How to reach the database of an appliance, and with what.
///
/// # Errors
/// One sentence.
pub(super) fn reach(place: &Place) -> Result<(Connection, Tools), String> {
    match &place.postgres {
        PostgresPlace::Bundled { bin, superuser_password, .. } => {
            let connection = Connection::socket(SOCKET_FOLDER, Role::Postgres.name(), superuser_password, DATABASE);
            Ok((connection, Tools::in_folder(bin)?))
        }
        PostgresPlace::External { url } => Ok((Connection::external(url)?, Tools::newest()?)),
        PostgresPlace::Absent => Err("This appliance has no database: its plan has no postgres".to_owned()),
    }
}

/// One snapshot of a database, held open.
#[derive(Debug)]
pub(super) struct Snapshot {
    session: Session,
    connection: Connection,
    tools: Tools,
    id: String,
    /// Version of the server, such as "17.2".
    pub(super) server_version: String,
    /// Its major version.
    pub(super) server_major: u32,
    /// Number of the last migration.
    pub(super) schema_version: i64,
    /// Bytes of all tables, without their indexes.
    pub(super) table_bytes: u64,
}

impl Snapshot {
    /// Begins a transaction that sees the database as it is now.
    ///
    /// # Errors
    /// One sentence: it cannot be reached, is newer than the programs here, or is no database of glitchbox.
    pub(super) fn take(connection: Connection, tools: Tools) -> Result<Self, String> {
        let mut session = Session::open(&connection, &tools.path("psql"))
            .map_err(|error| format!("The database cannot be reached: {error}"))?;
        let server_version = session.value("show server_version;")?;
        let server_version = server_version.split(' ').next().unwrap_or_default().to_owned();
        let number: u32 = session.value("show server_version_num;")?.parse().unwrap_or(0);
        let server_major = number / 10_000;
        if tools.major < server_major {
            let installed = tools.major;
            return Err(format!(
                "The programs here are of PostgreSQL {installed} and cannot dump a PostgreSQL {server_major} server. Install postgresql-client-{server_major}"
            ));
        }
        session.ask("begin isolation level repeatable read read only;")?;
        let id = session.value("select pg_export_snapshot();")?;
        let is_ours = "select to_regclass('_sqlx_migrations') is not null;";
        if session.value(is_ours)? != "t" {
            return Err("The database holds no tables of glitchbox: there is nothing to back up".to_owned());
        }
        let schema_version = session.value(SCHEMA_VERSION)?.parse().unwrap_or(0);
        let bytes = format!("select coalesce(sum(pg_table_size(c.oid)), 0)::bigint {TABLES};");
        let table_bytes = session.value(&bytes)?.parse().unwrap_or(0);
        Ok(Self { session, connection, tools, id, server_version, server_major, schema_version, table_bytes })
    }

    /// The programs that read it.
    pub(super) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Hands the dump to `take` as it comes, and counts the rows of every table meanwhile.
    ///
    /// # Errors
    /// What `take` or a program complained about.
    pub(super) fn dump<E: From<String>>(
        mut self,
        take: impl FnOnce(&mut dyn Read) -> Result<(), E>,
    ) -> Result<BTreeMap<String, u64>, E> {
        let mut command = self.connection.command(&self.tools.path("pg_dump"));
        command.args(["--format=custom", COMPRESSION, LOCK_PATIENCE, "--no-password", "--snapshot", &self.id]);
        command.stdout(Stdio::piped());
        let mut running = Running::start(command)?;
        let mut stdout = running.stdout().ok_or_else(|| "pg_dump has no pipe".to_owned())?;
        let rows = std::thread::scope(|scope| {
            let session = &mut self.session;
            let counting = scope.spawn(move || count(session));
            let taken = take(&mut stdout);
            // Its pipe closed, pg_dump ends in any case.
            drop(stdout);
            let finished = if taken.is_ok() { running.finish() } else { Ok(()) };
            let counted = counting.join().unwrap_or_else(|_| Err("the rows could not be counted".to_owned()));
            taken?;
            finished?;
            Ok::<_, E>(counted?)
        })?;
        self.session.close();
        Ok(rows)
    }
}

/// Rows of every table, by schema and name.
pub(super) fn count(session: &mut Session) -> Result<BTreeMap<String, u64>, String> {
    let each = format!(
        "select format('select %L, count(*) from %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname) {TABLES} order by 1 \\gexec"
    );
    let rows = session.ask(&each)?;
    rows.into_iter()
        .map(|row| {
            let (table, rows) = row.rsplit_once('\t').ok_or("psql gave a row that is not understood")?;
            Ok((table.to_owned(), rows.parse().map_err(|_| "psql gave a number that is none")?))
        })
        .collect()
}

/// Whether a database has no table yet.
pub(super) fn is_empty(session: &mut Session) -> Result<bool, String> {
    Ok(session.value(&format!("select not exists (select {TABLES});"))? == "t")
}

/// Whether the database of an appliance can be reached and has no table.
pub(super) fn is_known_empty(place: &Place) -> bool {
    let asked = reach(place).and_then(|(connection, tools)| {
        let mut session = Session::open(&connection, &tools.path("psql"))?;
        is_empty(&mut session)
    });
    asked == Ok(true)
}

/// Whether the server that runs has a restored database, whose last migration was at least this one, and takes the
/// installation's password.
///
/// # Errors
/// One sentence.
pub(super) fn check_served(place: &Place, schema_version: i64) -> Result<(), String> {
    let (connection, tools) = reach(place)?;
    let mut session = Session::open(&connection, &tools.path("psql"))
        .map_err(|error| format!("the restored database cannot be reached: {error}"))?;
    let version = session.value(SCHEMA_VERSION)?;
    session.close();
    if version.parse().is_ok_and(|version: i64| version >= schema_version) {
        return Ok(());
    }
    Err(format!("the server has a database of migration {version}, and not the restored one"))
}

/// What is restored, and as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The database.
    pub(super) connection: &'a Connection,
    /// Programs that fit its server.
    pub(super) tools: &'a Tools,
    /// The role that owns everything; none leaves that to the role of the connection.
    pub(super) owner: Option<Role>,
    /// Whether the grants of the dump can be made here.
    pub(super) with_grants: bool,
}

/// Puts a dump into an empty database, all of it or nothing.
///
/// # Errors
/// What pg_restore complained about.
pub(super) fn restore(dump: &mut dyn Read, into: Target<'_>) -> Result<(), String> {
    let mut command = into.connection.command(&into.tools.path("pg_restore"));
    command.args(["--dbname", "", "--single-transaction", "--exit-on-error", "--no-owner", "--no-password"]);
    if let Some(owner) = into.owner {
        command.args(["--role", owner.name()]);
    }
    if !into.with_grants {
        command.arg("--no-privileges");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = Running::start(command)?;
    let mut stdin = running.stdin().ok_or("pg_restore has no pipe")?;
    // Broken off by its end, pg_restore says itself why.
    let copied = std::io::copy(dump, &mut stdin);
    drop(stdin);
    running.finish()?;
    copied.map(|_| ()).map_err(|error| format!("the dump cannot be read: {error}"))
}

/// What the bundled cluster's dashboards may read, for a dump whose own grants are for other roles.
pub(super) fn grant_analytics(session: &mut Session) -> Result<(), String> {
    let (owner, reader) = (Role::App.name(), Role::Analytics.name());
    session
        .ask(&format!(
            "grant usage on schema analytics to {reader};
             grant select on all tables in schema analytics to {reader};
             alter default privileges for role {owner} in schema analytics grant select on tables to {reader};"
        ))
        .map(|_| ())
}

/// Free bytes of the disk that holds `folder`; `None` when its file system does not tell.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok().filter(|disk| disk.blocks() > 0)?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}
