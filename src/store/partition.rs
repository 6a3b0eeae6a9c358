//! The daily partitions of what comes in numbers: `event`, `log_record`, `span`, `attachment`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, PgPool};

use super::Result;

/// Advisory lock under which partitions are made (`"gbx" "part"`).
const LOCK: i64 = 0x67_62_78_70_61_72_74;

/// A table with a partition for each UTC day of receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Error events.
    Event,
    /// Log records.
    LogRecord,
    /// Spans, those of transactions among them.
    Span,
    /// Files.
    Attachment,
}

impl Table {
    const ALL: [Self; 4] = [Self::Event, Self::LogRecord, Self::Span, Self::Attachment];

    const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::LogRecord => "log_record",
            Self::Span => "span",
            Self::Attachment => "attachment",
        }
    }
}

/// Makes the partitions of `days` that are missing, of every table. Safe to call from several processes at once; when
/// nothing is missing it costs one look at the catalogue.
pub async fn ensure(pool: &PgPool, days: RangeInclusive<NaiveDate>) -> Result<()> {
    let wanted: Vec<NaiveDate> = days.start().iter_days().take_while(|day| day <= days.end()).collect();
    ensure_days(pool, &wanted).await
}

/// As [`ensure`], for any set of days.
pub async fn ensure_days(pool: &PgPool, days: &[NaiveDate]) -> Result<()> {
    if missing(pool, days).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    for (table, day) in missing(&mut *transaction, days).await? {
        create(&mut transaction, table, day).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The partitions of `days` that there are not.
async fn missing(db: impl PgExecutor<'_>, days: &[NaiveDate]) -> Result<Vec<(Table, NaiveDate)>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent in ('event'::regclass, 'log_record'::regclass, 'span'::regclass,
             'attachment'::regclass)",
    )
    .fetch_all(db)
    .await?;
    let present: BTreeSet<String> = names.into_iter().collect();
    let all = Table::ALL.into_iter().flat_map(|table| days.iter().map(move |day| (table, *day)));
    Ok(all.filter(|(table, day)| !present.contains(&name(*table, *day))).collect())
}

fn name(table: Table, day: NaiveDate) -> String {
    format!("{}_{}", table.name(), day.format("%Y%m%d"))
}

/// The days of which a table has a partition.
pub async fn list(db: impl PgExecutor<'_>, table: Table) -> Result<BTreeSet<NaiveDate>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = to_regclass($1)",
    )
    .bind(table.name())
    .fetch_all(db)
    .await?;
    let day = |name: &String| {
        let date = name.strip_prefix(table.name())?.strip_prefix('_')?;
        NaiveDate::parse_from_str(date, "%Y%m%d").ok()
    };
    Ok(names.iter().filter_map(day).collect())
}

/// Made apart and then attached: attaching lets readers and writers of the table go on, `create table ...
/// partition of` would stop them.
async fn create(db: &mut PgConnection, table: Table, day: NaiveDate) -> Result<()> {
    let Some(next) = day.checked_add_days(Days::new(1)) else { return Ok(()) };
    let (name, parent) = (name(table, day), table.name());
    // Only names of ours and dates go into the text.
    let sql = format!(
        "create table {name} (like {parent} including all);
         alter table {parent} attach partition {name} for values from ('{day}') to ('{next}')"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await?;
    Ok(())
}

/// Drops a day of a table with all that is in it; a day that has no partition is no error. While it waits for those who
/// use the table, everybody else waits behind it; so it gives up after `wait` (a conflict). The files are removed after the
/// locks have been given back.
pub async fn remove(pool: &PgPool, table: Table, day: NaiveDate, wait: Duration) -> Result<()> {
    let mut transaction = pool.begin().await?;
    // Only a number and a name of ours go into the text.
    let sql =
        format!("set local lock_timeout = {}; drop table if exists {}", wait.as_millis().max(1), name(table, day));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
