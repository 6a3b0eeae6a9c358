//! Tables `monitor` and `check_in`.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::protocol::Stamp;
use crate::protocol::kept_item::{CheckIn, CheckInStatus};
use crate::store::Result;

/// The reason of a check-in without a monitor: none was made beforehand, and it brings no configuration.
const UNKNOWN_MONITOR: &str = "unknown_monitor";

/// ... of one for a run that is over.
const IS_OVER: &str = "already_over";

/// Takes check-ins in, in the order they were received; those that are not kept, with the reason, by reception. They
/// are few, so each has its own statements.
pub(super) async fn write(
    db: &mut PgConnection,
    check_ins: &[(&Stamp, &CheckIn)],
) -> Result<HashMap<Uuid, &'static str>> {
    let mut unkept = HashMap::new();
    let mut ordered: Vec<&(&Stamp, &CheckIn)> = check_ins.iter().collect();
    // One order for all writers: monitors are locked until the end of the transaction.
    ordered.sort_by_key(|(stamp, one)| (stamp.project_id, one.slug.as_str(), stamp.received_at, stamp.ingest_id));
    for (stamp, check_in) in ordered {
        let Some(monitor) = monitor(db, stamp, check_in).await? else {
            unkept.insert(stamp.ingest_id, UNKNOWN_MONITOR);
            continue;
        };
        if !record(db, monitor, stamp, check_in).await? {
            unkept.insert(stamp.ingest_id, IS_OVER);
        }
    }
    Ok(unkept)
}

/// The monitor, locked; made or changed by the configuration that the check-in brings.
async fn monitor(db: &mut PgConnection, stamp: &Stamp, check_in: &CheckIn) -> Result<Option<i64>> {
    let id = if let Some(config) = &check_in.config {
        let id = sqlx::query_scalar(
            "insert into monitor as m (project_id, slug, name, config)
             select $1, $2, $2, $3 where exists (select from project where id = $1)
             on conflict (project_id, slug) do update set config = excluded.config
             returning id",
        );
        id.bind(stamp.project_id).bind(&check_in.slug).bind(Json(config)).fetch_optional(db).await?
    } else {
        let id = sqlx::query_scalar("select id from monitor where project_id = $1 and slug = $2 for no key update");
        id.bind(stamp.project_id).bind(&check_in.slug).fetch_optional(db).await?
    };
    Ok(id)
}

/// Opens, updates or closes a run; false when it is over already.
async fn record(db: &mut PgConnection, monitor: i64, stamp: &Stamp, check_in: &CheckIn) -> Result<bool> {
    let id = match check_in.id {
        Some(id) => id,
        None => latest_open(db, monitor, check_in).await?.unwrap_or(stamp.ingest_id),
    };
    let closed_at = check_in.status.is_over().then_some(stamp.received_at);
    let done = sqlx::query(
        "insert into check_in as c
             (monitor_id, environment, check_in_id, status, opened_at, closed_at, duration_ms, release, trace_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (monitor_id, environment, check_in_id) do update set
             status = excluded.status,
             closed_at = excluded.closed_at,
             duration_ms = coalesce(excluded.duration_ms,
                 (extract(epoch from excluded.closed_at - c.opened_at) * 1000)::bigint),
             release = coalesce(c.release, excluded.release),
             trace_id = coalesce(c.trace_id, excluded.trace_id)
         where c.closed_at is null",
    )
    .bind(monitor)
    .bind(&check_in.environment)
    .bind(id)
    .bind(check_in.status.code())
    .bind(stamp.received_at)
    .bind(closed_at)
    .bind(check_in.duration_ms)
    .bind(&check_in.release)
    .bind(check_in.trace_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn latest_open(db: &mut PgConnection, monitor: i64, check_in: &CheckIn) -> Result<Option<Uuid>> {
    let id = sqlx::query_scalar(
        "select check_in_id from check_in where monitor_id = $1 and environment = $2 and status = $3
         order by opened_at desc limit 1",
    );
    let id = id.bind(monitor).bind(&check_in.environment).bind(CheckInStatus::InProgress.code());
    Ok(id.fetch_optional(db).await?)
}
