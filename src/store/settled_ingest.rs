//! Table `settled_ingest`: receptions that have been dealt with and have no row of their own.

use std::collections::HashSet;

use chrono::NaiveDate;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Result;

/// Notes receptions (the day and the edge's id of each); says which were not noted before.
pub async fn note(db: &mut PgConnection, mut receptions: Vec<(NaiveDate, Uuid)>) -> Result<HashSet<Uuid>> {
    // One order for all writers, so that two with the same rows never deadlock.
    receptions.sort_unstable();
    let (days, ids): (Vec<NaiveDate>, Vec<Uuid>) = receptions.into_iter().unzip();
    let noted: Vec<Uuid> = sqlx::query_scalar(
        "insert into settled_ingest (received_on, ingest_id) select * from unnest($1::date[], $2::uuid[])
         on conflict do nothing returning ingest_id",
    )
    .bind(days)
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(noted.into_iter().collect())
}

/// Which of these receptions are noted.
pub async fn known(db: impl PgExecutor<'_>, receptions: &[(NaiveDate, Uuid)]) -> Result<HashSet<Uuid>> {
    let (days, ids): (Vec<NaiveDate>, Vec<Uuid>) = receptions.iter().copied().unzip();
    let known: Vec<Uuid> = sqlx::query_scalar(
        "select s.ingest_id from unnest($1::date[], $2::uuid[]) as n (received_on, ingest_id)
         join settled_ingest s on s.received_on = n.received_on and s.ingest_id = n.ingest_id",
    )
    .bind(days)
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(known.into_iter().collect())
}

/// Removes at most `limit` notes made before `day`; says how many went.
pub async fn delete_before(db: impl PgExecutor<'_>, day: NaiveDate, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from settled_ingest where ctid = any (array(
             select ctid from settled_ingest where settled_on < $1 order by settled_on limit $2
             for update skip locked))",
    )
    .bind(day)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
