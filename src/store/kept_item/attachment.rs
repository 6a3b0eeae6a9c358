//! Table `attachment`.

use sqlx::PgConnection;

use crate::protocol::Stamp;
use crate::protocol::kept_item::Attachment;
use crate::store::Result;

/// Stores files, one statement each: they may be large.
pub(super) async fn insert(db: &mut PgConnection, attachments: &[(&Stamp, &Attachment)]) -> Result<()> {
    for (stamp, attachment) in attachments {
        sqlx::query(
            "insert into attachment
                 (project_id, received_on, ingest_id, event_id, received_at, name, content_type, kind, size, content,
                 file_id, part)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
             where exists (select from project where id = $1)
             on conflict do nothing",
        )
        .bind(stamp.project_id)
        .bind(stamp.received_on)
        .bind(stamp.ingest_id)
        .bind(stamp.event_id)
        .bind(stamp.received_at)
        .bind(&attachment.name)
        .bind(&attachment.content_type)
        .bind(&attachment.kind)
        .bind(attachment.size)
        .bind(attachment.content.as_ref())
        .bind(attachment.file_id)
        .bind(attachment.part)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
