//! Whom alerts reach, as the pages show it: tables `notice_channel` and `notice_delivery` by destination, and the members
//! who get mail.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::Result;
use super::alert::RecipientKind;
use crate::ids::{OrganizationId, ProjectId};

/// How deliveries to one destination have gone, by the latest thousand of the project.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Channel {
    /// In which way.
    pub kind: RecipientKind,
    /// A mail address in lower case, or a URL.
    pub destination: String,
    /// When the latest one was delivered.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the latest one failed, given up or still being tried.
    pub failed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
    /// How many have yet to be sent.
    pub waiting: i64,
}

/// The project's destinations that anything was to be sent to.
pub async fn channels(db: impl PgExecutor<'_>, project: ProjectId) -> Result<Vec<Channel>> {
    let rows = sqlx::query_as(
        "with latest as (
             select channel_id, state, tries, error, settled_at, coalesce(settled_at, first_tried_at, created_at) as at
             from notice_delivery where project_id = $1 order by id desc limit 1000
         )
         select c.kind, c.destination,
             max(d.settled_at) filter (where d.state = 1) as sent_at,
             max(d.at) filter (where d.state in (0, 2) and d.error is not null) as failed_at,
             (array_agg(d.error order by d.at desc) filter (where d.state in (0, 2) and d.error is not null))[1] as error,
             count(*) filter (where d.state = 0) as waiting
         from notice_channel c join latest d on d.channel_id = c.id
         where c.project_id = $1
         group by c.id order by c.id",
    )
    .bind(project)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The addresses that mail for an organization's projects goes to: its active members'; at most `limit`.
pub async fn addressees(db: impl PgExecutor<'_>, organization: OrganizationId, limit: i64) -> Result<Vec<String>> {
    let addresses = sqlx::query_scalar(
        "select u.email from member m join app_user u on u.id = m.user_id
         where m.organization_id = $1 and u.is_active order by u.email limit $2",
    )
    .bind(organization)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(addresses)
}
