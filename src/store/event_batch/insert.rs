//! The rows of table `event`.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::{EventKey, Failure, NewEvent};
use crate::ids::IssueId;

/// Inserts the events (sorted by key) that are not there yet and says which those were.
pub(super) async fn events(
    db: &mut PgConnection,
    placed: &[(IssueId, &NewEvent)],
) -> Result<HashSet<EventKey>, Failure> {
    fn column<'a, T>(placed: &[(IssueId, &'a NewEvent)], value: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
        placed.iter().map(|(_, event)| value(event)).collect()
    }
    let inserted: Vec<EventKey> = sqlx::query_as(
        "insert into event (project_id, event_id, received_on, issue_id, ingest_id, received_at, occurred_at,
             kind, level, platform, environment, release, payload, hash_prefix)
         select * from unnest($1::bigint[], $2::uuid[], $3::date[], $4::bigint[], $5::uuid[], $6::timestamptz[],
             $7::timestamptz[], $8::smallint[], $9::smallint[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bigint[])
         on conflict do nothing
         returning project_id, event_id, received_on",
    )
    .bind(column(placed, |event| event.project_id))
    .bind(column(placed, |event| event.event_id.0))
    .bind(column(placed, |event| event.received_on))
    .bind(placed.iter().map(|(issue_id, _)| *issue_id).collect::<Vec<_>>())
    .bind(column(placed, |event| event.ingest_id))
    .bind(column(placed, |event| event.received_at))
    .bind(column(placed, |event| event.occurred_at))
    .bind(column(placed, |event| event.kind.code()))
    .bind(column(placed, |event| event.level.code()))
    .bind(column(placed, |event| event.platform.as_str()))
    .bind(column(placed, |event| event.environment.as_deref()))
    .bind(column(placed, |event| event.release.as_deref()))
    .bind(column(placed, |event| event.payload.as_slice()))
    .bind(column(placed, NewEvent::hash_prefix))
    .fetch_all(db)
    .await
    .map_err(|error| if lacks_partition(&error) { Failure::NoPartition } else { error.into() })?;
    Ok(inserted.into_iter().collect())
}

/// The only check that table `event` itself makes is that there is a partition for the row.
fn lacks_partition(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("23514") && error.table() == Some("event") && error.constraint().is_none()
    })
}
