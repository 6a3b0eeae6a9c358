//! Events that are there already: received twice, or the same entry of the queue delivered twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{EventKey, NewEvent};
use crate::ids::{EventId, ProjectId};
use crate::store::{Result, settled_ingest};

/// Says which of `candidates` (events not inserted) are duplicates that were never counted. The others are
/// receptions settled before: the very one that was stored, or a duplicate noted as such.
pub(super) async fn settle<'a>(
    db: &mut PgConnection,
    candidates: &[&'a NewEvent],
    firsts: &BTreeMap<EventKey, &NewEvent>,
    inserted: &HashSet<EventKey>,
) -> Result<Vec<&'a NewEvent>> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let there = find_receptions(db, candidates).await?;
    let mut seen = HashSet::new();
    let duplicates: Vec<&NewEvent> = candidates
        .iter()
        .copied()
        .filter(|event| {
            let key = event.key();
            let of_stored = if inserted.contains(&key) {
                firsts.get(&key).map(|first| first.ingest_id)
            } else {
                there.get(&key).copied()
            };
            of_stored != Some(event.ingest_id) && seen.insert(event.ingest_id)
        })
        .collect();
    if duplicates.is_empty() {
        return Ok(duplicates);
    }
    let receptions = duplicates.iter().map(|event| (event.received_on, event.ingest_id)).collect();
    let noted = settled_ingest::note(db, receptions).await?;
    Ok(duplicates.into_iter().filter(|event| noted.contains(&event.ingest_id)).collect())
}

/// By which reception each event was stored.
async fn find_receptions(db: &mut PgConnection, events: &[&NewEvent]) -> Result<HashMap<EventKey, Uuid>> {
    let rows: Vec<(ProjectId, EventId, NaiveDate, Uuid)> = sqlx::query_as(
        "select e.project_id, e.event_id, e.received_on, e.ingest_id
         from unnest($1::bigint[], $2::uuid[], $3::date[]) as n (project_id, event_id, received_on)
         join event e on e.project_id = n.project_id and e.event_id = n.event_id and e.received_on = n.received_on",
    )
    .bind(events.iter().map(|event| event.project_id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.event_id.0).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.received_on).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(project, event, day, ingest_id)| ((project, event, day), ingest_id)).collect())
}
