//! Events whose hash nobody has met, though their issue is there: it was made by an earlier version of the grouping.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{PgConnection, PgPool};

use super::issue::find;
use super::{HashKey, NewEvent};
use crate::ids::{IssueId, ProjectId};
use crate::protocol::event::Event;
use crate::store::Result;
use crate::store::payload_dictionary::Decoders;

/// The hashes that earlier versions of the grouping give an event, the latest first.
pub type Earlier = fn(&Event) -> Vec<[u8; 32]>;

/// Finds the issues of these events by their earlier hashes, and notes the new ones for them. The projects are locked.
pub(super) async fn adopt(
    pool: &PgPool,
    db: &mut PgConnection,
    wanted: &BTreeMap<HashKey, &NewEvent>,
    earlier: Earlier,
) -> Result<HashMap<HashKey, IssueId>> {
    let upgraded = upgraded(db, wanted).await?;
    let events: Vec<(&HashKey, &NewEvent)> = wanted
        .iter()
        .filter(|((project, _), _)| upgraded.contains(project))
        .map(|(key, event)| (key, *event))
        .collect();
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let packed = events.iter().map(|(_, event)| (event.project_id, event.payload.as_slice()));
    let decoders = Decoders::of(pool, packed).await?;
    let candidates: Vec<(HashKey, HashKey)> = events
        .iter()
        .flat_map(|(key, event)| {
            let read = decoders.event(event.project_id, &event.payload);
            let hashes = read.map(|event| earlier(&event)).unwrap_or_default();
            hashes.into_iter().map(|hash| (**key, (key.0, hash)))
        })
        .collect();
    let known = find(db, candidates.iter().map(|(_, earlier)| earlier)).await?;
    let mut adopted: BTreeMap<HashKey, IssueId> = BTreeMap::new();
    for (key, earlier) in candidates {
        if let Some(issue) = known.get(&earlier) {
            adopted.entry(key).or_insert(*issue);
        }
    }
    sqlx::query(
        "insert into issue_hash (project_id, hash, version, issue_id)
         select * from unnest($1::bigint[], $2::bytea[], $3::smallint[], $4::bigint[])
         on conflict do nothing",
    )
    .bind(adopted.keys().map(|(project, _)| *project).collect::<Vec<_>>())
    .bind(adopted.keys().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
    .bind(adopted.keys().map(|key| wanted.get(key).map_or(0, |event| event.hash_version)).collect::<Vec<_>>())
    .bind(adopted.values().copied().collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(adopted.into_iter().collect())
}

/// The projects that have hashes of an earlier version.
async fn upgraded(db: &mut PgConnection, wanted: &BTreeMap<HashKey, &NewEvent>) -> Result<HashSet<ProjectId>> {
    let mut versions: BTreeMap<ProjectId, i16> = BTreeMap::new();
    for ((project, _), event) in wanted {
        versions.insert(*project, event.hash_version);
    }
    let projects: Vec<ProjectId> = sqlx::query_scalar(
        "select n.project_id from unnest($1::bigint[], $2::smallint[]) as n (project_id, version)
         where exists (select from issue_hash h where h.project_id = n.project_id and h.version < n.version)",
    )
    .bind(versions.keys().copied().collect::<Vec<_>>())
    .bind(versions.values().copied().collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(projects.into_iter().collect())
}
