//! Tables `monitor`, `check_in` and `early_check_in`.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::ids::ProjectId;
use crate::protocol::kept_item::{CheckIn, CheckInStatus};
use crate::protocol::{Category, Stamp};
use crate::store::Result;
use crate::store::outcome::{Outcome, OutcomeCount, hour_of};

/// The reason of a check-in without a monitor: none was made beforehand, and it brings no configuration.
const UNKNOWN_MONITOR: &str = "unknown_monitor";

/// ... of one for a run that is over.
const IS_OVER: &str = "already_over";

/// Ends that wait for one monitor: as many are taken up when it is made.
const MAX_EARLY: i64 = 1_000;

/// What became of check-ins.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// Why some are not kept, by reception.
    pub(super) unkept: HashMap<Uuid, &'static str>,
    /// What is counted otherwise from now on: ends that were received before, and have their monitor now.
    pub(super) recounted: Vec<OutcomeCount>,
}

/// What is stored of a check-in.
#[derive(Debug, FromRow)]
struct Row {
    ingest_id: Uuid,
    received_at: DateTime<Utc>,
    environment: String,
    check_in_id: Option<Uuid>,
    status: i16,
    duration_ms: Option<i64>,
    release: Option<String>,
    trace_id: Option<Uuid>,
}

impl Row {
    fn new(stamp: &Stamp, check_in: &CheckIn) -> Self {
        Self {
            ingest_id: stamp.ingest_id,
            received_at: stamp.received_at,
            environment: check_in.environment.clone(),
            check_in_id: check_in.id,
            status: check_in.status.code(),
            duration_ms: check_in.duration_ms,
            release: check_in.release.clone(),
            trace_id: check_in.trace_id,
        }
    }

    fn is_over(&self) -> bool {
        self.status == CheckInStatus::Ok.code() || self.status == CheckInStatus::Error.code()
    }
}

/// Takes check-ins in, in the order they were received, those of one monitor after those of another. They are few, so
/// each has its own statements.
pub(super) async fn write(db: &mut PgConnection, check_ins: &[(&Stamp, &CheckIn)]) -> Result<Fates> {
    // One order for all writers: monitors are locked until the end of the transaction.
    let mut monitors: BTreeMap<(ProjectId, &str), Vec<&(&Stamp, &CheckIn)>> = BTreeMap::new();
    for one in check_ins {
        monitors.entry((one.0.project_id, one.1.slug.as_str())).or_default().push(one);
    }
    let mut fates = Fates::default();
    for ((project, slug), mut check_ins) in monitors {
        check_ins.sort_by_key(|(stamp, _)| (stamp.received_at, stamp.ingest_id));
        lock(db, project, slug).await?;
        let Some((monitor, is_new)) = monitor(db, project, slug, &check_ins).await? else {
            for (stamp, check_in) in check_ins {
                wait_for_monitor(db, project, slug, &Row::new(stamp, check_in)).await?;
                fates.unkept.insert(stamp.ingest_id, UNKNOWN_MONITOR);
            }
            continue;
        };
        if is_new {
            take_up(db, project, slug, monitor, &mut fates).await?;
        }
        for (stamp, check_in) in check_ins {
            if !record(db, monitor, &Row::new(stamp, check_in)).await? {
                fates.unkept.insert(stamp.ingest_id, IS_OVER);
            }
        }
    }
    Ok(fates)
}

/// Lets no other writer at this monitor, nor at its absence.
async fn lock(db: &mut PgConnection, project: ProjectId, slug: &str) -> Result<()> {
    let lock = sqlx::query("select pg_advisory_xact_lock(hashtextextended($2, $1))");
    lock.bind(project).bind(slug).execute(db).await?;
    Ok(())
}

/// The monitor; made or changed by the last configuration that the check-ins bring. True: it is new.
async fn monitor(
    db: &mut PgConnection,
    project: ProjectId,
    slug: &str,
    check_ins: &[&(&Stamp, &CheckIn)],
) -> Result<Option<(i64, bool)>> {
    let config = check_ins.iter().rev().find_map(|(_, check_in)| check_in.config.as_ref());
    let found = if let Some(config) = config {
        let made = sqlx::query_as(
            "insert into monitor as m (project_id, slug, name, config)
             select $1, $2, $2, $3 where exists (select from project where id = $1)
             on conflict (project_id, slug) do update set config = excluded.config
             returning id, xmax = 0",
        );
        made.bind(project).bind(slug).bind(Json(config)).fetch_optional(db).await?
    } else {
        let known =
            sqlx::query_as("select id, false from monitor where project_id = $1 and slug = $2 for no key update");
        known.bind(project).bind(slug).fetch_optional(db).await?
    };
    Ok(found)
}

/// Opens, updates or closes a run; false for the end of one that is over already. A beginning that is received after the
/// end has nothing to add but what the end did not say.
async fn record(db: &mut PgConnection, monitor: i64, row: &Row) -> Result<bool> {
    let id = match row.check_in_id {
        Some(id) => id,
        None => latest_open(db, monitor, &row.environment).await?.unwrap_or(row.ingest_id),
    };
    let is_over = row.is_over();
    let done = sqlx::query(
        "insert into check_in as c
             (monitor_id, environment, check_in_id, status, opened_at, closed_at, duration_ms, release, trace_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (monitor_id, environment, check_in_id) do update set
             status = case when c.closed_at is null then excluded.status else c.status end,
             opened_at = least(c.opened_at, excluded.opened_at),
             closed_at = coalesce(c.closed_at, excluded.closed_at),
             duration_ms = case when c.closed_at is null then coalesce(excluded.duration_ms,
                 (extract(epoch from excluded.closed_at - c.opened_at) * 1000)::bigint) else c.duration_ms end,
             release = coalesce(c.release, excluded.release),
             trace_id = coalesce(c.trace_id, excluded.trace_id)
         where c.closed_at is null or excluded.status = $10",
    )
    .bind(monitor)
    .bind(&row.environment)
    .bind(id)
    .bind(row.status)
    .bind(row.received_at)
    .bind(is_over.then_some(row.received_at))
    .bind(row.duration_ms)
    .bind(&row.release)
    .bind(row.trace_id)
    .bind(CheckInStatus::InProgress.code())
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn latest_open(db: &mut PgConnection, monitor: i64, environment: &str) -> Result<Option<Uuid>> {
    let id = sqlx::query_scalar(
        "select check_in_id from check_in where monitor_id = $1 and environment = $2 and status = $3
         order by opened_at desc limit 1",
    );
    let id = id.bind(monitor).bind(environment).bind(CheckInStatus::InProgress.code());
    Ok(id.fetch_optional(db).await?)
}

/// Puts the end of a named run aside: its beginning may still make the monitor.
async fn wait_for_monitor(db: &mut PgConnection, project: ProjectId, slug: &str, row: &Row) -> Result<()> {
    if !row.is_over() || row.check_in_id.is_none() {
        return Ok(());
    }
    sqlx::query(
        "insert into early_check_in (project_id, slug, ingest_id, received_at, environment, check_in_id, status,
             duration_ms, release, trace_id)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 where exists (select from project where id = $1)
         on conflict do nothing",
    )
    .bind(project)
    .bind(slug)
    .bind(row.ingest_id)
    .bind(row.received_at)
    .bind(&row.environment)
    .bind(row.check_in_id)
    .bind(row.status)
    .bind(row.duration_ms)
    .bind(&row.release)
    .bind(row.trace_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a new monitor the ends that waited for it; they were not kept, and are now.
async fn take_up(db: &mut PgConnection, project: ProjectId, slug: &str, monitor: i64, fates: &mut Fates) -> Result<()> {
    let early: Vec<Row> = sqlx::query_as(
        "delete from early_check_in where project_id = $1 and slug = $2 and ingest_id = any (array(
             select ingest_id from early_check_in where project_id = $1 and slug = $2
             order by received_at desc limit $3))
         returning ingest_id, received_at, environment, check_in_id, status, duration_ms, release, trace_id",
    )
    .bind(project)
    .bind(slug)
    .bind(MAX_EARLY)
    .fetch_all(&mut *db)
    .await?;
    for row in early {
        if record(db, monitor, &row).await? {
            let count = |outcome, reason: &'static str, quantity| OutcomeCount {
                project_id: project,
                hour: hour_of(row.received_at),
                category: Category::Monitor.as_str().into(),
                outcome,
                reason: reason.into(),
                quantity,
            };
            fates.recounted.push(count(Outcome::Filtered, UNKNOWN_MONITOR, -1));
            fates.recounted.push(count(Outcome::Stored, "", 1));
        }
    }
    Ok(())
}
