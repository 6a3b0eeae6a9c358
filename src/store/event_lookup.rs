//! Single events and lists of them, payload included.

use chrono::{DateTime, Days, Utc};
use sqlx::{PgPool, QueryBuilder};
use uuid::Uuid;

use super::Result;
use super::page::{Cursor, MAX_LIMIT, Page};
use super::payload_dictionary::Decoders;
use crate::ids::{EventId, IssueId, ProjectId};
use crate::protocol::event::Event;
use crate::protocol::{EventKind, Level};

/// A stored event.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// Its id, unique in the project.
    pub event_id: EventId,
    /// The issue it belongs to.
    pub issue_id: IssueId,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// Its own time, corrected for clock drift.
    pub occurred_at: DateTime<Utc>,
    /// What it is made of.
    pub kind: EventKind,
    /// Its severity.
    pub level: Level,
    /// `python`, `javascript`, ...
    pub platform: String,
    /// The SDK's environment.
    pub environment: Option<String>,
    /// The SDK's release.
    pub release: Option<String>,
    /// The normalised event.
    pub event: Event,
    /// The same as JSON, byte for byte as it was stored.
    pub json: Vec<u8>,
}

/// Where to look for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All events of the project.
    Project(ProjectId),
    /// The events of one of the project's issues.
    Issue(ProjectId, IssueId),
}

/// The events directly before and behind one in its issue, by time of receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct Neighbours {
    /// The next older one.
    pub previous: Option<EventId>,
    /// The next younger one.
    pub next: Option<EventId>,
}

#[derive(sqlx::FromRow)]
struct Row {
    project_id: ProjectId,
    event_id: EventId,
    issue_id: IssueId,
    received_at: DateTime<Utc>,
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

impl Row {
    fn packed(&self) -> (ProjectId, &[u8]) {
        (self.project_id, &self.payload)
    }
}

impl StoredEvent {
    fn read(row: Row, decoders: &Decoders) -> std::result::Result<Self, sqlx::Error> {
        let json =
            decoders.decompress(row.project_id, &row.payload).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let event = serde_json::from_slice(&json).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self {
            project_id: row.project_id,
            event_id: row.event_id,
            issue_id: row.issue_id,
            received_at: row.received_at,
            occurred_at: row.occurred_at,
            kind: row.kind,
            level: row.level,
            platform: row.platform,
            environment: row.environment,
            release: row.release,
            event,
            json,
        })
    }
}

/// The issue's event that was received last.
pub async fn latest(pool: &PgPool, project: ProjectId, issue: IssueId) -> Result<Option<StoredEvent>> {
    let row = sqlx::query_as(
        "select project_id, event_id, issue_id, received_at, occurred_at, kind, level, platform, environment, release,
            payload
        from event where project_id = $1 and issue_id = $2
        order by received_at desc, event_id desc limit 1",
    )
    .bind(project)
    .bind(issue)
    .fetch_optional(pool)
    .await?;
    read(pool, row).await
}

/// The issue's event that was received first, of those still kept.
pub async fn oldest(pool: &PgPool, project: ProjectId, issue: IssueId) -> Result<Option<StoredEvent>> {
    let row = sqlx::query_as(
        "select project_id, event_id, issue_id, received_at, occurred_at, kind, level, platform, environment, release,
            payload
        from event where project_id = $1 and issue_id = $2
        order by received_at, event_id limit 1",
    )
    .bind(project)
    .bind(issue)
    .fetch_optional(pool)
    .await?;
    read(pool, row).await
}

/// The project's event with this id. An id that was received again on another day names the later one.
pub async fn by_id(pool: &PgPool, project: ProjectId, event: EventId) -> Result<Option<StoredEvent>> {
    let row = sqlx::query_as(
        "select project_id, event_id, issue_id, received_at, occurred_at, kind, level, platform, environment, release,
            payload
        from event where project_id = $1 and event_id = $2
        order by received_on desc limit 1",
    )
    .bind(project)
    .bind(event)
    .fetch_optional(pool)
    .await?;
    read(pool, row).await
}

/// The issue of the event with this id, in whichever of these projects has it.
pub async fn issue_of(pool: &PgPool, projects: &[ProjectId], event: EventId) -> Result<Option<IssueId>> {
    let issue = sqlx::query_scalar(
        "select issue_id from event where project_id = any($1) and event_id = $2 order by received_on desc limit 1",
    )
    .bind(projects)
    .bind(event)
    .fetch_optional(pool)
    .await?;
    Ok(issue)
}

/// Where an event is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Whereabouts {
    /// The project it was sent to.
    pub project_id: ProjectId,
    /// The issue it belongs to.
    pub issue_id: IssueId,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
}

/// Every place where an event with this id is stored, the latest first; at most 20.
pub async fn everywhere(pool: &PgPool, event: EventId) -> Result<Vec<Whereabouts>> {
    // Named one by one, the projects lead into the primary key; no index has the ids alone.
    let rows = sqlx::query_as(
        "select project_id, issue_id, received_at from event
        where project_id = any(array(select id from project)) and event_id = $1
        order by received_on desc, project_id limit 20",
    )
    .bind(event)
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The events directly before and behind `event` in its issue.
pub async fn neighbours(pool: &PgPool, event: &StoredEvent) -> Result<Neighbours> {
    let neighbours = sqlx::query_as(
        "select
            (select event_id from event
                where project_id = $1 and issue_id = $2 and (received_at, event_id) < ($3, $4)
                order by received_at desc, event_id desc limit 1) as previous,
            (select event_id from event
                where project_id = $1 and issue_id = $2 and (received_at, event_id) > ($3, $4)
                order by received_at, event_id limit 1) as next",
    )
    .bind(event.project_id)
    .bind(event.issue_id)
    .bind(event.received_at)
    .bind(event.event_id)
    .fetch_one(pool)
    .await?;
    Ok(neighbours)
}

/// A page of events, at most `limit` (1 to 100), received last first.
pub async fn list(pool: &PgPool, scope: Scope, cursor: Option<Cursor>, limit: usize) -> Result<Page<StoredEvent>> {
    let limit = limit.clamp(1, MAX_LIMIT);
    // No index has a project's events by time, but partitions have them by day: a project that is
    // busy fills its page from one or two of them, and only the others need more.
    let windows: &[Option<u64>] = match scope {
        Scope::Project(_) => &[Some(1), Some(7), None],
        Scope::Issue(..) => &[None],
    };
    let mut rows = Vec::new();
    for days in windows {
        rows = nearest(pool, scope, cursor, *days, limit).await?;
        if rows.len() > limit {
            break;
        }
    }
    let page =
        Page::from_nearest(rows, cursor, limit, |row| (row.received_at.timestamp_micros(), row.event_id.0.as_u128()));
    let decoders = Decoders::of(pool, page.items.iter().map(Row::packed)).await?;
    Ok(page.try_map(|row| StoredEvent::read(row, &decoders))?)
}

/// Up to `limit + 1` events from the cursor on (without one: from now on), the nearest first, of so
/// many days only.
async fn nearest(
    pool: &PgPool,
    scope: Scope,
    cursor: Option<Cursor>,
    days: Option<u64>,
    limit: usize,
) -> Result<Vec<Row>> {
    let backwards = cursor.is_some_and(|cursor| cursor.backwards);
    // A cursor somebody made up may name a time that cannot be: begin at the oldest then.
    let start = cursor.map(|cursor| DateTime::from_timestamp_micros(cursor.value).unwrap_or_default());
    let mut sql = QueryBuilder::new(
        "select project_id, event_id, issue_id, received_at, occurred_at, kind, level, platform, environment, release,
            payload
        from event where project_id = ",
    );
    match scope {
        Scope::Project(project) => sql.push_bind(project),
        Scope::Issue(project, issue) => sql.push_bind(project).push(" and issue_id = ").push_bind(issue),
    };
    if let (Some(cursor), Some(start)) = (cursor, start) {
        sql.push(if backwards { " and received_on >= " } else { " and received_on <= " });
        sql.push_bind(start.date_naive()).push(" and (received_at, event_id) ");
        sql.push(if backwards { "> (" } else { "< (" }).push_bind(start);
        sql.push(", ").push_bind(Uuid::from_u128(cursor.tie)).push(")");
    }
    if let Some(days) = days {
        let day = start.unwrap_or_else(Utc::now).date_naive();
        let edge =
            if backwards { day.checked_add_days(Days::new(days)) } else { day.checked_sub_days(Days::new(days)) };
        sql.push(if backwards { " and received_on <= " } else { " and received_on >= " });
        sql.push_bind(edge.unwrap_or(day));
    }
    let direction = if backwards { "asc" } else { "desc" };
    sql.push(" order by received_at ").push(direction).push(", event_id ").push(direction);
    sql.push(" limit ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    // Planned for these very days, which a remembered plan is not.
    Ok(sql.build_query_as().persistent(false).fetch_all(pool).await?)
}

async fn read(pool: &PgPool, row: Option<Row>) -> Result<Option<StoredEvent>> {
    let decoders = Decoders::of(pool, row.iter().map(Row::packed)).await?;
    Ok(row.map(|row| StoredEvent::read(row, &decoders)).transpose()?)
}
