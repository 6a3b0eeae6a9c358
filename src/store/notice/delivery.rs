//! Deliveries: what a message tells, and what became of it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Reason;
use crate::ids::{IssueId, ProjectId};
use crate::protocol::Level;
use crate::store::Result;
use crate::store::alert::RecipientKind;

/// A delivery that waits, with what is known of its issue now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The project.
    pub project_id: ProjectId,
    /// The issue.
    pub issue_id: IssueId,
    /// The issue's number in its project.
    pub short_id: i64,
    /// The issue's title: one line, which the program that failed has written.
    pub title: String,
    /// Where it happened; may be empty.
    pub culprit: String,
    /// The latest event's severity.
    #[sqlx(try_from = "i16")]
    pub level: Level,
    /// Events so far.
    pub event_count: i64,
    /// Users it reached so far.
    pub user_count: i64,
    /// Time of the first event.
    pub first_seen: DateTime<Utc>,
    /// Time of the latest event.
    pub last_seen: DateTime<Utc>,
    /// Why somebody is told.
    #[sqlx(try_from = "i16")]
    pub reason: Reason,
    /// How often the issue had come back by then.
    pub regression: i32,
    /// Since when it waits.
    pub created_at: DateTime<Utc>,
    /// The alert's name; empty when the alert is gone.
    pub alert: String,
    /// Of an alert that wants a number of events: how many.
    pub quantity: Option<i32>,
    /// Within how many minutes.
    pub timespan_minutes: Option<i32>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not sent yet.
    Waiting,
    /// Sent.
    Sent,
    /// Tried for a day, and given up.
    Failed,
    /// No longer wanted: the recipient was removed, or the issue is ignored.
    Dropped,
}

impl From<i16> for State {
    fn from(code: i16) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Sent,
            2 => Self::Failed,
            _ => Self::Dropped,
        }
    }
}

/// A delivery as people look at it later.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LogRow {
    /// Its number.
    pub id: i64,
    /// The issue.
    pub issue_id: IssueId,
    /// The issue's title.
    pub title: String,
    /// How it is sent.
    pub kind: RecipientKind,
    /// An address or a URL.
    pub destination: String,
    /// Why somebody is told.
    #[sqlx(try_from = "i16")]
    pub reason: Reason,
    /// What became of it.
    #[sqlx(try_from = "i16")]
    pub state: State,
    /// Went out among others in one message.
    pub is_digest: bool,
    /// How often it was tried.
    pub tries: i32,
    /// Why the last try failed, or why it was dropped.
    pub error: Option<String>,
    /// Since when it waits.
    pub created_at: DateTime<Utc>,
    /// When it was sent, given up or dropped.
    pub settled_at: Option<DateTime<Utc>>,
}

/// The channel's delivery to send next: one that was tried least, so that a message its destination will not take
/// does not keep the others back.
pub async fn next(pool: &PgPool, channel: i64) -> Result<Option<Delivery>> {
    let row = sqlx::query_as(
        "select d.id, d.project_id, d.issue_id, i.short_id, i.title, i.culprit, i.level, i.event_count, i.user_count,
             i.first_seen, i.last_seen, d.reason, d.regression, d.created_at,
             coalesce(a.name, '') as alert, a.quantity, a.timespan_minutes
         from notice_delivery d
         join issue i on i.project_id = d.project_id and i.id = d.issue_id
         left join lateral (
             select a.name, a.quantity, a.timespan_minutes from notice n join alert a on a.id = n.alert_id
             where n.project_id = d.project_id and n.issue_id = d.issue_id and n.reason = d.reason
                 and n.regression = d.regression and (d.alert_id = 0 or n.alert_id = d.alert_id)
             order by a.id limit 1
         ) a on true
         where d.channel_id = $1 and d.state = 0
         order by d.tries, d.id limit 1",
    )
    .bind(channel)
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// Up to `limit` deliveries that wait in the channel, those of the issues with most events first.
pub async fn all(pool: &PgPool, channel: i64, limit: i64) -> Result<Vec<Delivery>> {
    let rows = sqlx::query_as(
        "select d.id, d.project_id, d.issue_id, i.short_id, i.title, i.culprit, i.level, i.event_count, i.user_count,
             i.first_seen, i.last_seen, d.reason, d.regression, d.created_at,
             '' as alert, null::integer as quantity, null::integer as timespan_minutes
         from notice_delivery d
         join issue i on i.project_id = d.project_id and i.id = d.issue_id
         where d.channel_id = $1 and d.state = 0
         order by i.event_count desc, d.id limit $2",
    )
    .bind(channel)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The project's latest deliveries, newest first; at most `limit`.
pub async fn log(pool: &PgPool, project: ProjectId, limit: i64) -> Result<Vec<LogRow>> {
    let rows = sqlx::query_as(
        "select d.id, d.issue_id, i.title, c.kind, c.destination, d.reason, d.state, d.is_digest, d.tries, d.error,
             d.created_at, d.settled_at
         from notice_delivery d
         join notice_channel c on c.id = d.channel_id
         join issue i on i.project_id = d.project_id and i.id = d.issue_id
         where d.project_id = $1 order by d.id desc limit $2",
    )
    .bind(project)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Forgets up to `limit` rows each of what was settled before `before`, and channels unused since; true when there
/// may be more. That an issue was told of as frequent stays known as long as the issue.
pub async fn prune(pool: &PgPool, before: DateTime<Utc>, limit: i64) -> Result<bool> {
    let deliveries = sqlx::query(
        "delete from notice_delivery where id in
             (select id from notice_delivery where state <> 0 and settled_at < $1 order by settled_at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(pool)
    .await?
    .rows_affected();
    let notices = sqlx::query(
        "delete from notice where id in
             (select id from notice where routed_at < $1 and reason <> $3 order by routed_at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .bind(Reason::Frequency.code())
    .execute(pool)
    .await?
    .rows_affected();
    sqlx::query(
        "delete from notice_channel c where c.due_at is null and c.leased_until is null and c.window_started_at < $1
             and not exists (select from notice_delivery d where d.channel_id = c.id)",
    )
    .bind(before)
    .execute(pool)
    .await?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    Ok(deliveries >= limit || notices >= limit)
}
