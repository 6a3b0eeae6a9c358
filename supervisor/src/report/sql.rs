//! Asking the bundled PostgreSQL by its own client. The password goes by the environment, never by the command line.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use serde::Deserialize;

use super::model::Database;
use crate::postgres::DATABASE;
use crate::secrets::Role;
use crate::settings::Secret;

/// One row with everything; whatever the role may not see is null.
const FACTS: &str = "\
select json_build_object(
  'version', current_setting('server_version'),
  'size', pg_database_size(current_database()),
  'wal', (select coalesce(sum(size), 0)::bigint from pg_ls_waldir()),
  'conns', (select count(*) from pg_stat_activity where backend_type = 'client backend'),
  'max_conns', current_setting('max_connections')::bigint,
  'xid_age', (select max(age(datfrozenxid)) from pg_database),
  'partitions_until', (select max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([0-9-]{10})'))[1]::date) - 1 from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass('event')),
  'stale', (select coalesce(json_agg(t.relname), '[]') from (select relname from pg_stat_user_tables where n_live_tup >= 10000 and n_mod_since_analyze > n_live_tup order by n_live_tup desc limit 5) t),
  'checksum_failures', (select case when current_setting('data_checksums') = 'on' then coalesce(sum(checksum_failures), 0)::bigint end from pg_stat_database))";

/// Pause between two looks whether psql has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// The row.
#[derive(Deserialize)]
struct Row {
    version: String,
    size: u64,
    wal: Option<u64>,
    conns: u64,
    max_conns: u64,
    xid_age: u64,
    partitions_until: Option<NaiveDate>,
    stale: Vec<String>,
    checksum_failures: Option<u64>,
}

/// Logs in as superuser and asks; blocks for at most `limit`. The working directory is the data directory.
///
/// # Errors
/// What PostgreSQL or its client says, in one line.
pub(super) fn facts(bin: &Path, password: &Secret, limit: Duration) -> Result<Database, String> {
    let answer = ask(bin, password, FACTS, limit)?;
    let row: Row = serde_json::from_str(&answer).map_err(|error| format!("its answer is not understood: {error}"))?;
    Ok(Database {
        version: row.version,
        size: row.size,
        wal: row.wal,
        conns: row.conns,
        max_conns: row.max_conns,
        xid_age: row.xid_age,
        checksum_failures: row.checksum_failures,
        partitions_until: row.partitions_until,
        stale: row.stale,
    })
}

/// Has everything written to the tables, so that a crash has little to be recovered from; blocks for at most `limit`.
///
/// # Errors
/// What PostgreSQL or its client says, in one line.
pub(super) fn checkpoint(bin: &Path, password: &Secret, limit: Duration) -> Result<(), String> {
    ask(bin, password, "checkpoint", limit).map(drop)
}

fn ask(bin: &Path, password: &Secret, query: &str, limit: Duration) -> Result<String, String> {
    let seconds = limit.as_secs().max(1);
    let mut command = Command::new(bin.join("psql"));
    command
        .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-c", query])
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        // Short, however long the data directory's path is.
        .env("PGHOST", "/proc/self/cwd/run")
        .env("PGPORT", "5432")
        .env("PGUSER", Role::Postgres.name())
        .env("PGDATABASE", DATABASE)
        .env("PGPASSWORD", password.expose())
        .env("PGAPPNAME", "glitchbox-report")
        .env("PGCONNECT_TIMEOUT", seconds.max(2).to_string())
        .env("PGOPTIONS", format!("-c statement_timeout={}", limit.as_millis()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("psql cannot be started: {error}"))?;
    let ended = wait(&mut child, Instant::now() + limit);
    let read = |stream: &mut dyn Read| {
        let mut text = String::new();
        let _ = stream.take(64 * 1024).read_to_string(&mut text);
        text
    };
    // Both are far smaller than a pipe holds, so psql did not wait for us.
    let answer = child.stdout.as_mut().map(|stream| read(stream)).unwrap_or_default();
    let words = child.stderr.as_mut().map(|stream| read(stream)).unwrap_or_default();
    match ended {
        Some(true) => Ok(answer.trim().to_owned()),
        Some(false) => Err(words.lines().next().unwrap_or("psql failed without a word").to_owned()),
        None => Err(format!("no answer within {seconds} s")),
    }
}

/// Whether it ended well; `None` when it had to be killed.
fn wait(child: &mut Child, deadline: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
