//! Alerts that want a number of events within a time.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Reason;
use crate::ids::ProjectId;
use crate::store::Result;

/// Most issues noted at once; the next look notes more.
const LIMIT: i64 = 1000;

/// Notes the issues of these projects (none: of all) that have had as many events as an alert wants within its
/// time, unless they were noted since they last came back; says how many. Reads no more events of an issue than
/// the alert wants, and none of issues that cannot have had so many.
pub async fn note_frequent(pool: &PgPool, projects: Option<&[ProjectId]>, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query(
        "insert into notice (project_id, issue_id, alert_id, reason, regression)
         select a.project_id, i.id, a.id, $3, i.regression_count
         from alert a
         cross join lateral (select $2::timestamptz - make_interval(mins => a.timespan_minutes) as begins_at) w
         join issue i on i.project_id = a.project_id and i.status = 0 and i.event_count >= a.quantity
             -- The events' own time, which may be behind that of their receipt.
             and i.last_seen > w.begins_at - interval '1 hour'
         where a.is_enabled and a.quantity is not null and ($1::bigint[] is null or a.project_id = any($1))
             and not exists (
                 select from notice n
                 where n.alert_id = a.id and n.issue_id = i.id and n.reason = $3 and n.regression = i.regression_count)
             and (select count(*) from (
                     select from event e
                     where e.project_id = i.project_id and e.issue_id = i.id and e.received_at > w.begins_at
                         and e.received_on >= (w.begins_at at time zone 'UTC')::date
                     limit a.quantity) recent) >= a.quantity
         order by a.project_id, i.id, a.id
         limit $4
         on conflict do nothing",
    )
    .bind(projects)
    .bind(now)
    .bind(Reason::Frequency.code())
    .bind(LIMIT)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
