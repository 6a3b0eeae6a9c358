//! Tables `span` and `log_record`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::ids::ProjectId;
use crate::protocol::Stamp;
use crate::protocol::kept_item::{LogRecord, Span};
use crate::store::Result;

/// Stores spans. One that is there already, as a page that sends its transaction twice has them, stays as it is.
pub(super) async fn insert_spans(db: &mut PgConnection, spans: &[(&Stamp, &Span)]) -> Result<()> {
    let mut rows: BTreeMap<(ProjectId, NaiveDate, Uuid, i64), (&Stamp, &Span)> = BTreeMap::new();
    for (stamp, span) in spans {
        rows.entry((stamp.project_id, stamp.received_on, span.trace_id, span.span_id)).or_insert((stamp, span));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&Stamp, &Span)> = rows.into_values().collect();
    let texts = |text: fn(&Span) -> Option<&str>| rows.iter().map(|(_, span)| text(span)).collect::<Vec<_>>();
    let ids = |id: fn(&Span) -> Option<i64>| rows.iter().map(|(_, span)| id(span)).collect::<Vec<_>>();
    sqlx::query(
        "insert into span (project_id, received_on, trace_id, span_id, parent_span_id, segment_id, is_segment, name, op,
             status, started_at, duration_ms, release, environment, event_id, attributes)
         select n.* from unnest($1::bigint[], $2::date[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[],
                 $7::boolean[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::double precision[],
                 $13::text[], $14::text[], $15::uuid[], $16::jsonb[])
             as n (project_id, received_on, trace_id, span_id, parent_span_id, segment_id, is_segment, name, op, status,
                 started_at, duration_ms, release, environment, event_id, attributes)
         where exists (select from project p where p.id = n.project_id)
         order by n.project_id, n.received_on, n.trace_id, n.span_id
         on conflict do nothing",
    )
    .bind(rows.iter().map(|(stamp, _)| stamp.project_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(stamp, _)| stamp.received_on).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, span)| span.trace_id).collect::<Vec<_>>())
    .bind(ids(|span| Some(span.span_id)))
    .bind(ids(|span| span.parent_span_id))
    .bind(ids(|span| span.segment_id))
    .bind(rows.iter().map(|(_, span)| span.is_segment).collect::<Vec<_>>())
    .bind(texts(|span| Some(span.name.as_str())))
    .bind(texts(|span| Some(span.op.as_str())))
    .bind(texts(|span| Some(span.status.as_str())))
    .bind(rows.iter().map(|(_, span)| span.started_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, span)| span.duration_ms).collect::<Vec<_>>())
    .bind(texts(|span| span.release.as_deref()))
    .bind(texts(|span| span.environment.as_deref()))
    .bind(rows.iter().map(|(_, span)| span.event_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, span)| Json(&span.attributes)).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// Stores the records of logs; each is named by its reception and its place in that.
pub(super) async fn insert_logs(db: &mut PgConnection, containers: &[(&Stamp, &[LogRecord])]) -> Result<()> {
    let all =
        containers.iter().flat_map(|(stamp, records)| (0..).zip(*records).map(move |(at, one)| (*stamp, at, one)));
    let mut rows: Vec<(&Stamp, i32, &LogRecord)> = all.collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|(stamp, position, _)| (stamp.project_id, stamp.received_on, stamp.ingest_id, *position));
    sqlx::query(
        "insert into log_record (project_id, received_on, ingest_id, position, logged_at, severity, body, trace_id,
             span_id, release, environment, attributes)
         select n.* from unnest($1::bigint[], $2::date[], $3::uuid[], $4::integer[], $5::timestamptz[], $6::smallint[],
                 $7::text[], $8::uuid[], $9::bigint[], $10::text[], $11::text[], $12::jsonb[])
             as n (project_id, received_on, ingest_id, position, logged_at, severity, body, trace_id, span_id, release,
                 environment, attributes)
         where exists (select from project p where p.id = n.project_id)
         on conflict do nothing",
    )
    .bind(rows.iter().map(|(stamp, ..)| stamp.project_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(stamp, ..)| stamp.received_on).collect::<Vec<_>>())
    .bind(rows.iter().map(|(stamp, ..)| stamp.ingest_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, position, _)| *position).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.logged_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.severity).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.body.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.trace_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.span_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.release.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| one.environment.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., one)| Json(&one.attributes)).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
