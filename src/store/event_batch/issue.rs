//! The issues of a batch: found by grouping hash, or made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::adopt::{Earlier, adopt};
use super::aggregate::Change;
use super::{HashKey, IssueKey, NewEvent};
use crate::ids::{IssueId, ProjectId};
use crate::store::Result;

/// Where the events of a batch go.
pub(super) struct Issues {
    /// No entry: the project is gone.
    pub(super) by_hash: HashMap<HashKey, IssueId>,
    pub(super) created: Vec<IssueKey>,
}

/// Finds the issue of each grouping hash, also by what earlier versions of the grouping made of its event; makes those that
/// are missing.
pub(super) async fn find_or_create<'a>(
    pool: &PgPool,
    db: &mut PgConnection,
    events: impl Iterator<Item = &'a NewEvent>,
    earlier: Earlier,
) -> Result<Issues> {
    // A new issue begins with its earliest event.
    let mut wanted: BTreeMap<HashKey, &NewEvent> = BTreeMap::new();
    for event in events {
        let first = wanted.entry(event.hash_key()).or_insert(event);
        if event.occurred_at < first.occurred_at {
            *first = event;
        }
    }
    let mut by_hash = find(db, wanted.keys()).await?;
    wanted.retain(|key, _| !by_hash.contains_key(key));
    if wanted.is_empty() {
        return Ok(Issues { by_hash, created: Vec::new() });
    }
    // Whoever makes issues of a project holds its row, so what is missing now stays missing for the others.
    let projects: BTreeSet<ProjectId> = wanted.keys().map(|(project_id, _)| *project_id).collect();
    let projects: Vec<ProjectId> =
        sqlx::query_scalar("select id from project where id = any($1) order by id for no key update")
            .bind(projects.into_iter().collect::<Vec<_>>())
            .fetch_all(&mut *db)
            .await?;
    by_hash.extend(find(db, wanted.keys()).await?);
    wanted.retain(|key, _| !by_hash.contains_key(key) && projects.contains(&key.0));
    by_hash.extend(adopt(pool, db, &wanted, earlier).await?);
    wanted.retain(|key, _| !by_hash.contains_key(key));
    let created = create(db, &wanted).await?;
    by_hash.extend(wanted.into_keys().zip(created.iter().map(|(_, issue_id)| *issue_id)));
    Ok(Issues { by_hash, created })
}

pub(super) async fn find(
    db: &mut PgConnection,
    keys: impl Iterator<Item = &HashKey>,
) -> Result<HashMap<HashKey, IssueId>> {
    let (projects, hashes): (Vec<ProjectId>, Vec<&[u8]>) =
        keys.map(|(project, hash)| (*project, hash.as_slice())).unzip();
    let rows: Vec<(ProjectId, [u8; 32], IssueId)> = sqlx::query_as(
        "select h.project_id, h.hash, h.issue_id
         from unnest($1::bigint[], $2::bytea[]) as n (project_id, hash)
         join issue_hash h on h.project_id = n.project_id and h.hash = n.hash",
    )
    .bind(projects)
    .bind(hashes)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(project_id, hash, issue_id)| ((project_id, hash), issue_id)).collect())
}

/// Makes an issue without counts for each event, in their order. The rows of the projects are locked.
async fn create(db: &mut PgConnection, firsts: &BTreeMap<HashKey, &NewEvent>) -> Result<Vec<IssueKey>> {
    if firsts.is_empty() {
        return Ok(Vec::new());
    }
    let mut totals: BTreeMap<ProjectId, (i64, DateTime<Utc>)> = BTreeMap::new();
    for event in firsts.values() {
        let (issues, received_at) = totals.entry(event.project_id).or_insert((0, event.received_at));
        *issues += 1;
        *received_at = event.received_at.min(*received_at);
    }
    let mut next: HashMap<ProjectId, i64> = sqlx::query_as::<_, (ProjectId, i64)>(
        "update project p set
             next_short_id = p.next_short_id + n.issues,
             first_event_at = coalesce(p.first_event_at, n.received_at)
         from unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) as n (project_id, issues, received_at)
         where p.id = n.project_id
         returning p.id, p.next_short_id - n.issues",
    )
    .bind(totals.keys().copied().collect::<Vec<_>>())
    .bind(totals.values().map(|(issues, _)| *issues).collect::<Vec<_>>())
    .bind(totals.values().map(|(_, received_at)| *received_at).collect::<Vec<_>>())
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .collect();
    let short_ids: Vec<i64> = firsts
        .values()
        .map(|event| {
            let next = next.entry(event.project_id).or_default();
            *next += 1;
            *next - 1
        })
        .collect();

    let events: Vec<&NewEvent> = firsts.values().copied().collect();
    let ids: HashMap<(ProjectId, i64), IssueId> = sqlx::query_as::<_, (ProjectId, i64, IssueId)>(
        "insert into issue (project_id, short_id, kind, level, platform, title, first_seen, last_seen)
         select * from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::text[], $6::text[],
             $7::timestamptz[], $7::timestamptz[])
         returning project_id, short_id, id",
    )
    .bind(events.iter().map(|event| event.project_id).collect::<Vec<_>>())
    .bind(&short_ids)
    .bind(events.iter().map(|event| event.kind.code()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.level.code()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.platform.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.title.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .map(|(project_id, short_id, id)| ((project_id, short_id), id))
    .collect();
    let created: Vec<IssueKey> = events
        .iter()
        .zip(&short_ids)
        .filter_map(|(event, short_id)| Some((event.project_id, *ids.get(&(event.project_id, *short_id))?)))
        .collect();

    sqlx::query(
        "insert into issue_hash (project_id, hash, version, issue_id)
         select * from unnest($1::bigint[], $2::bytea[], $3::smallint[], $4::bigint[])",
    )
    .bind(events.iter().map(|event| event.project_id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.hash.as_slice()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.hash_version).collect::<Vec<_>>())
    .bind(created.iter().map(|(_, issue_id)| *issue_id).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(created)
}

/// Takes back new issues that got no event, because each event meant for them was stored before under
/// another hash; the others are the new issues.
pub(super) async fn keep_used(
    db: &mut PgConnection,
    created: Vec<IssueKey>,
    changes: &BTreeMap<IssueKey, Change<'_>>,
) -> Result<Vec<IssueKey>> {
    let (used, unused): (Vec<_>, Vec<_>) = created.into_iter().partition(|key| changes.contains_key(key));
    if !unused.is_empty() {
        let (projects, ids): (Vec<ProjectId>, Vec<IssueId>) = unused.into_iter().unzip();
        sqlx::query(
            "delete from issue i using unnest($1::bigint[], $2::bigint[]) as n (project_id, id)
             where i.project_id = n.project_id and i.id = n.id",
        )
        .bind(projects)
        .bind(ids)
        .execute(db)
        .await?;
    }
    Ok(used)
}
