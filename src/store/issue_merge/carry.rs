//! Moves events after their issue was merged, or a part of it was split off.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool, QueryBuilder};
use uuid::Uuid;

use super::{lock_issues, lock_project};
use crate::ids::{EventId, IssueId, ProjectId};
use crate::protocol::{EventKind, Level};
use crate::store::Result;
use crate::store::event_batch::{NewEvent, describe, recount};
use crate::store::payload_dictionary::Decoders;

/// Events that change their issue in one transaction.
const PORTION: i64 = 2_000;

/// As [`PORTION`], of those that have to be read for it.
const READ_PORTION: i64 = 250;

/// How long somebody who merges or splits waits for the events.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is still to be done.
#[derive(sqlx::FromRow)]
struct Move {
    id: i64,
    project_id: ProjectId,
    from_issue_id: IssueId,
    to_issue_id: IssueId,
    hash_prefix: Option<i64>,
}

/// Moves events until none is left to be moved, but no longer than it pays to wait for; the rest is the beat's.
pub async fn carry(pool: &PgPool) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && carry_some(pool).await? {}
    Ok(())
}

/// Moves one portion of the events that are still to be moved; false when there are none. May be called by several processes
/// at once.
pub async fn carry_some(pool: &PgPool) -> Result<bool> {
    let Some(next) = first(pool).await? else { return Ok(false) };
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    lock_project(db, next.project_id).await?;
    // Somebody else may have been faster.
    if let Some(next) = sqlx::query_as::<_, Move>(
        "select id, project_id, from_issue_id, to_issue_id, hash_prefix from event_move where id = $1",
    )
    .bind(next.id)
    .fetch_optional(&mut *db)
    .await?
    {
        let is_done = match next.hash_prefix {
            None => carry_all(db, &next).await?,
            Some(prefix) => carry_part(pool, db, &next, prefix).await?,
        };
        if is_done {
            sqlx::query("delete from event_move where id = $1").bind(next.id).execute(&mut *db).await?;
        }
    }
    transaction.commit().await?;
    Ok(true)
}

/// The oldest: a later one may be about what an earlier one moves.
async fn first(pool: &PgPool) -> Result<Option<Move>> {
    let found = sqlx::query_as(
        "select id, project_id, from_issue_id, to_issue_id, hash_prefix from event_move order by id limit 1",
    )
    .fetch_optional(pool)
    .await?;
    Ok(found)
}

/// Of a merged issue; what was counted for its events has moved already. True when all are there.
async fn carry_all(db: &mut PgConnection, next: &Move) -> Result<bool> {
    let done = sqlx::query(
        "with portion as (
             select event_id, received_on from event where project_id = $1 and issue_id = $2
             order by received_at, event_id limit $4
         )
         update event e set issue_id = $3 from portion
         where e.project_id = $1 and e.event_id = portion.event_id and e.received_on = portion.received_on",
    )
    .bind(next.project_id)
    .bind(next.from_issue_id)
    .bind(next.to_issue_id)
    .bind(PORTION)
    .execute(db)
    .await?;
    Ok(done.rows_affected() < PORTION.unsigned_abs())
}

/// An event as it has to be read to know what was counted for it.
#[derive(sqlx::FromRow)]
struct Row {
    event_id: EventId,
    ingest_id: Uuid,
    received_at: DateTime<Utc>,
    received_on: NaiveDate,
    occurred_at: DateTime<Utc>,
    #[sqlx(try_from = "i16")]
    kind: EventKind,
    #[sqlx(try_from = "i16")]
    level: Level,
    platform: String,
    environment: Option<String>,
    release: Option<String>,
    payload: Vec<u8>,
}

/// Of a part that was split off. True when all are there.
async fn carry_part(pool: &PgPool, db: &mut PgConnection, next: &Move, prefix: i64) -> Result<bool> {
    let locked = lock_issues(db, next.project_id, &[next.from_issue_id, next.to_issue_id]).await?;
    if locked.len() < 2 {
        // One of them has outlived its events.
        return Ok(true);
    }
    let rows = Row::oldest_of_part(db, next, prefix).await?;
    let is_last = rows.len() < usize::try_from(READ_PORTION).unwrap_or(usize::MAX);
    if !rows.is_empty() {
        sqlx::query(
            "update event e set issue_id = $2 from unnest($3::uuid[], $4::date[]) as n (event_id, received_on)
             where e.project_id = $1 and e.event_id = n.event_id and e.received_on = n.received_on",
        )
        .bind(next.project_id)
        .bind(next.to_issue_id)
        .bind(rows.iter().map(|row| row.event_id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.received_on).collect::<Vec<_>>())
        .execute(&mut *db)
        .await?;
        let events = read(pool, next.project_id, rows).await?;
        recount(db, (next.project_id, next.from_issue_id), next.to_issue_id, &events).await?;
    }
    if is_last {
        set_bounds(db, next).await?;
        let latest = Row::latest_of_rest(db, next).await?;
        if let [event] = read(pool, next.project_id, latest).await?.as_slice() {
            describe(db, next.from_issue_id, event).await?;
        }
    }
    Ok(is_last)
}

/// The events that can be read. One that cannot has moved all the same: nothing behind it ever would.
async fn read(pool: &PgPool, project: ProjectId, rows: Vec<Row>) -> Result<Vec<NewEvent>> {
    let decoders = Decoders::of(pool, rows.iter().map(|row| (project, row.payload.as_slice()))).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.event_id.0;
        match row.read(project, &decoders) {
            Ok(event) => events.push(event),
            Err(error) => tracing::error!(%error, event.id = %id, "a stored event cannot be read: it moves uncounted"),
        }
    }
    Ok(events)
}

/// When the issue that lost a part was first and last seen, if that was by an event of the part.
async fn set_bounds(db: &mut PgConnection, next: &Move) -> Result<()> {
    sqlx::query(
        "update issue f set
             first_seen = case when t.first_seen <= f.first_seen then r.earliest else f.first_seen end,
             last_seen = case when t.last_seen >= f.last_seen then r.latest else f.last_seen end
         from issue t, (select min(occurred_at) as earliest, max(occurred_at) as latest
                        from event where project_id = $1 and issue_id = $2) r
         where f.project_id = $1 and f.id = $2 and t.project_id = $1 and t.id = $3 and r.earliest is not null",
    )
    .bind(next.project_id)
    .bind(next.from_issue_id)
    .bind(next.to_issue_id)
    .execute(db)
    .await?;
    Ok(())
}

const COLUMNS: &str =
    "select event_id, ingest_id, received_at, received_on, occurred_at, kind, level, platform, environment,
    release, payload from event where project_id = ";

impl Row {
    /// The next portion of those that are to move.
    async fn oldest_of_part(db: &mut PgConnection, next: &Move, prefix: i64) -> Result<Vec<Self>> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push_bind(next.project_id).push(" and issue_id = ").push_bind(next.from_issue_id);
        sql.push(" and hash_prefix = ").push_bind(prefix);
        sql.push(" order by received_at, event_id limit ").push_bind(READ_PORTION);
        Ok(sql.build_query_as().fetch_all(db).await?)
    }

    /// The latest of those that stay, if any do.
    async fn latest_of_rest(db: &mut PgConnection, next: &Move) -> Result<Vec<Self>> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push_bind(next.project_id).push(" and issue_id = ").push_bind(next.from_issue_id);
        sql.push(" order by received_at desc, event_id desc limit 1");
        Ok(sql.build_query_as().fetch_all(db).await?)
    }

    fn read(self, project_id: ProjectId, decoders: &Decoders) -> std::io::Result<NewEvent> {
        let event = decoders.event(project_id, &self.payload)?;
        Ok(NewEvent {
            project_id,
            event_id: self.event_id,
            ingest_id: self.ingest_id,
            received_at: self.received_at,
            received_on: self.received_on,
            occurred_at: self.occurred_at,
            kind: self.kind,
            level: self.level,
            platform: self.platform,
            environment: self.environment,
            release: self.release,
            // Its issue is known.
            hash: [0; 32],
            hash_version: 0,
            metadata: serde_json::to_value(&event.metadata).unwrap_or_default(),
            is_unhandled: event.exception.values.iter().any(crate::protocol::event::Exception::is_unhandled),
            user: event.user.as_ref().and_then(crate::protocol::event::User::tag),
            title: event.title,
            culprit: event.culprit,
            logger: event.logger,
            tags: event.tags,
            payload: self.payload,
        })
    }
}
