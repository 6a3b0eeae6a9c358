//! Table `alert_test`: test messages to recipients of alerts, the latest of each.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::Result;
use super::alert::RecipientKind;
use crate::config::Secret;
use crate::ids::{AlertRecipientId, ProjectId, UserId};

/// A test message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AlertTest {
    /// To whom.
    pub recipient_id: AlertRecipientId,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it was delivered or given up; none: it waits.
    pub settled_at: Option<DateTime<Utc>>,
    /// Why it was not delivered.
    pub error: Option<String>,
}

/// Asks for a test message on behalf of a user; one that waits already (for less than a minute) is not asked for again.
pub async fn request(db: impl PgExecutor<'_>, recipient: AlertRecipientId, user: UserId, language: &str) -> Result<()> {
    sqlx::query(
        "insert into alert_test as t (recipient_id, user_id, language) values ($1, $2, $3)
         on conflict (recipient_id) do update
             set user_id = excluded.user_id, language = excluded.language, requested_at = excluded.requested_at,
                 claimed_at = null, settled_at = null, error = null
             where t.settled_at is not null or t.requested_at < now() - interval '1 minute'",
    )
    .bind(recipient)
    .bind(user)
    .bind(language)
    .execute(db)
    .await?;
    Ok(())
}

/// The test messages to the recipients of a project's alerts; at most as many as it has recipients.
pub async fn list(db: impl PgExecutor<'_>, project: ProjectId) -> Result<Vec<AlertTest>> {
    let rows = sqlx::query_as(
        "select t.recipient_id, t.requested_at, t.settled_at, t.error
         from alert a join alert_recipient r on r.alert_id = a.id join alert_test t on t.recipient_id = r.id
         where a.project_id = $1",
    )
    .bind(project)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// A test message to send, and what it takes.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ClaimedTest {
    /// To whom.
    pub recipient_id: AlertRecipientId,
    /// When it was asked for; [`settle`] wants it back.
    pub requested_at: DateTime<Utc>,
    /// In which way.
    pub kind: RecipientKind,
    /// Where to; empty for e-mail.
    pub url: String,
    /// What it is signed with.
    #[sqlx(try_from = "Option<String>")]
    pub secret: ClaimedSecret,
    /// The address of who asked.
    pub email: String,
    /// What the message speaks: `en`, `zh-CN`.
    pub language: String,
    /// The alert's name; may be empty.
    pub alert_name: String,
    /// The project's name.
    pub project_name: String,
    /// The project's slug.
    pub project_slug: String,
    /// The slug of the project's organization.
    pub organization_slug: String,
}

/// A secret that may be missing.
#[derive(Debug, Clone)]
pub struct ClaimedSecret(pub Option<Secret>);

impl From<Option<String>> for ClaimedSecret {
    fn from(secret: Option<String>) -> Self {
        Self(secret.map(Secret::new))
    }
}

/// Takes the oldest test message that waits; nobody else gets it for a minute.
pub async fn claim(db: impl PgExecutor<'_>) -> Result<Option<ClaimedTest>> {
    let row = sqlx::query_as(
        "with taken as (
             update alert_test set claimed_at = now()
             where recipient_id = (
                 select recipient_id from alert_test
                 where settled_at is null and (claimed_at is null or claimed_at < now() - interval '1 minute')
                 order by requested_at limit 1 for update skip locked)
             returning recipient_id, user_id, requested_at, language
         )
         select t.recipient_id, t.requested_at, r.kind, r.url, r.secret, u.email, t.language,
             a.name as alert_name, p.name as project_name, p.slug as project_slug, o.slug as organization_slug
         from taken t join app_user u on u.id = t.user_id join alert_recipient r on r.id = t.recipient_id
             join alert a on a.id = r.alert_id join project p on p.id = a.project_id
             join organization o on o.id = p.organization_id",
    )
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Notes what became of a claimed test message; `error` says why it was not delivered.
pub async fn settle(db: impl PgExecutor<'_>, test: &ClaimedTest, error: Option<&str>) -> Result<()> {
    sqlx::query("update alert_test set settled_at = now(), error = $3 where recipient_id = $1 and requested_at = $2")
        .bind(test.recipient_id)
        .bind(test.requested_at)
        .bind(error)
        .execute(db)
        .await?;
    Ok(())
}
