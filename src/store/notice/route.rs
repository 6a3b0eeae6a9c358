//! From notices to deliveries: who exactly is told.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::Reason;
use crate::ids::{IssueId, ProjectId};
use crate::store::Result;

/// Notices routed in one transaction.
pub const ROUTE_LIMIT: usize = 200;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Outlook {
    /// Notices wait to be routed.
    pub is_unrouted: bool,
    /// When the next channel is due; a leased one at the end of its lease.
    pub next_due: Option<DateTime<Utc>>,
}

/// One notice for one destination. Two alerts with the same destination give equal ones, unless they want a number of
/// events: each of those tells something of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
struct Target {
    project_id: ProjectId,
    kind: String,
    destination: String,
    issue_id: IssueId,
    reason: i16,
    regression: i32,
    /// 0: any.
    alert_id: i64,
}

/// Looks at what waits. What a clock that was ahead has put off is due, as [`super::channel::claim`] sees it.
pub async fn outlook(pool: &PgPool, now: DateTime<Utc>) -> Result<Outlook> {
    let row = sqlx::query_as(
        "select exists (select from notice where routed_at is null) as is_unrouted,
             (select min(greatest(
                  case when due_at > $1 + interval '1 hour' then $1 else due_at end,
                  case when leased_until <= $1 + interval '2 minutes' then leased_until end))
              from notice_channel where due_at is not null) as next_due",
    )
    .bind(now)
    .fetch_one(pool)
    .await?;
    Ok(row)
}

/// Makes deliveries of up to [`ROUTE_LIMIT`] notices that wait, and says how many notices those were. Alerts that have
/// been switched off, and issues that are ignored by now, tell nobody; without `with_mail`, no mail goes out, now or
/// later.
pub async fn route(pool: &PgPool, with_mail: bool, now: DateTime<Utc>) -> Result<usize> {
    let mut transaction = pool.begin().await?;
    let db = &mut *transaction;
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from notice where routed_at is null order by id limit $1 for update skip locked")
            .bind(i64::try_from(ROUTE_LIMIT).unwrap_or(i64::MAX))
            .fetch_all(&mut *db)
            .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let targets: Vec<Target> = sqlx::query_as(
        "select distinct n.project_id, t.kind, t.destination, n.issue_id, n.reason, n.regression,
             case when n.reason = $3 then n.alert_id else 0 end as alert_id
         from notice n
         join alert a on a.id = n.alert_id and a.is_enabled
         join issue i on i.project_id = n.project_id and i.id = n.issue_id and i.status <> 2
         join project p on p.id = n.project_id
         join alert_recipient r on r.alert_id = a.id
         cross join lateral (
             select r.kind, r.url as destination where r.kind <> 'email'
             union all
             select r.kind, u.email from member m join app_user u on u.id = m.user_id
             where r.kind = 'email' and $2 and m.organization_id = p.organization_id and u.is_active
         ) t
         where n.id = any($1)",
    )
    .bind(&ids)
    .bind(with_mail)
    .bind(Reason::Frequency.code())
    .fetch_all(&mut *db)
    .await?;
    deliver(db, &targets, now).await?;
    sqlx::query("update notice set routed_at = $2 where id = any($1)").bind(&ids).bind(now).execute(db).await?;
    transaction.commit().await?;
    Ok(ids.len())
}

async fn deliver(db: &mut PgConnection, targets: &[Target], now: DateTime<Utc>) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    // In one order, so that two who do this never wait for each other.
    let places: BTreeSet<(ProjectId, &str, &str)> =
        targets.iter().map(|to| (to.project_id, to.kind.as_str(), to.destination.as_str())).collect();
    let projects: Vec<ProjectId> = places.iter().map(|place| place.0).collect();
    let kinds: Vec<&str> = places.iter().map(|place| place.1).collect();
    let destinations: Vec<&str> = places.iter().map(|place| place.2).collect();
    // Channels that are due already are locked all the same: whoever is emptying one sees our rows, or we its end.
    sqlx::query(
        "insert into notice_channel as c (project_id, kind, destination, due_at)
         select n.project_id, n.kind, n.destination, $4
         from unnest($1::bigint[], $2::text[], $3::text[]) with ordinality as n (project_id, kind, destination, place)
         order by n.place
         on conflict (project_id, kind, destination) do update set due_at = case
             -- What waits there was refused for what it is: that keeps nothing else waiting.
             when c.failures = 0 and exists (select from notice_delivery d
                 where d.channel_id = c.id and d.state = 0 and d.tries > 0) then least(c.due_at, excluded.due_at)
             else coalesce(c.due_at, excluded.due_at) end",
    )
    .bind(projects)
    .bind(kinds)
    .bind(destinations)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "insert into notice_delivery (channel_id, project_id, issue_id, reason, regression, alert_id, created_at)
         select c.id, t.project_id, t.issue_id, t.reason, t.regression, t.alert_id, $8
         from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::integer[], $7::bigint[])
             as t (project_id, kind, destination, issue_id, reason, regression, alert_id)
         join notice_channel c on c.project_id = t.project_id and c.kind = t.kind and c.destination = t.destination
         order by t.issue_id, c.id, t.alert_id
         on conflict do nothing",
    )
    .bind(targets.iter().map(|to| to.project_id).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.kind.as_str()).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.destination.as_str()).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.issue_id).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.reason).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.regression).collect::<Vec<_>>())
    .bind(targets.iter().map(|to| to.alert_id).collect::<Vec<_>>())
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}
