//! The daily partitions of `event`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, PgPool};

use super::Result;

/// Advisory lock under which partitions are made (`"gbx" "part"`).
const LOCK: i64 = 0x67_62_78_70_61_72_74;

/// Makes the partitions of `days` that are missing. Safe to call from several processes at once; when
/// nothing is missing it costs one look at the catalogue.
pub async fn ensure(pool: &PgPool, days: RangeInclusive<NaiveDate>) -> Result<()> {
    let wanted: Vec<NaiveDate> = days.start().iter_days().take_while(|day| day <= days.end()).collect();
    ensure_days(pool, &wanted).await
}

/// As [`ensure`], for any set of days.
pub async fn ensure_days(pool: &PgPool, days: &[NaiveDate]) -> Result<()> {
    let present = list(pool).await?;
    if days.iter().all(|day| present.contains(day)) {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    let present = list(&mut *transaction).await?;
    for day in days.iter().filter(|day| !present.contains(day)) {
        create(&mut transaction, *day).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The days that have a partition.
pub async fn list(db: impl PgExecutor<'_>) -> Result<BTreeSet<NaiveDate>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'event'::regclass",
    )
    .fetch_all(db)
    .await?;
    Ok(names.iter().filter_map(|name| NaiveDate::parse_from_str(name, "event_%Y%m%d").ok()).collect())
}

/// Made apart and then attached: attaching lets readers and writers of `event` go on, `create table ...
/// partition of` would stop them.
async fn create(db: &mut PgConnection, day: NaiveDate) -> Result<()> {
    let Some(next) = day.checked_add_days(Days::new(1)) else { return Ok(()) };
    let name = day.format("event_%Y%m%d");
    // Only dates, formatted by us, go into the text.
    let sql = format!(
        "create table {name} (like event including all);
         alter table event attach partition {name} for values from ('{day}') to ('{next}')"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await?;
    Ok(())
}

/// Drops a day with all its events; a day that has no partition is no error. While it waits for those who use table
/// `event`, everybody else waits behind it; so it gives up after `wait` (a conflict). The files are removed after the
/// locks have been given back.
pub async fn remove(pool: &PgPool, day: NaiveDate, wait: Duration) -> Result<()> {
    let mut transaction = pool.begin().await?;
    // Only a number and a date, formatted by us, go into the text.
    let sql = format!(
        "set local lock_timeout = {}; drop table if exists event_{}",
        wait.as_millis().max(1),
        day.format("%Y%m%d")
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
