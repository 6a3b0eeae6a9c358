//! Table `user_feedback`.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::ids::{EventId, ProjectId};
use crate::protocol::Stamp;
use crate::protocol::kept_item::{Feedback, FeedbackKind};
use crate::store::Result;

/// Stores what users wrote. A second report on an event takes the first one's place (as in Sentry's dialog); feedback
/// that is there already stays as it is.
pub(super) async fn write(db: &mut PgConnection, feedback: &[(&Stamp, &Feedback)]) -> Result<()> {
    let mut rows: BTreeMap<(ProjectId, FeedbackKind, EventId), (&Stamp, &Feedback)> = BTreeMap::new();
    for (stamp, one) in feedback {
        let key = (stamp.project_id, one.kind, one.id);
        if one.kind == FeedbackKind::Report || !rows.contains_key(&key) {
            rows.insert(key, (stamp, one));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&Stamp, &Feedback)> = rows.into_values().collect();
    let texts = |text: fn(&Feedback) -> Option<&str>| rows.iter().map(|(_, one)| text(one)).collect::<Vec<_>>();
    sqlx::query(
        "insert into user_feedback as f (project_id, kind, id, event_id, replay_id, occurred_at, received_at,
             message, name, email, url, source, release, environment)
         select n.* from unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],
                 $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
             as n (project_id, kind, id, event_id, replay_id, occurred_at, received_at, message, name, email, url,
                 source, release, environment)
         where exists (select from project p where p.id = n.project_id)
         order by n.project_id, n.kind, n.id
         on conflict (project_id, kind, id) do update set
             message = excluded.message,
             name = excluded.name,
             email = excluded.email,
             occurred_at = excluded.occurred_at,
             received_at = excluded.received_at
         where f.kind = 0 and f.received_at <= excluded.received_at",
    )
    .bind(rows.iter().map(|(stamp, _)| stamp.project_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, one)| one.kind.code()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, one)| one.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, one)| one.event_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, one)| one.replay_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, one)| one.occurred_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|(stamp, _)| stamp.received_at).collect::<Vec<_>>())
    .bind(texts(|one| Some(one.message.as_str())))
    .bind(texts(|one| one.name.as_deref()))
    .bind(texts(|one| one.email.as_deref()))
    .bind(texts(|one| one.url.as_deref()))
    .bind(texts(|one| one.source.as_deref()))
    .bind(texts(|one| one.release.as_deref()))
    .bind(texts(|one| one.environment.as_deref()))
    .execute(db)
    .await?;
    Ok(())
}
