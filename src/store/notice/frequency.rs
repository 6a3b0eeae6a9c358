//! Alerts that want a number of events within a time.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Reason;
use crate::ids::ProjectId;
use crate::store::Result;

/// Most issues noted at once; the next look notes more.
pub const NOTE_LIMIT: u64 = 1000;

/// Notes the issues of these projects (none: of all) that have had as many events as an alert wants within its
/// time, unless they were noted since they last came back; says how many. Whole hours are taken as counted, so that
/// only the events of the hour in which the time began are read, and only of issues that turn on them.
pub async fn note_frequent(pool: &PgPool, projects: Option<&[ProjectId]>, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query(
        "with frequent as materialized (
             select a.project_id, a.id as alert_id, a.quantity, i.id as issue_id, i.regression_count,
                 w.begins_at, w.hour, h.later
             from alert a
             cross join lateral (select $2::timestamptz - make_interval(mins => a.timespan_minutes) as begins_at) b
             cross join lateral (select b.begins_at, date_trunc('hour', b.begins_at, 'UTC') as hour) w
             cross join lateral (
                 select n.issue_id, coalesce(sum(n.event_count) filter (where n.hour > w.hour), 0)::bigint as later
                 from issue_hourly n where n.project_id = a.project_id and n.hour >= w.hour
                 group by n.issue_id having sum(n.event_count) >= a.quantity) h
             join issue i on i.project_id = a.project_id and i.id = h.issue_id and i.status = 0
             where a.is_enabled and a.quantity is not null and ($1::bigint[] is null or a.project_id = any($1))
                 and not exists (
                     select from notice n
                     where n.alert_id = a.id and n.issue_id = i.id and n.reason = $3
                         and n.regression = i.regression_count)
         )
         insert into notice (project_id, issue_id, alert_id, reason, regression)
         select f.project_id, f.issue_id, f.alert_id, $3, f.regression_count
         from frequent f
         where f.later >= f.quantity or f.later + (
             select count(*) from (
                 select from event e
                 where e.project_id = f.project_id and e.issue_id = f.issue_id
                     and e.received_at > f.begins_at and e.received_at < f.hour + interval '1 hour'
                     and e.received_on >= (f.begins_at at time zone 'UTC')::date
                 limit greatest(f.quantity - f.later, 0)) recent) >= f.quantity
         order by f.project_id, f.issue_id, f.alert_id
         limit $4
         on conflict do nothing",
    )
    .bind(projects)
    .bind(now)
    .bind(Reason::Frequency.code())
    .bind(i64::try_from(NOTE_LIMIT).unwrap_or(i64::MAX))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
