//! Tables `release_session` and `release_session_count`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::ProjectId;
use crate::protocol::Stamp;
use crate::protocol::kept_item::{SessionCount, SessionUpdate};
use crate::store::Result;
use crate::store::outcome::hour_of;

/// Takes updates in, whatever their order: states never go back, and errors never become fewer.
pub(super) async fn update(db: &mut PgConnection, updates: &[(&Stamp, &SessionUpdate)]) -> Result<()> {
    // One row of each session: a statement must not change one twice.
    let mut sessions: BTreeMap<(ProjectId, Uuid), SessionUpdate> = BTreeMap::new();
    for (stamp, update) in updates {
        sessions
            .entry((stamp.project_id, update.sid))
            .and_modify(|known| merge(known, update))
            .or_insert_with(|| (*update).clone());
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let (keys, rows): (Vec<(ProjectId, Uuid)>, Vec<SessionUpdate>) = sessions.into_iter().unzip();
    sqlx::query(
        "insert into release_session as s (project_id, sid, started_at, updated_at, release, environment, user_hash,
             status, errors, sequence, duration_s)
         select n.* from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[],
                 $7::bytea[], $8::smallint[], $9::integer[], $10::bigint[], $11::real[])
             as n (project_id, sid, started_at, updated_at, release, environment, user_hash, status, errors, sequence,
                 duration_s)
         where exists (select from project p where p.id = n.project_id)
         order by n.project_id, n.sid
         on conflict (project_id, sid) do update set
             started_at = least(s.started_at, excluded.started_at),
             updated_at = greatest(s.updated_at, excluded.updated_at),
             user_hash = coalesce(s.user_hash, excluded.user_hash),
             status = greatest(s.status, excluded.status),
             errors = greatest(s.errors, excluded.errors),
             sequence = greatest(s.sequence, excluded.sequence),
             duration_s = case when excluded.sequence >= s.sequence then coalesce(excluded.duration_s, s.duration_s)
                 else coalesce(s.duration_s, excluded.duration_s) end",
    )
    .bind(keys.iter().map(|key| key.0).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.started_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.updated_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.release.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.environment.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.user.as_ref().map(<[u8; 16]>::as_slice)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status.code()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.errors).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.sequence).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.duration_s).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// As the statement does with what is stored.
fn merge(known: &mut SessionUpdate, other: &SessionUpdate) {
    known.started_at = known.started_at.min(other.started_at);
    known.updated_at = known.updated_at.max(other.updated_at);
    known.user = known.user.or(other.user);
    known.status = known.status.max(other.status);
    known.errors = known.errors.max(other.errors);
    known.duration_s = if other.sequence >= known.sequence {
        other.duration_s.or(known.duration_s)
    } else {
        known.duration_s.or(other.duration_s)
    };
    known.sequence = known.sequence.max(other.sequence);
}

/// The key of a count: project, release, hour, environment, user.
type CountKey = (ProjectId, String, DateTime<Utc>, String, Vec<u8>);

/// Adds numbers of sessions.
pub(super) async fn add_counts(db: &mut PgConnection, counts: &[(&Stamp, &SessionCount)]) -> Result<()> {
    let mut sums: BTreeMap<CountKey, [i64; 5]> = BTreeMap::new();
    for (stamp, count) in counts {
        let key = (
            stamp.project_id,
            count.release.clone(),
            hour_of(count.started_at),
            count.environment.clone().unwrap_or_default(),
            count.user.map(|hash| hash.to_vec()).unwrap_or_default(),
        );
        let sum = sums.entry(key).or_default();
        let numbers = [count.exited, count.errored, count.unhandled, count.abnormal, count.crashed];
        for (all, more) in sum.iter_mut().zip(numbers) {
            *all = all.saturating_add(more);
        }
    }
    if sums.is_empty() {
        return Ok(());
    }
    let (keys, numbers): (Vec<CountKey>, Vec<[i64; 5]>) = sums.into_iter().unzip();
    let column = |index: usize| numbers.iter().map(|row| row.get(index).copied().unwrap_or(0)).collect::<Vec<i64>>();
    sqlx::query(
        "insert into release_session_count as c
             (project_id, release, hour, environment, user_hash, exited, errored, unhandled, abnormal, crashed)
         select n.* from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::bytea[],
                 $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
             as n (project_id, release, hour, environment, user_hash, exited, errored, unhandled, abnormal, crashed)
         where exists (select from project p where p.id = n.project_id)
         order by 1, 2, 3, 4, 5
         on conflict (project_id, release, hour, environment, user_hash) do update set
             exited = c.exited + excluded.exited,
             errored = c.errored + excluded.errored,
             unhandled = c.unhandled + excluded.unhandled,
             abnormal = c.abnormal + excluded.abnormal,
             crashed = c.crashed + excluded.crashed",
    )
    .bind(keys.iter().map(|key| key.0).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.3.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.4.as_slice()).collect::<Vec<_>>())
    .bind(column(0))
    .bind(column(1))
    .bind(column(2))
    .bind(column(3))
    .bind(column(4))
    .execute(db)
    .await?;
    Ok(())
}
